import { UpstreamError } from './error.ts'
import { withPatience } from './patience.ts'
import { DOCKER_HUB } from './reference.ts'
import type { Trust } from './trust.ts'
import { unreachable } from './unreachable.ts'

export interface TransportOptions {
  trust: (registry: string) => Trust
  /** Certificates are not checked, and plain HTTP is tried where HTTPS does not answer. */
  insecure?: boolean
  plainHttp?: boolean
  /** Sent with every request to a registry. */
  headers?: Readonly<Record<string, string>>
  userAgent: string
  /** Where a `host:port` is (an address, in brackets where it is one of IPv6), in place of what its name says. */
  addresses?: ReadonlyMap<string, string>
  /** Milliseconds in which nothing moves, before the answer or in the middle of a body. */
  timeoutMs?: number
  /** How often a request that may be repeated is tried again. */
  retries?: number
  /** Milliseconds before the first repetition; each further one waits twice as long. */
  retryDelayMs?: number
  /** Ends everything that is under way. */
  signal?: AbortSignal | undefined
  /** Told of each request that was answered: for those who want to see. */
  trace?: (line: string) => void
}

export interface HttpRequest {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  headers?: Readonly<Record<string, string>>
  /** Made anew for each try; undefined: none. */
  body?: () => NonNullable<BunFetchRequestInit['body']>
  /** Whether it may be sent again after a fault in between. GET and HEAD always may. */
  repeatable?: boolean
  /** Milliseconds to wait for the answer besides, for what takes the registry long. */
  extraMs?: number
  /** What ends it, in place of what ends everything. */
  signal?: AbortSignal | undefined
}

/** HTTP to registries: TLS, redirects, repetitions. Answers of any status are answers, not errors. */
export interface Transport {
  /** `https://host:port` of a registry's API, found out at the first use. @throws UpstreamError */
  baseOf(registry: string): Promise<string>
  /** @throws UpstreamError `network` or `tls` when there is no answer */
  send(registry: string, request: HttpRequest): Promise<Response>
}

const TIMEOUT = 60_000
const RETRIES = 2
export const RETRY_DELAY = 500
/** Milliseconds that a Retry-After may ask for and still be heeded. */
const LONGEST_WAIT = 30_000
const REDIRECTS = 5

