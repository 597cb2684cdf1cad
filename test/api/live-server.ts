import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { selfSignedCertificate, toPem } from '../../src/x509/certificate.ts'
import type { Pair } from '../certificates.ts'

const DAY = 86_400_000
/** Milliseconds that a change may take to be noticed, on however busy a machine, before that is a failure; what it took is printed. */
const PATIENCE = 60_000

/**
 * Waits until `check` holds, and prints how long that took.
 * @throws Error with what was seen last when it does not.
 */
export async function within<T>(what: string, see: () => T | Promise<T>, wanted: (seen: T) => boolean): Promise<T> {
  const start = performance.now()
  for (;;) {
    const seen = await see()
    const took = Math.round(performance.now() - start)
    if (wanted(seen)) {
      process.stderr.write(`      ${what}: ${took} ms\n`)
      return seen
    }
    if (took > PATIENCE) throw new Error(`${what}: not after ${took} ms; last seen: ${JSON.stringify(seen)}`)
    await Bun.sleep(20)
  }
}

/** Requests of a stream, however soon it is told to end: some come after the change. */
const AT_LEAST = 10

export interface Steady {
  /** Ends it; what went wrong, each once. */
  end(): Promise<{ failures: string[] }>
}

/** Clients that do a thing again and again, until told to end: one that keeps its connection, and one that does not. */
export function steadily(work: (keepalive: boolean) => Promise<Response>, expected = 200): Steady {
  let asking = true
  let requests = 0
  const failures = new Set<string>()
  const client = async (keepalive: boolean) => {
    while (asking || requests < AT_LEAST) {
      try {
        const response = await work(keepalive)
        const text = await response.text()
        if (response.status !== expected) failures.add(`${response.status} ${text.slice(0, 300)}`)
      } catch (error) {
        failures.add(String(error))
      }
      requests++
      await Bun.sleep(2)
    }
  }
  const clients = [client(true), client(false)]
  return {
    async end() {
      asking = false
      await Promise.all(clients)
      return { failures: [...failures] }
    },
  }
}

/** A self-signed pair, `NAME.crt` and `NAME.key`, in place of what was there. */
export function writePair(folder: string, name: string, options: { commonName: string; kind: 'rsa' | 'ec' }): Pair {
  mkdirSync(folder, { recursive: true })
  const { commonName, kind } = options
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const notBefore = new Date(Date.now() - DAY)
  const notAfter = new Date(Date.now() + DAY)
  const serial = Uint8Array.of(1, ...randomBytes(8))
  const der = selfSignedCertificate({ privateKey, publicKey, commonName, serial, notBefore, notAfter })
  const pair = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  writeFileSync(pair.certificate, toPem('CERTIFICATE', der))
  writeFileSync(pair.key, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
  return pair
}

/** As editors and `mv` do it: another file takes the name. */
export function replaceByRename(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** The common name that a new connection is shown. */
export async function shownName(port: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
    resolve(String(socket.getPeerCertificate().subject?.CN))
    socket.destroy()
  })
  socket.on('error', reject)
  return await promise
}

export const basic = (user: string, password: string): Record<string, string> => ({
  Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
})

/** bcrypt, as cheap as it gets. */
export const hashOf = (password: string): Promise<string> =>
  Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })

/** The claims and the header of a token. */
export function partsOf(token: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header, claims] = token
    .split('.', 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>)
  return { header: header ?? {}, claims: claims ?? {} }
}
