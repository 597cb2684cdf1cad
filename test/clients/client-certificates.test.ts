import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { within } from '../api/live-server.ts'
import { type Authority, makeAuthority } from '../authority.ts'
import type { Pair } from '../certificates.ts'
import { describeWith, run } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'

let folder: string
let authority: Authority
let other: Authority
let server: Pair
const clients: Record<string, Pair> = {}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-client-certificates-'))
  authority = makeAuthority(folder, 'authority')
  other = makeAuthority(folder, 'other')
  server = authority.issue('server', { names: ['localhost'] })
  clients.good = authority.issue('good', { purposes: ['client'] })
  clients['of a stranger'] = other.issue('stranger', { purposes: ['client'] })
  clients.expired = authority.issue('expired', { purposes: ['client'], until: -1 })
  clients['not yet valid'] = authority.issue('early', { purposes: ['client'], from: 1, until: 2 })
  clients["a server's"] = authority.issue('server-only', { purposes: ['server'] })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const start = (env: Record<string, string>) =>
  startBerth({
    env: {
      REGISTRY_AUTH: 'none',
      REGISTRY_HTTP_TLS_CERTIFICATE: server.certificate,
      REGISTRY_HTTP_TLS_KEY: server.key,
      ...env,
    },
  })

/** The status with which curl's request ends; `refused` where the connection does. */
async function ask(berth: Berth, pair: Pair | undefined, method = 'GET', path = '/v2/'): Promise<string> {
  const shown = pair === undefined ? [] : ['--cert', pair.certificate, '--key', pair.key]
  const { code, stdout } = await run([
    ...['curl', '--silent', '--cacert', authority.file, ...shown, '--request', method],
    ...['--output', '/dev/null', '--write-out', '%{http_code}', `https://localhost:${berth.port}${path}`],
  ])
  // 35: handshake, 52: nothing came back, 55 and 56: the connection was closed, before the request had left or after.
  return [35, 52, 55, 56].includes(code) && stdout === '000' ? 'refused' : stdout
}

describeWith(['curl', 'openssl'], 'http.tls.clientcas', () => {
  let berth: Berth
  let list: string
  beforeAll(async () => {
    list = join(folder, 'clients.pem')
    writeFileSync(list, readFileSync(authority.file))
    berth = await start({ REGISTRY_HTTP_TLS_CLIENTCAS_0: list })
  })
  afterAll(() => berth?.dispose())

  test.each<[string, string]>([
    ['good', '200'],
    ['none', 'refused'],
    ['of a stranger', 'refused'],
    ['expired', 'refused'],
    ['not yet valid', 'refused'],
    ["a server's", 'refused'],
  ])('a certificate that is %s: %s', async (name, expected) => {
    expect(await ask(berth, clients[name])).toBe(expected)
  })

  test('what a refused client asks for is not done', async () => {
    const before = berth.log().match(/method=POST|"POST /g)?.length ?? 0
    for (const name of ['none', 'of a stranger', 'expired']) {
      expect(await ask(berth, clients[name], 'POST', '/v2/app/blobs/uploads/')).toBe('refused')
    }
    expect(await ask(berth, clients.good, 'POST', '/v2/app/blobs/uploads/')).toBe('202')
    await within(
      'the line of the request that was let in',
      () => berth.log().match(/POST \/v2\/app/g)?.length ?? 0,
      (count) => count > 0,
    )
    expect((berth.log().match(/POST \/v2\/app/g)?.length ?? 0) - before).toBe(1)
  })

  test('the same with TLS 1.2 and 1.3, and clients are told which authorities count', async () => {
    const shake = async (version: string, pair?: Pair) => {
      const shown = pair === undefined ? [] : ['-cert', pair.certificate, '-key', pair.key]
      const { stdout } = await run(
        ['openssl', 's_client', '-connect', `localhost:${berth.port}`, `-${version}`, '-ign_eof', ...shown],
        { stdin: 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' },
      )
      return { answer: /HTTP\/1\.1 \d+/.exec(stdout)?.[0], names: /CA names\n(.*)\n/.exec(stdout)?.[1] }
    }
    for (const version of ['tls1_2', 'tls1_3']) {
      expect(await shake(version, clients.good)).toEqual({ answer: 'HTTP/1.1 200', names: 'CN = authority' })
      expect((await shake(version)).answer).toBeUndefined()
      expect((await shake(version, clients['of a stranger'])).answer).toBeUndefined()
    }
  }, 180_000)

  test('a list that changes counts for new connections, also against sessions of before', async () => {
    const session = join(folder, 'session')
    const shake = async (args: string[]) => {
      const { stdout } = await run(
        ['openssl', 's_client', '-connect', `localhost:${berth.port}`, '-tls1_2', '-ign_eof', ...args],
        { stdin: 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' },
      )
      return { isNew: !stdout.includes('Reused,'), answer: /HTTP\/1\.1 \d+/.exec(stdout)?.[0] }
    }
    const good = clients.good ?? server
    await shake(['-cert', good.certificate, '-key', good.key, '-sess_out', session])
    expect(await shake(['-sess_in', session])).toEqual({ isNew: false, answer: 'HTTP/1.1 200' })

    writeFileSync(list, readFileSync(other.file))
    await within(
      'the other authority',
      () => ask(berth, clients['of a stranger']),
      (answer) => answer === '200',
    )
    expect(await ask(berth, clients.good)).toBe('refused')
    expect((await shake(['-sess_in', session])).answer).toBeUndefined()

    // One that cannot be used is told of, and changes nothing.
    writeFileSync(list, 'no certificate\n')
    await within(
      'a refusal',
      () => berth.log(),
      (log) => log.includes(`stays as it was: the TLS client authority ${list} holds no certificate in PEM`),
    )
    expect(await ask(berth, clients.good)).toBe('refused')
    expect(await ask(berth, clients['of a stranger'])).toBe('200')
    // At once, or it may be read in between.
    writeFileSync(list, Buffer.concat([authority.file, other.file].map((file) => readFileSync(file))))
    await within(
      'both',
      () => ask(berth, clients.good),
      (answer) => answer === '200',
    )
    expect(await ask(berth, clients['of a stranger'])).toBe('200')
  }, 180_000)
})

describeWith(['curl'], 'http.tls.clientauth: request-client-cert', () => {
  test('lets everybody in, whatever they show', async () => {
    const berth = await start({
      REGISTRY_HTTP_TLS_CLIENTCAS: `[${authority.file}]`,
      REGISTRY_HTTP_TLS_CLIENTAUTH: 'request-client-cert',
    })
    try {
      for (const name of [...Object.keys(clients), 'none']) expect(await ask(berth, clients[name])).toBe('200')
    } finally {
      await berth.dispose()
    }
  })
})
