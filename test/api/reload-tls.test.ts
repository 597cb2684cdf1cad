import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { basic, hashOf, shownName, steadily, within, writePair } from './live-server.ts'
import { openSlowly, type SlowConnection } from './slow-transfer.ts'

const INSECURE = { tls: { rejectUnauthorized: false } }
const QUERY = 'service=Berth&scope=repository:app:pull,push'
/** More than the buffers of both ends of a connection hold. */
const LARGE = randomBytes(48 * 1024 * 1024)

let folder: string
let hash: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-reload-'))
  hash = await hashOf('secret')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const portOf = (url: string) => Number(new URL(url).port)
const authConfigOf = (name: string) =>
  [
    `server: {addr: "127.0.0.1:0", certificate: "${folder}/${name}.crt", key: "${folder}/${name}.key"}`,
    // Of its own: whoever renews a certificate does not change the key of tokens.
    `token: {issuer: Berth, expiration: 900, certificate: "${folder}/signing.crt", key: "${folder}/signing.key"}`,
    `users: {ann: {password: "${hash}"}}`,
    'acl: [{match: {account: ann}, actions: ["*"]}]',
  ].join('\n')

const renew = (name: string, commonName: string) => writePair(folder, name, { commonName, kind: 'ec' })
const tokenAt = async (url: string) => {
  const response = await fetch(`${url}?${QUERY}`, { headers: basic('ann', 'secret'), ...INSECURE })
  return ((await response.json()) as { token: string }).token
}

describe('a certificate that is renewed', () => {
  let berth: Berth
  let registryPort: number
  let tokenUrl: string
  let authorization: { Authorization: string }

  beforeAll(async () => {
    renew('registry', 'registry one')
    renew('tokens', 'tokens one')
    renew('signing', 'signing')
    const authConfig = join(folder, 'auth_config.yml')
    writeFileSync(authConfig, authConfigOf('tokens'))
    berth = await startBerth({
      args: ['--auth-config', authConfig],
      env: {
        REGISTRY_HTTP_TLS_CERTIFICATE: `${folder}/registry.crt`,
        REGISTRY_HTTP_TLS_KEY: `${folder}/registry.key`,
        REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
      },
      listeners: 2,
    })
    registryPort = berth.port
    tokenUrl = `${berth.tokenServerUrl}/auth`
    authorization = { Authorization: `Bearer ${await tokenAt(tokenUrl)}` }
    const pushed = await fetch(`${berth.url}/v2/app/blobs/uploads/?digest=${digestOf(LARGE)}`, {
      method: 'POST',
      headers: authorization,
      body: LARGE,
      ...INSECURE,
    })
    expect(pushed.status).toBe(201)
  })
  afterAll(() => berth?.dispose())

  const streams = () => [
    steadily((keepalive) => fetch(`${berth.url}/v2/`, { headers: authorization, keepalive, ...INSECURE })),
    steadily((keepalive) => fetch(`${tokenUrl}?${QUERY}`, { headers: basic('ann', 'secret'), keepalive, ...INSECURE })),
  ]
  const head = (method: string, path: string, more = '') =>
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization.Authorization}\r\n${more}\r\n`

  async function change(name: string): Promise<void> {
    renew('registry', `registry ${name}`)
    const registry = () => shownName(registryPort)
    await within(`the registry's certificate ${name}`, registry, (shown) => shown === `registry ${name}`)
    renew('tokens', `tokens ${name}`)
    const tokens = () => shownName(portOf(tokenUrl))
    await within(`the token server's certificate ${name}`, tokens, (shown) => shown === `tokens ${name}`)
    // The old socket is done with after a moment.
    await Bun.sleep(300)
  }

  test('is shown to new connections of both listeners, and no transfer or connection under way is lost', async () => {
    const started = await fetch(`${berth.url}/v2/app/blobs/uploads/`, {
      method: 'POST',
      headers: authorization,
      ...INSECURE,
    })
    const place = new URL(started.headers.get('location') ?? '')
    const connections: SlowConnection[] = []
    const open = async () => {
      const connection = await openSlowly(registryPort)
      connections.push(connection)
      return connection
    }
    const steady = streams()
    try {
      const kept = await open()
      kept.write(head('GET', '/v2/'))
      expect((await kept.answer()).status).toBe(200)

      const download = await open()
      download.write(head('GET', `/v2/app/blobs/${digestOf(LARGE)}`))
      await download.pause()

      const upload = await open()
      const content = LARGE.subarray(0, 8 * 1024 * 1024)
      const half = content.length / 2
      const headers = `Content-Length: ${content.length}\r\nContent-Type: application/octet-stream\r\n`
      upload.write(head('PATCH', place.pathname + place.search, headers))
      upload.write(content.subarray(0, half))

      await change('two')
      // It is used again, and told that it ends then, once the old socket is done with.
      const again = async () => {
        kept.write(head('GET', '/v2/'))
        return await kept.answer()
      }
      const last = await within('the end of what was kept', again, ({ headers }) =>
        /^connection: close$/im.test(headers),
      )
      expect(last.status).toBe(200)
      await change('three')
      upload.write(content.subarray(half))
      const uploaded = await upload.answer()
      expect(uploaded.status).toBe(202)
      expect(uploaded.headers).toMatch(new RegExp(`^range: 0-${content.length - 1}$`, 'im'))
      download.resume()
      const downloaded = await download.answer()
      expect(downloaded.status).toBe(200)
      expect(digestOf(downloaded.body)).toBe(digestOf(LARGE))
    } finally {
      for (const connection of connections) connection.close()
      for (const stream of steady) {
        expect((await stream.end()).failures).toEqual([])
      }
    }
  }, 180_000)

  test('is renewed by SIGHUP as well', async () => {
    renew('registry', 'registry hup')
    process.kill(berth.pid, 'SIGHUP')
    await within(
      'a certificate, by SIGHUP',
      () => shownName(registryPort),
      (shown) => shown === 'registry hup',
    )
  }, 180_000)

  test('stays where the new pair cannot be used, which is logged, and the other listener gets its new one', async () => {
    const before = berth.log().length
    const shown = await shownName(registryPort)
    const steady = streams()
    writePair(join(folder, 'other'), 'x', { commonName: 'x', kind: 'ec' })
    writeFileSync(join(folder, 'registry.key'), await Bun.file(join(folder, 'other/x.key')).text())
    renew('tokens', 'tokens four')
    await within(
      'the good one of two',
      () => shownName(portOf(tokenUrl)),
      (name) => name === 'tokens four',
    )
    const refusal = `stays as it was: cannot use the TLS certificate ${folder}/registry.crt: `
    await within(
      'a refusal',
      () => berth.log().slice(before),
      (log) => log.includes(refusal),
    )
    expect(await shownName(registryPort)).toBe(shown)
    renew('registry', 'registry mended')
    await within(
      'a mended pair',
      () => shownName(registryPort),
      (name) => name === 'registry mended',
    )
    for (const stream of steady) expect((await stream.end()).failures).toEqual([])
  }, 180_000)
})