export function createTransport(options: TransportOptions): Transport {
  const { trust, insecure = false, plainHttp = false, userAgent, retries = RETRIES, signal } = options
  const bases = new Map<string, Promise<string>>()

  async function once(registry: string, request: HttpRequest, url: string, headers: Headers): Promise<Response> {
    const { ca, cert, key } = trust(registry)
    const patience = new AbortController()
    const limit = options.timeoutMs ?? TIMEOUT
    const late = () => patience.abort(new DOMException('no answer in time', 'TimeoutError'))
    let timer: Timer | undefined
    let isOver = false
    // A body that is being sent is no silence, and waiting for the next bytes of it is not the registry's.
    const clock = {
      stop: () => clearTimeout(timer),
      start() {
        if (!isOver) timer = setTimeout(late, limit + (request.extraMs ?? 0))
      },
    }
    clock.start()
    const ends = request.signal ?? signal
    try {
      const body = request.body?.()
      const place = placeOf(url)
      const init: BunFetchRequestInit = {
        method: request.method,
        headers: place.host === undefined ? headers : new Headers([...headers, ['Host', place.host]]),
        redirect: 'manual',
        // The bytes are what counts, as they were pushed.
        decompress: false,
        signal: ends === undefined ? patience.signal : AbortSignal.any([ends, patience.signal]),
        ...(body === undefined ? {} : { body: body instanceof ReadableStream ? watched(body, clock) : body }),
        ...(url.startsWith('https:')
          ? {
              tls: {
                rejectUnauthorized: !insecure && !isLoopback(new URL(url).hostname),
                ...(place.host === undefined ? {} : { serverName: new URL(url).hostname }),
                ...(ca === undefined ? {} : { ca }),
                ...(cert === undefined ? {} : { cert }),
                ...(key === undefined ? {} : { key }),
              },
            }
          : {}),
      }
      const response = await fetch(place.url, init)
      options.trace?.(`${request.method} ${url} ${response.status}`)
      return withPatience(response, limit)
    } catch (error) {
      if (ends?.aborted === true) throw ends.reason
      throw unreachable(url, error)
    } finally {
      isOver = true
      clock.stop()
    }
  }

  /** What is connected to for an address; `host`: what it is called there, where that is another. */
  function placeOf(url: string): { url: string; host?: string } {
    if (options.addresses === undefined || options.addresses.size === 0) return { url }
    const at = new URL(url)
    const port = at.port || (at.protocol === 'https:' ? '443' : '80')
    const address = options.addresses.get(`${at.hostname}:${port}`)
    if (address === undefined) return { url }
    const { host } = at
    at.hostname = address
    return { url: at.href, host }
  }

  /** A registry may send readers to its storage; what lets them into the registry stays behind (RFC 9110 section 15.4). */
  async function following(registry: string, request: HttpRequest): Promise<Response> {
    let { url } = request
    // A registry may name another host for an upload, a page or its token server, too.
    const isOwn = new URL(url).origin === new URL(await baseOf(registry)).origin
    const headers = new Headers({
      'User-Agent': userAgent,
      'Accept-Encoding': 'identity',
      ...(isOwn ? options.headers : {}),
      ...request.headers,
    })
    for (let redirect = 0; redirect <= REDIRECTS; redirect++) {
      const response = await once(registry, request, url, headers)
      const location = response.headers.get('location')
      const isRedirect = [301, 302, 303, 307, 308].includes(response.status) && location !== null
      if (!isRedirect || (request.method !== 'GET' && request.method !== 'HEAD')) return response
      await response.body?.cancel()
      const next = URL.parse(location, url)
      if (next === null || !/^https?:$/.test(next.protocol)) {
        throw new UpstreamError(
          'invalid',
          `${url} leads to ${JSON.stringify(location.slice(0, 200))}, which is no address`,
        )
      }
      if (next.origin !== new URL(url).origin) {
        for (const name of ['authorization', 'cookie', ...Object.keys(options.headers ?? {})]) headers.delete(name)
      }
      url = next.href
    }
    throw new UpstreamError('invalid', `${request.url} leads from one address to the next without end`)
  }

  async function send(registry: string, request: HttpRequest): Promise<Response> {
    const repeatable = request.repeatable ?? (request.method === 'GET' || request.method === 'HEAD')
    for (let attempt = 0; ; attempt++) {
      const isLast = !repeatable || attempt >= retries
      try {
        const response = await following(registry, request)
        const wait = waitAfter(response, (options.retryDelayMs ?? RETRY_DELAY) * 2 ** attempt)
        if (isLast || wait === undefined) return response
        await response.body?.cancel()
        await pause(wait, signal)
      } catch (error) {
        const isPassing = error instanceof UpstreamError && error.fault === 'network'
        if (isLast || !isPassing) throw error
        await pause((options.retryDelayMs ?? RETRY_DELAY) * 2 ** attempt, signal)
      }
    }
  }

  /** docker: HTTPS first; plain HTTP only where it is asked for, or on this machine. */
  async function findBase(registry: string): Promise<string> {
    if (registry === DOCKER_HUB) return 'https://registry-1.docker.io'
    if (plainHttp) return `http://${registry}`
    const secure = `https://${registry}`
    if (!insecure && !isLoopback(hostnameOf(registry))) return secure
    try {
      const response = await once(
        registry,
        { method: 'GET', url: `${secure}/v2/` },
        `${secure}/v2/`,
        new Headers({ 'User-Agent': userAgent }),
      )
      await response.body?.cancel()
      return secure
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      return `http://${registry}`
    }
  }

  function baseOf(registry: string): Promise<string> {
    const known = bases.get(registry) ?? findBase(registry)
    bases.set(registry, known)
    known.catch(() => bases.delete(registry))
    return known
  }

  return { baseOf, send }
}

/** The same stream; the clock stands still while its next bytes are awaited. */
function watched(body: ReadableStream<Uint8Array>, clock: { stop(): void; start(): void }): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        clock.stop()
        const { done, value } = await reader.read()
        clock.start()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel(reason) {
        clock.stop()
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}

/** Whether the same may be answered in another way a moment later. */
export function isPassing(status: number | undefined): boolean {
  return status === 429 || status === 502 || status === 503 || status === 504
}

/** Milliseconds to wait before the same is asked again; undefined: the answer stands. */
function waitAfter(response: Response, delay: number): number | undefined {
  if (!isPassing(response.status)) return undefined
  const text = response.headers.get('retry-after') ?? ''
  const wait = /^\d{1,6}$/.test(text) ? Number(text) * 1000 : delay
  return wait > LONGEST_WAIT ? undefined : wait
}

/** @throws whatever the signal was aborted with */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stop = () => reject(signal?.reason)
  const timer = setTimeout(resolve, ms)
  if (signal?.aborted === true) stop()
  signal?.addEventListener('abort', stop, { once: true })
  try {
    await promise
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

function hostnameOf(registry: string): string {
  return registry.replace(/:\d+$/, '')
}

/** Where docker takes plain HTTP and any certificate without being told. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || /^127\.\d+\.\d+\.\d+$/.test(hostname) || hostname === '[::1]'
}
