import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { basename, dirname } from 'node:path'
import { RegistryError } from '../oci/error.ts'
import { errorResponse } from './errors.ts'
import type { Connection, Fetch } from './server.ts'

export type Address = { kind: 'tcp'; hostname: string; port: number } | { kind: 'unix'; path: string }

export interface ListenOptions {
  address: Address
  tls?: { certificate: string; key: string; minVersion: 'TLSv1.2' | 'TLSv1.3' } | undefined
  fetch: Fetch
  /** Called once a request is answered (its body may still be on its way); undefined: nobody wants to know. */
  onAnswer?: ((request: Request, response: Response, peer: string | undefined) => void) | undefined
  onError: (error: unknown) => void
}

export interface Listener {
  /** `http://127.0.0.1:5000`, or `unix:/path`. */
  url: string
  port: number | undefined
  /** Whether it listens on every address of the machine. */
  everywhere: boolean
  /** Takes no new connection, lets running requests finish for up to `drainMs`, then ends what is left. */
  stop(drainMs: number): Promise<void>
}

/** Seconds without a byte in either direction after which a connection is closed, unless a handler takes its time. */
const IDLE_SECONDS = 120
/** Bytes of a unix socket's path that the kernel takes. */
const MAX_SOCKET_PATH = 100

/** @throws Error with a text for the user when the address cannot be had or the certificate not be read. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { address, tls, fetch, onAnswer, onError } = options
  const secure = tls !== undefined
  const secured = tls === undefined ? {} : { tls: await tlsOptions(tls) }
  const socket = address.kind === 'unix' ? await openSocketPath(address.path) : undefined

  const handle = (request: Request, server: Bun.Server<undefined>): Response | Promise<Response> => {
    let patient = false
    const connection: Connection = {
      secure,
      peer: () => server.requestIP(request)?.address,
      unhurried: () => {
        patient = true
        server.timeout(request, 0)
      },
    }
    const response = fetch(request, connection)
    const answered = (done: Response) => {
      // The time-out belongs to the connection, which would outlive its client for ever otherwise.
      if (patient) server.timeout(request, IDLE_SECONDS)
      onAnswer?.(request, done, connection.peer())
      return done
    }
    return response instanceof Promise ? response.then(answered) : answered(response)
  }

  const common = {
    fetch: handle,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false as const,
    error: (error: unknown) => lateFailure(error, onError),
  }
  let server: Bun.Server<undefined>
  try {
    if (address.kind === 'unix') {
      const path = socket?.path ?? address.path
      server = Bun.serve({ ...common, unix: path })
      chmodSync(path, 0o600)
    } else {
      const { port } = address
      // Outside development the runtime would share the port with another process, and neither would notice.
      const exclusive = { idleTimeout: IDLE_SECONDS, reusePort: false }
      const serveOn = (hostname: string) => Bun.serve({ ...common, ...secured, ...exclusive, hostname, port })
      server = onEveryAddress(address.hostname, serveOn)
    }
  } catch (error) {
    throw listenError(address, error)
  }

  const url = address.kind === 'unix' ? `unix:${address.path}` : urlOf(address.hostname, server.port ?? 0, secure)
  return {
    url,
    port: server.port,
    everywhere: address.kind === 'tcp' && isEvery(address.hostname),
    async stop(drainMs) {
      const deadline = performance.now() + drainMs
      void server.stop()
      while (server.pendingRequests > 0 && performance.now() < deadline) await Bun.sleep(20)
      await server.stop(true)
      socket?.remove()
    },
  }
}

/** `::` takes IPv4 too; a machine without IPv6 has `0.0.0.0` for it. */
function onEveryAddress<T>(hostname: string, serveOn: (hostname: string) => T): T {
  try {
    return serveOn(hostname)
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    if (hostname !== '::' || isTaken) throw error
    return serveOn('0.0.0.0')
  }
}

function isEvery(hostname: string): boolean {
  return hostname === '0.0.0.0' || hostname === '::'
}

function urlOf(hostname: string, port: number, secure: boolean): string {
  const host = isEvery(hostname) ? 'localhost' : hostname.includes(':') ? `[${hostname}]` : hostname
  return `${secure ? 'https' : 'http'}://${host}:${port}`
}

/** What failed after the handler had answered: the stored file vanished before it was opened. */
function lateFailure(error: unknown, onError: (error: unknown) => void): Response {
  const vanished = error instanceof Error && 'code' in error && error.code === 'ENOENT'
  if (!vanished) onError(error)
  return errorResponse(vanished ? new RegistryError('BLOB_UNKNOWN') : error)
}

/** The runtime takes the numbers of the protocol (RFC 8446 section 4.2.1), not their names. */
const MIN_VERSION = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const

async function tlsOptions(tls: { certificate: string; key: string; minVersion: 'TLSv1.2' | 'TLSv1.3' }) {
  const read = async (what: string, path: string) => {
    try {
      return await Bun.file(path).text()
    } catch (cause) {
      throw new Error(`cannot read the TLS ${what} ${path}: ${cause instanceof Error ? cause.message : cause}`)
    }
  }
  const [cert, key] = await Promise.all([read('certificate', tls.certificate), read('key', tls.key)])
  return { cert, key, minVersion: MIN_VERSION[tls.minVersion] }
}

function listenError(address: Address, error: unknown): Error {
  const where =
    address.kind === 'unix' ? address.path : `${isEvery(address.hostname) ? '' : address.hostname}:${address.port}`
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error))
  return new Error(`cannot listen on ${where}: ${reason}`, { cause: error })
}

const REASONS: Record<string, string> = {
  EADDRINUSE: 'another program does; choose another address with --addr HOST:PORT or http.addr',
  EACCES: 'no permission; ports below 1024 need root',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOENT: 'there is no such host or folder',
}

/**
 * Makes way for a unix socket: removes one that nobody listens on any more, and finds a spelling of its path that is
 * short enough for the kernel.
 */
async function openSocketPath(path: string): Promise<{ path: string; remove: () => void }> {
  const short = shortSocketPath(path)
  if (await isListening(short.path)) {
    short.close()
    throw new Error(`${path} is in use by another program`)
  }
  rmSync(path, { force: true })
  return {
    path: short.path,
    remove() {
      rmSync(path, { force: true })
      short.close()
    },
  }
}

/** A path for bind and connect: through an open descriptor of the folder where the path itself is too long. */
export function shortSocketPath(path: string): { path: string; close: () => void } {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { path, close: () => {} }
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  return { path: `/proc/self/fd/${folder}/${basename(path)}`, close: () => closeSync(folder) }
}

function isListening(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = createConnection(path)
  socket.once('connect', () => {
    socket.destroy()
    resolve(true)
  })
  socket.once('error', () => resolve(false))
  return promise
}
