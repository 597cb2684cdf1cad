import { afterAll, beforeAll, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { freePort } from '../free-port.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { shownName, steadily, within, writePair } from './live-server.ts'

let folder: string
let berth: Berth
let port: number
let httpPort: number
let config: string

const write = (tls: string) =>
  writeFileSync(
    config,
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nauth: none\nhttp: {addr: "127.0.0.1:${port}", tls: {${tls}}}\nlog: {accesslog: {disabled: true}}\n`,
  )

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-reload-own-'))
  config = join(folder, 'config.yml')
  ;[port, httpPort] = await Promise.all([freePort(), freePort()])
  write('auto: true, names: [a.example]')
  berth = await startBerth({ args: [config, '--addr', `127.0.0.1:${port}`, '--data', join(folder, 'data')] })
}, 180_000)
afterAll(async () => {
  await berth?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

async function names(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
    resolve(new X509Certificate(socket.getPeerCertificate().raw).subjectAltName ?? '')
    socket.destroy()
  })
  socket.on('error', reject)
  return await promise
}

const door = () =>
  fetch(`http://127.0.0.1:${httpPort}/`, { redirect: 'manual' }).then(
    ({ status }) => status,
    () => 'closed',
  )

test('a changed configuration goes from one way to a certificate to another, and no request is lost', async () => {
  const steady = steadily((keepalive) =>
    fetch(`https://127.0.0.1:${port}/v2/`, { keepalive, tls: { rejectUnauthorized: false } }),
  )
  expect(await names()).toContain('DNS:a.example')
  write('auto: true, names: [a.example, b.example]')
  await within('a further name', names, (shown) => shown.includes('DNS:b.example'))

  const acme = `letsencrypt: {hosts: [c.example], directoryurl: "https://127.0.0.1:1/dir", httpaddr: "127.0.0.1:${httpPort}"}`
  write(acme)
  await within(
    'a placeholder',
    () => shownName(port),
    (name) => name === 'Berth waits for its certificate',
  )
  await within('the door for challenges', door, (status) => status === 308)

  // What cannot be had is logged, and what was before stays.
  const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  write(acme.replace(`:${httpPort}"`, `:${taken.port}"`))
  await within(
    'a refusal',
    () => berth.log(),
    (log) =>
      log.includes(
        `cannot listen on 127.0.0.1:${taken.port}: another program does; choose another address with letsencrypt.httpaddr`,
      ),
  )
  expect([await shownName(port), await door()]).toEqual(['Berth waits for its certificate', 308])
  taken.stop()

  const pair = writePair(folder, 'files', { commonName: 'from files', kind: 'ec' })
  write(`certificate: ${pair.certificate}, key: ${pair.key}`)
  await within(
    'files',
    () => shownName(port),
    (name) => name === 'from files',
  )
  await within('the closed door', door, (status) => status === 'closed')

  write('auto: true')
  await within('its own', names, (shown) => shown.includes('DNS:localhost'))
  expect((await steady.end()).failures).toEqual([])
}, 180_000)
