import { chmodSync, closeSync, constants, lstatSync, openSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { basename, dirname } from 'node:path'
import { answerToFile } from '../registry/faults.ts'
import { errorResponse } from './errors.ts'
import { preferLastSocket } from './handover.ts'
import type { Connection, Fetch } from './server.ts'
import { type Tls, tlsOptions } from './tls.ts'

export type Address = { kind: 'tcp'; hostname: string; port: number } | { kind: 'unix'; path: string }

export interface ListenOptions {
  address: Address
  /** What the address is called in the configuration, for messages. */
  setting?: string
  tls?: Tls | undefined
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
  /** Requests that are not wholly answered: their bodies may still be on their way, in either direction. */
  pending(): number
  /**
   * Answers new connections with these files' certificate as it is now; open ones go on with the old one. Resolves to whether
   * anything changed. @throws Error with a text for the user when they cannot be used: the old certificate stays.
   */
  renew(tls: Tls): Promise<boolean>
  /** Takes no new connection, lets running requests finish for up to `drainMs`, then ends what is left. */
  stop(drainMs: number): Promise<void>
}

/** Seconds without a byte in either direction after which a connection is closed, unless a handler takes its time. */
const IDLE_SECONDS = 120
/** Milliseconds in which connections that wait in a socket's queue are taken from it. */
const HANDOVER_MS = 100
/** Milliseconds after which no connection of an earlier certificate is idle any more: those have timed out by then. */
const LINGER_MS = (IDLE_SECONDS + 10) * 1000
/** Bytes of a unix socket's path that the kernel takes. */
const MAX_SOCKET_PATH = 100

/** @throws Error with a text for the user when the address cannot be had or the certificate not be read. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { address, tls, fetch, onAnswer, onError } = options
  const secure = tls !== undefined
  let secrets = tls === undefined ? undefined : await tlsOptions(tls)
  const socket = address.kind === 'unix' ? await openSocketPath(address.path) : undefined

  /** Of earlier certificates, whose connections may still be in use. */
  const retired = new Set<Bun.Server<undefined>>()

  const handle = (request: Request, server: Bun.Server<undefined>): Response | Promise<Response> => {
    let patient = false
    const connection: Connection = {
      secure,
      peer: () => server.requestIP(request)?.address,
      port: () => server.requestIP(request)?.port,
      unhurried: () => {
        patient = true
        server.timeout(request, 0)
      },
    }
    const response = fetch(request, connection)
    const answered = (done: Response) => {
      // The time-out belongs to the connection, which would outlive its client for ever otherwise.
      if (patient) server.timeout(request, IDLE_SECONDS)
      // A client that hears of it does not send into a connection that is being closed (RFC 9112 section 9.6).
      if (retired.has(server)) done.headers.set('Connection', 'close')
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
  const open = (hostname: string, port: number, shared: boolean): Bun.Server<undefined> => {
    const secured = secrets === undefined ? {} : { tls: secrets }
    return Bun.serve({ ...common, ...secured, idleTimeout: IDLE_SECONDS, reusePort: shared, hostname, port })
  }
  let server: Bun.Server<undefined>
  let hostname = address.kind === 'tcp' ? address.hostname : ''
  try {
    if (address.kind === 'unix') {
      const path = socket?.path ?? address.path
      // Ten seconds otherwise: a plan of a large registry may say nothing for longer.
      const unhurried: typeof common = { ...common, ...{ idleTimeout: IDLE_SECONDS } }
      server = Bun.serve({ ...unhurried, unix: path })
      chmodSync(path, 0o600)
    } else {
      // Outside development the runtime would share the port with another process, and neither would notice.
      server = onEveryAddress(hostname, (name) => {
        hostname = name
        return open(name, address.port, false)
      })
      // A certificate is renewed by a second socket on the same port, which both must allow. The first proved the port free.
      if (secure) server = await reopen(server, (port) => open(hostname, port, true))
    }
  } catch (error) {
    throw listenError(address, error, options.setting ?? '--addr HOST:PORT or http.addr')
  }
  /** Ends the socket that was retired last, which still listens so that its idle connections stay. */
  let endLingering = () => {}

  let renewing = Promise.resolve(false)

  async function renew(next: Tls): Promise<boolean> {
    const fresh = await tlsOptions(next)
    if (secrets === undefined || JSON.stringify(fresh) === JSON.stringify(secrets)) return false
    // Of three sockets it could not be said which one gets the connections.
    endLingering()
    const before = secrets
    secrets = fresh
    const old = server
    try {
      server = open(hostname, old.port ?? 0, true)
    } catch (error) {
      secrets = before
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`cannot use the TLS certificate ${next.certificate}: ${reason}`, { cause: error })
    }
    retired.add(old)
    const isPreferred = preferLastSocket(old.port ?? 0)
    // What has begun to connect to the old socket gets its answer there.
    await Bun.sleep(HANDOVER_MS)
    if (isPreferred) linger(old)
    else void old.stop()
    return true
  }

  function linger(old: Bun.Server<undefined>): void {
    const end = () => {
      clearTimeout(timer)
      void old.stop()
    }
    const timer = setTimeout(end, LINGER_MS)
    timer.unref()
    endLingering = end
  }

  const url = address.kind === 'unix' ? `unix:${address.path}` : urlOf(address.hostname, server.port ?? 0, secure)
  return {
    url,
    port: server.port,
    everywhere: address.kind === 'tcp' && isEvery(address.hostname),
    pending: () => [...retired, server].reduce((sum, { pendingRequests }) => sum + pendingRequests, 0),
    renew(next) {
      renewing = renewing.then(
        () => renew(next),
        () => renew(next),
      )
      return renewing
    },
    async stop(drainMs) {
      const deadline = performance.now() + drainMs
      endLingering()
      const servers = [...retired, server]
      for (const each of servers) void each.stop()
      const busy = () => servers.some((each) => each.pendingRequests > 0)
      while (busy() && performance.now() < deadline) await Bun.sleep(20)
      for (const each of servers) await each.stop(true)
      socket?.remove()
    },
  }
}

async function reopen(
  server: Bun.Server<undefined>,
  open: (port: number) => Bun.Server<undefined>,
): Promise<Bun.Server<undefined>> {
  const port = server.port ?? 0
  await server.stop(true)
  return open(port)
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

/** What failed after the handler had answered: the stored file vanished before it was opened, or may not be. */
function lateFailure(error: unknown, onError: (error: unknown) => void): Response {
  const known = answerToFile(error)
  if (known?.code !== 'BLOB_UNKNOWN') onError(error)
  return errorResponse(known ?? error)
}

function listenError(address: Address, error: unknown, setting: string): Error {
  const where =
    address.kind === 'unix' ? address.path : `${isEvery(address.hostname) ? '' : address.hostname}:${address.port}`
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reason =
    code === 'EADDRINUSE'
      ? `another program does; choose another address with ${setting}`
      : (REASONS[code] ?? (error instanceof Error ? error.message : String(error)))
  return new Error(`cannot listen on ${where}: ${reason}`, { cause: error })
}

const REASONS: Record<string, string> = {
  EACCES: 'no permission; ports below 1024 need root',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOENT: 'there is no such host or folder',
}

/**
 * Makes way for a unix socket: removes one that nobody listens on any more, and finds a spelling of its path that is
 * short enough for the kernel.
 */
async function openSocketPath(path: string): Promise<{ path: string; remove: () => void }> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  const short = shortSocketPath(path)
  if (found !== undefined && (await isListening(short.path))) {
    short.close()
    throw new Error(`${path} is in use by another program`)
  }
  if (found?.isSocket() === false) {
    short.close()
    throw new Error(`cannot listen on ${path}: there is something that is no socket; remove it, or choose another path`)
  }
  rmSync(path, { force: true })
  return {
    path: short.path,
    remove() {
      try {
        rmSync(path, { force: true })
      } catch {
        // A disk that has become read-only must not keep the server from ending; the next start finds that nobody listens.
      }
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
