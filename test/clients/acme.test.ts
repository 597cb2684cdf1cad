import { afterAll, beforeAll, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { createChallengeServer } from '../../src/http/challenge-server.ts'
import { type Listener, listen } from '../../src/http/listen.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { openAcmeCertificate } from '../../src/tls/acme-certificate.ts'
import type { ManagedCertificate } from '../../src/tls/managed.ts'
import { steadily, within } from '../api/live-server.ts'
import { freePort } from '../free-port.ts'
import { type Pebble, startPebble } from '../pebble.ts'
import { describeWith, must, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'

const DAY = 86_400_000
const HOSTS = ['registry.example', 'www.registry.example'] as const

let folder: string
let httpPort: number
let pebble: Pebble
let root: string

/** The certificate that a new connection for a name is shown. */
async function shown(port: number, servername: string): Promise<X509Certificate> {
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>()
  const socket = connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false }, () => {
    resolve(new X509Certificate(socket.getPeerCertificate().raw))
    socket.destroy()
  })
  socket.on('error', reject)
  return await promise
}

describeWith(['pebble', 'pebble-challtestsrv', 'curl', 'openssl'], 'certificates of a real ACME server', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-acme-'))
    httpPort = await freePort()
    pebble = await startPebble(join(folder, 'pebble'), { httpPort, rejectedNonces: 25 })
    root = join(folder, 'root.pem')
    writeFileSync(root, await pebble.root())
  }, 180_000)
  afterAll(async () => {
    await pebble?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('by the program: a placeholder first, then the certificate, a renewal without a lost request, a start without asking', async () => {
    const data = join(folder, 'data')
    const port = await freePort()
    const start = () =>
      startBerth({
        args: ['--addr', `127.0.0.1:${port}`],
        dataDirectory: data,
        env: {
          REGISTRY_AUTH: 'none',
          REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
          REGISTRY_HTTP_TLS_LETSENCRYPT_HOSTS: JSON.stringify(HOSTS),
          REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL: 'somebody@registry.example',
          REGISTRY_HTTP_TLS_LETSENCRYPT_DIRECTORYURL: pebble.directoryUrl,
          REGISTRY_HTTP_TLS_LETSENCRYPT_DIRECTORYCA: pebble.authority,
          REGISTRY_HTTP_TLS_LETSENCRYPT_HTTPADDR: `127.0.0.1:${httpPort}`,
        },
      })
    let berth: Berth = await start()
    const first = await within(
      'the first certificate',
      () => shown(berth.port, 'registry.example'),
      (leaf) => leaf.issuer.includes('Pebble'),
    )
    expect(berth.log()).toContain('there is no certificate yet: until it comes, clients are shown one that none trusts')
    expect(first.subjectAltName).toBe('DNS:registry.example, DNS:www.registry.example')
    for (const host of HOSTS) {
      const answer = ['--resolve', `${host}:${berth.port}:127.0.0.1`, `https://${host}:${berth.port}/v2/`]
      expect(await must(['curl', '--silent', '--show-error', '--fail', '--cacert', root, ...answer])).toBe('{}')
    }
    const files = join(data, 'berth-tls/acme')
    expect(readdirSync(files).sort()).toEqual([
      'acme_account+key',
      'registry.example',
      'registry.example.berth-placeholder.pem',
    ])
    expect(readdirSync(files).map((name) => statSync(join(files, name)).mode & 0o777)).toEqual([0o600, 0o600, 0o600])

    const redirected = await fetch(`http://127.0.0.1:${httpPort}/v2/`, { redirect: 'manual' })
    expect([redirected.status, redirected.headers.get('location')]).toEqual([
      308,
      `https://registry.example:${port}/v2/`,
    ])

    const steady = steadily((keepalive) =>
      fetch(`https://127.0.0.1:${berth.port}/v2/`, { keepalive, tls: { rejectUnauthorized: false } }),
    )
    expect(await run([BERTH, 'cert', 'renew', '--data', data])).toMatchObject({
      code: 0,
      stderr: 'The server uses a new certificate.\n',
    })
    const second = await shown(berth.port, 'registry.example')
    expect(second.serialNumber).not.toBe(first.serialNumber)
    expect((await steady.end()).failures).toEqual([])

    expect(await berth.stop()).toBe(0)
    await berth.dispose()
    const orders = () => pebble.log().match(/POST \/order-plz/g)?.length ?? 0
    const before = orders()
    expect(before).toBeGreaterThan(1)
    berth = await start()
    try {
      expect((await shown(berth.port, 'registry.example')).serialNumber).toBe(second.serialNumber)
      expect(orders()).toBe(before)
    } finally {
      await berth.dispose()
    }
  }, 180_000)

  test("the token server's own listener gets one too, in docker_auth's words", async () => {
    const port = await freePort()
    const authConfig = [
      `server: {addr: "127.0.0.1:${port}", letsencrypt: {email: a@registry.example, cache_dir: "${folder}/cache", host: tokens.example,`,
      `  directoryurl: "${pebble.directoryUrl}", directoryca: "${pebble.authority}", httpaddr: "127.0.0.1:${httpPort}"}}`,
      'token: {issuer: Berth, expiration: 900}',
      'users: {"": {}}',
      'acl: []',
    ].join('\n')
    const tokens = await startBerth({ verb: 'auth', authConfig, args: ['--data', join(folder, 'auth-data')] })
    try {
      await within(
        "the token server's certificate",
        () => shown(port, 'tokens.example'),
        (leaf) => leaf.subjectAltName === 'DNS:tokens.example',
      )
      const url = [`tokens.example:${port}:127.0.0.1`, `https://tokens.example:${port}/auth?service=x`]
      const answer = await must(['curl', '--silent', '--show-error', '--fail', '--cacert', root, '--resolve', ...url])
      expect(Object.keys(JSON.parse(answer))).toContain('token')
      expect(readdirSync(join(folder, 'cache')).sort()).toEqual([
        'acme_account+key',
        'tokens.example',
        'tokens.example.berth-placeholder.pem',
      ])
    } finally {
      await tokens.dispose()
    }
  }, 180_000)
})

