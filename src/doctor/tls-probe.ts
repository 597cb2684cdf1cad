import { X509Certificate } from 'node:crypto'
import { connect as connectPlain, isIP } from 'node:net'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'

/** What answers at an address: TLS with a chain of certificates (leaf first), something without TLS, or nobody. */
export type TlsProbe =
  | { kind: 'tls'; chain: readonly X509Certificate[] }
  | { kind: 'plain' }
  | { kind: 'unreachable'; reason: string }

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name cannot be looked up',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'it does not answer in time',
}

/** `host` without brackets. Any certificate is taken: nothing is sent but the greeting. Never throws. */
export async function probeTls(host: string, port: number, timeoutMs: number): Promise<TlsProbe> {
  const reason = await reachable(host, port, timeoutMs)
  if (reason !== undefined) return { kind: 'unreachable', reason }
  const chain = await handshake(host, port, timeoutMs)
  return chain === undefined ? { kind: 'plain' } : { kind: 'tls', chain }
}

function reachable(host: string, port: number, timeoutMs: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const socket = connectPlain({ host, port })
  const end = (reason: string | undefined) => {
    clearTimeout(timer)
    socket.destroy()
    resolve(reason)
  }
  const timer = setTimeout(() => end(REASONS.ETIMEDOUT), timeoutMs)
  socket.once('connect', () => end(undefined))
  socket.once('error', (error: NodeJS.ErrnoException) => end(REASONS[error.code ?? ''] ?? error.message))
  return promise
}

/** Undefined: there is no TLS. */
function handshake(host: string, port: number, timeoutMs: number): Promise<X509Certificate[] | undefined> {
  const { promise, resolve } = Promise.withResolvers<X509Certificate[] | undefined>()
  const name = isIP(host) === 0 ? { servername: host } : {}
  let socket: TLSSocket | undefined
  const end = (chain: X509Certificate[] | undefined) => {
    clearTimeout(timer)
    socket?.destroy()
    resolve(chain)
  }
  const timer = setTimeout(() => end(undefined), timeoutMs)
  socket = connect({ host, port, rejectUnauthorized: false, ...name })
  socket.once('secureConnect', () => end(socket === undefined ? undefined : chainOf(socket)))
  socket.once('error', () => end(undefined))
  socket.once('close', () => end(undefined))
  return promise
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = []
  let current = socket.getPeerCertificate(true) as PeerCertificate & { issuerCertificate?: PeerCertificate }
  while (current?.raw !== undefined && !chain.some(({ raw }) => raw.equals(current.raw))) {
    chain.push(new X509Certificate(current.raw))
    const next = current.issuerCertificate
    if (next === undefined) break
    current = next
  }
  return chain
}
