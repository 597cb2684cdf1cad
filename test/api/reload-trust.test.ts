import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/config.ts'
import { freePort } from '../free-port.ts'
import { cleanEnvironment } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { startRegistry } from '../start-registry.ts'
import { createIssuer, type Issuer, SERVICE, tokenOf, trusting } from './issuer.ts'
import { basic, hashOf, partsOf, within, writePair } from './live-server.ts'

let folder: string
let first: Issuer
let second: Issuer

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-reload-'))
  first = await createIssuer(join(folder, 'first'))
  second = await createIssuer(join(folder, 'second'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const asks = async (url: string, token: string) =>
  (await fetch(`${url}/v2/`, { headers: { Authorization: `Bearer ${token}` } })).status

describe('a registry that trusts the tokens of somebody else', () => {
  let berth: Berth
  afterAll(() => berth?.dispose())

  /** Whose tokens are taken. */
  const taken = () => Promise.all([asks(berth.url, tokenOf(first, [])), asks(berth.url, tokenOf(second, []))])
  const jwksOf = ({ publicKey, kid }: Issuer) =>
    JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] })

  test('takes those of another rootcertbundle, and no more those of the one before', async () => {
    const bundle = join(folder, 'bundle.pem')
    berth = await startBerth({ env: trusting(first, bundle) })
    expect(await taken()).toEqual([200, 401])
    writeFileSync(bundle, `${first.pem}${second.pem}`)
    await within('rootcertbundle', taken, (statuses) => statuses.join() === '200,200')
    writeFileSync(bundle, second.pem)
    await within('rootcertbundle without a certificate', taken, (statuses) => statuses.join() === '401,200')
    const before = berth.log().length
    writeFileSync(bundle, 'no certificate')
    const isRefused = (log: string) =>
      log.includes('the rootcertbundle holds no') && log.includes('the one before stays')
    await within('a bad rootcertbundle', () => berth.log().slice(before), isRefused)
    expect(await taken()).toEqual([401, 200])
    await berth.dispose()
  }, 180_000)

  test('takes those of another file of JWKS', async () => {
    const jwks = join(folder, 'jwks.json')
    const { REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: _, ...env } = trusting(first, join(folder, 'unused.pem'))
    writeFileSync(jwks, jwksOf(first))
    berth = await startBerth({ env: { ...env, REGISTRY_AUTH_TOKEN_JWKS: jwks } })
    expect(await taken()).toEqual([200, 401])
    writeFileSync(jwks, jwksOf(second))
    await within('jwks', taken, (statuses) => statuses.join() === '401,200')
  }, 180_000)
})

test('a replaced token key is trusted until the last token that it signed has ended, and no longer', async () => {
  let now = Date.now()
  const passwordHash = await hashOf('secret')
  let config: Config | undefined
  const registry = await startRegistry({
    env: { REGISTRY_AUTH: 'token', REGISTRY_AUTH_TOKEN_SERVICE: SERVICE },
    now: () => now,
    change(made) {
      const pair = writePair(folder, 'old', { commonName: 'old', kind: 'rsa' })
      if (made.tokenServer !== undefined) {
        Object.assign(made.tokenServer, pair, { users: { ann: { passwordHash, labels: {} } }, expiration: 600 })
      }
      config = made
    },
  })
  try {
    const tokenNow = async () => {
      const response = await fetch(`${registry.url}/auth?service=${encodeURIComponent(SERVICE)}`, {
        headers: basic('ann', 'secret'),
      })
      return ((await response.json()) as { token: string }).token
    }
    const published = async () => {
      const { keys } = (await (await fetch(`${registry.url}/.well-known/jwks.json`)).json()) as {
        keys: { alg: string }[]
      }
      return [...new Set(keys.map(({ alg }) => alg))].join()
    }
    const early = await tokenNow()
    now += 60_000
    const late = await tokenNow()
    if (config?.tokenServer === undefined) throw new Error('no token server')
    const tokenServer = { ...config.tokenServer, ...writePair(folder, 'new', { commonName: 'new', kind: 'ec' }) }
    await registry.app.reconfigure({ ...config, tokenServer })
    expect(partsOf(await tokenNow()).header.alg).toBe('ES256')
    const seen = async () => [await asks(registry.url, early), await asks(registry.url, late), await published()]
    // Registries take a token for 60 s after its end, for clocks differ.
    expect(await seen()).toEqual([200, 200, 'ES256,RS256'])
    now += 601_000
    expect(await seen()).toEqual([401, 200, 'ES256,RS256'])
    now += 60_000
    expect(await seen()).toEqual([401, 401, 'ES256'])
  } finally {
    await registry.stop()
  }
})

test('the address cannot change while the server runs, which is warned of; the rest of the file is in force', async () => {
  const port = await freePort()
  const file = join(folder, 'config.yml')
  const configOf = (at: number, header: string) =>
    [
      'version: 0.1',
      `storage: {filesystem: {rootdirectory: "${folder}/data"}}`,
      `http: {addr: "127.0.0.1:${at}", headers: {X-Which: [${header}]}}`,
      'auth: none',
    ].join('\n')
  writeFileSync(file, configOf(port, 'one'))
  const child = Bun.spawn([BERTH, 'serve', file], {
    cwd: folder,
    env: cleanEnvironment(),
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  })
  let log = ''
  const decoder = new TextDecoder()
  const reading = (async () => {
    for await (const chunk of child.stderr) log += decoder.decode(chunk, { stream: true })
  })()
  try {
    const header = async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined)
      return answer?.headers.get('x-which')
    }
    await within('the start', header, (seen) => seen === 'one')
    writeFileSync(file, configOf(port + 1, 'two'))
    await within('another header', header, (seen) => seen === 'two')
    const warning = 'level=warning msg="a change of http.addr needs a restart"'
    await within(
      'the warning',
      () => log,
      (text) => text.includes(warning),
    )
  } finally {
    child.kill('SIGTERM')
    await child.exited
    await reading
  }
}, 180_000)