describeWith(['pebble', 'pebble-challtestsrv'], 'an ACME certificate, as the clock goes on', () => {
  let door: Listener | undefined
  let now: number
  const answers = new Map<string, string>()
  const lines: string[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-acme-'))
    httpPort = await freePort()
    pebble = await startPebble(join(folder, 'pebble'), { httpPort })
  }, 180_000)
  afterAll(async () => {
    await closeDoor()
    await pebble?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const openDoor = async () => {
    const fetch = createChallengeServer({ answerTo: (token) => answers.get(token), places: () => [] })
    door = await listen({ address: { kind: 'tcp', hostname: '127.0.0.1', port: httpPort }, fetch, onError: () => {} })
  }
  const closeDoor = async () => {
    await door?.stop(0)
    door = undefined
  }
  const open = (cache: string, parts: { hosts?: [string, ...string[]]; directoryUrl?: string } = {}) => {
    const { hosts = ['a.example'], directoryUrl = pebble.directoryUrl } = parts
    return openAcmeCertificate({
      file: join(folder, cache, hosts[0]),
      settings: { hosts, directoryUrl, directoryCa: pebble.authority, email: undefined },
      challenges: {
        set: (token, answer) => void answers.set(token, answer),
        remove: (token) => void answers.delete(token),
      },
      log: createLog({
        level: 'debug',
        formatter: 'text',
        fields: {},
        now: () => now,
        write: (line) => lines.push(line),
      }),
      now: () => now,
      random: () => 0,
    })
  }
  const tend = (one: ManagedCertificate, force = false) => one.tend({ force, signal: new AbortController().signal })
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => 'no failure',
      (error: Error) => error.message,
    )
  const serial = (cache: string) =>
    new X509Certificate(
      readFileSync(join(folder, cache, 'a.example'), 'utf8').replace(/^[\s\S]*?(?=-----BEGIN CERT)/, ''),
    ).serialNumber

  test('is kept for two thirds of its life, and renewed then by the same account', async () => {
    await openDoor()
    now = Date.now()
    const one = await open('life')
    expect(one.isReady()).toBe(false)
    expect(await tend(one)).toBe(true)
    expect(one.isReady()).toBe(true)
    const [first, account] = [serial('life'), readFileSync(join(folder, 'life/acme_account+key'), 'utf8')]
    now += 56 * DAY
    expect(await tend(one)).toBe(false)
    expect(await tend(await open('life'))).toBe(false)
    now += 5 * DAY
    expect(await tend(one)).toBe(true)
    expect(serial('life')).not.toBe(first)
    expect(readFileSync(join(folder, 'life/acme_account+key'), 'utf8')).toBe(account)
    expect(answers.size).toBe(0)
    now = Date.now()
    const more = await open('life', { hosts: ['a.example', 'b.example'] })
    expect(await tend(more)).toBe(true)
    expect(await tend(await open('life'))).toBe(false)
    await closeDoor()
  }, 180_000)

  test('where a host is not this machine nothing is lost, and nothing is asked again before its time', async () => {
    now = Date.now()
    await openDoor()
    const one = await open('wrong')
    expect(await tend(one)).toBe(true)
    const kept = serial('wrong')
    await closeDoor()
    now += 70 * DAY
    const message = await failure(tend(one))
    expect(message).toStartWith(`a.example from ${pebble.directoryUrl}: a.example was not validated: `)
    expect(message).toEndWith(`The next attempt is at ${new Date(now + 5 * 60_000).toISOString()}`)
    expect([one.isReady(), serial('wrong')]).toEqual([true, kept])
    await openDoor()
    now += 4 * 60_000
    expect(await tend(one)).toBe(false)
    // A program that is started again and again does not use up what the authority allows.
    expect(await tend(await open('wrong'))).toBe(false)
    now += 61_000
    expect(await tend(await open('wrong'))).toBe(true)
    expect(readdirSync(join(folder, 'wrong')).sort()).toEqual(['a.example', 'acme_account+key'])
    await closeDoor()
  }, 180_000)

  test('by force at once, whatever failed before', async () => {
    now = Date.now()
    const one = await open('force')
    expect(await failure(tend(one))).toContain('a.example was not validated')
    await openDoor()
    expect(await tend(one)).toBe(false)
    expect(await tend(one, true)).toBe(true)
    await closeDoor()
  }, 180_000)

  test('a server that is down is asked again after a minute', async () => {
    now = Date.now()
    const directoryUrl = `https://127.0.0.1:${await freePort()}/dir`
    const one = await open('down', { directoryUrl })
    const message = await failure(tend(one))
    expect(message).toContain(`${new URL(directoryUrl).origin} cannot be reached: `)
    expect(message).toEndWith(`The next attempt is at ${new Date(now + 60_000).toISOString()}`)
    expect(one.isReady()).toBe(false)
  })

  test("what is no directory, and a name that the server refuses, are told in the server's words", async () => {
    now = Date.now()
    const one = await open('nothing', { directoryUrl: new URL('/none', pebble.directoryUrl).href })
    expect(await failure(tend(one))).toContain('says: status 404')
    const two = await open('refused', { hosts: ['a_b.example'] })
    expect(await failure(tend(two))).toContain(
      'says: Order included DNS identifier with a value containing an illegal character',
    )
  }, 180_000)

  test('damaged files: a certificate is asked for anew, a foreign account key is told of and kept', async () => {
    now = Date.now()
    await openDoor()
    await tend(await open('damaged'))
    writeFileSync(join(folder, 'damaged/a.example'), 'damaged')
    const one = await open('damaged')
    expect(one.isReady()).toBe(false)
    expect(await tend(one)).toBe(true)
    const key = join(folder, 'damaged/acme_account+key')
    writeFileSync(key, 'damaged')
    expect(await failure(tend(one, true))).toContain(`${key} holds no account key of P-256; move it away`)
    expect(readFileSync(key, 'utf8')).toBe('damaged')
    await closeDoor()
  }, 180_000)

  test('the end of the program ends an order', async () => {
    now = Date.now()
    const ending = new AbortController()
    const one = await open('end')
    const order = failure(one.tend({ force: false, signal: ending.signal }))
    ending.abort()
    expect(await order).not.toBe('no failure')
    expect(readdirSync(join(folder, 'end'))).not.toContain('a.example.berth-attempts.json')
  })
})
