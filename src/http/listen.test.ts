import { afterEach, expect, test } from 'bun:test'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { type Listener, listen } from './listen.ts'
import type { Tls } from './tls.ts'

const DAY = 86_400_000
const folders: string[] = []
const listeners: Listener[] = []

afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.stop(0)
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function certificate(): { tls: Tls; replace: (name: string) => void } {
  const folder = mkdtempSync(join(tmpdir(), 'berth-listen-'))
  folders.push(folder)
  const tls = { certificate: join(folder, 'c.pem'), key: join(folder, 'k.pem'), minVersion: 'TLSv1.2' as const }
  const replace = (name: string) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const notBefore = new Date(Date.now() - DAY)
    const notAfter = new Date(Date.now() + DAY)
    const serial = Uint8Array.of(1, ...randomBytes(8))
    const der = selfSignedCertificate({ privateKey, publicKey, commonName: name, serial, notBefore, notAfter })
    writeFileSync(tls.certificate, toPem('CERTIFICATE', der))
    writeFileSync(tls.key, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  }
  return { tls, replace }
}

async function start(tls: Tls): Promise<Listener> {
  const listener = await listen({
    address: { kind: 'tcp', hostname: '127.0.0.1', port: 0 },
    tls,
    fetch: () => new Response('ok'),
    onError: () => {},
  })
  listeners.push(listener)
  return listener
}

/** The common name that a new connection is shown. */
async function shown({ port }: Listener, client: ConnectionOptions = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host: '127.0.0.1', port: port ?? 0, rejectUnauthorized: false, ...client }, () => {
    resolve(String(socket.getPeerCertificate().subject?.CN))
    socket.destroy()
  })
  socket.on('error', reject)
  return await promise
}

async function failure(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'no failure',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
}

test('a renewed certificate is shown to new connections, and no request of the old ones fails', async () => {
  const { tls, replace } = certificate()
  replace('first')
  const listener = await start(tls)
  expect(await shown(listener)).toBe('first')
  let asking = true
  const answers: string[] = []
  const client = async (keepalive: boolean) => {
    while (asking) {
      const answer = fetch(listener.url, { tls: { rejectUnauthorized: false }, keepalive })
      answers.push(await answer.then((response) => response.text(), String))
    }
  }
  const clients = [client(true), client(false), client(false)]
  for (const name of ['second', 'third', 'fourth']) {
    replace(name)
    expect(await listener.renew(tls)).toBe(true)
    expect(await shown(listener)).toBe(name)
  }
  // On a busy machine few requests fit in between; some come after the last change, too.
  while (answers.length < 100) await Bun.sleep(5)
  asking = false
  await Promise.all(clients)
  expect(new Set(answers)).toEqual(new Set(['ok']))
})

test('files that have not changed renew nothing', async () => {
  const { tls, replace } = certificate()
  replace('same')
  const listener = await start(tls)
  expect(await listener.renew(tls)).toBe(false)
})

test('a certificate without its key is refused, and the old one stays', async () => {
  const { tls, replace } = certificate()
  replace('good')
  const listener = await start(tls)
  const other = certificate()
  other.replace('bad')
  const mixed = { ...tls, certificate: other.tls.certificate }
  expect(await failure(listener.renew(mixed))).toStartWith(`cannot use the TLS certificate ${mixed.certificate}: `)
  expect(await failure(listener.renew({ ...tls, key: '/nowhere' }))).toStartWith('cannot read the TLS key /nowhere')
  expect(await shown(listener)).toBe('good')
  replace('better')
  expect(await listener.renew(tls)).toBe(true)
  expect(await shown(listener)).toBe('better')
})

test('a port that another listener has is refused, with TLS too', async () => {
  const { tls, replace } = certificate()
  replace('one')
  const { port = 0 } = await start(tls)
  const again = listen({
    address: { kind: 'tcp', hostname: '127.0.0.1', port },
    tls,
    fetch: () => new Response('other'),
    onError: () => {},
  })
  expect(await failure(again)).toStartWith(`cannot listen on 127.0.0.1:${port}: another program does`)
})

test('suites and curves are those that were asked for', async () => {
  const { tls, replace } = certificate()
  replace('picky')
  const listener = await start({ ...tls, ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384', curves: 'P-384' })
  const offer = (ciphers: string, ecdhCurve: string) =>
    shown(listener, { maxVersion: 'TLSv1.2', ciphers, ecdhCurve }).catch(() => 'no connection')
  // The certificate's own key is of P-256, so a client must know that in any case.
  expect(await offer('ECDHE-ECDSA-AES256-GCM-SHA384', 'P-256:P-384')).toBe('picky')
  expect(await offer('ECDHE-ECDSA-AES128-GCM-SHA256', 'P-256:P-384')).toBe('no connection')
  expect(await offer('ECDHE-ECDSA-AES256-GCM-SHA384', 'P-256')).toBe('no connection')
})

test('the path of a unix socket is made free of a socket that nobody serves, and of nothing else', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-listen-'))
  folders.push(folder)
  const path = join(folder, 'file')
  writeFileSync(path, 'precious')
  const options = { address: { kind: 'unix', path }, fetch: () => new Response('ok'), onError: () => {} } as const
  expect(await failure(listen(options))).toContain('there is something that is no socket')
  expect(readFileSync(path, 'utf8')).toBe('precious')
  rmSync(path)
  const listener = await listen(options)
  listeners.push(listener)
  expect(await (await fetch('http://x/', { unix: path })).text()).toBe('ok')
})

test('a request is pending until its answer has gone out', async () => {
  const held = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  const listener = await listen({
    address: { kind: 'tcp', hostname: '127.0.0.1', port: 0 },
    fetch: async () => {
      asked.resolve()
      await held.promise
      return new Response('ok')
    },
    onError: () => {},
  })
  listeners.push(listener)
  expect(listener.pending()).toBe(0)
  const answer = fetch(listener.url)
  await asked.promise
  expect(listener.pending()).toBe(1)
  held.resolve()
  expect(await (await answer).text()).toBe('ok')
  while (listener.pending() > 0) await Bun.sleep(1)
})
