/** Where a notification goes. */
export interface Receiver {
  /** May hold a name and a password, which become a header. */
  url: string
  headers: Readonly<Record<string, readonly string[]>>
  timeoutMs: number
  mediaType: string
}

export interface Answer {
  accepted: boolean
  /** Undefined where there was no answer. */
  status: number | undefined
  /** `200 OK`, or what kept it from being answered. */
  code: string
  /** For lists and logs: never holds the URL or a header. */
  text: string
  /** Milliseconds. */
  tookMs: number
}

/** Steps of a redirect that repeats the request. */
const MAX_STEPS = 3

/** The machine's own authorities count, as in the original. */
let authorities: string[] | undefined

/**
 * Sends one envelope. Never rejects. Accepted is what distribution accepts: 2xx and 3xx.
 *
 * A redirect that has the request repeated as it is (307, 308: RFC 9110 section 15.4) is followed on the same host, for nothing was
 * delivered yet; to another host it is a failure: the headers are meant for the one that was configured. Other redirects would
 * turn the request into a GET, which tells nobody anything: they count as they are, and are not followed.
 */
export async function postEvent(receiver: Receiver, body: string, signal: AbortSignal): Promise<Answer> {
  const start = performance.now()
  const answer = (accepted: boolean, status: number | undefined, code: string, more = ''): Answer => ({
    accepted,
    status,
    code,
    text: `${code} ${more}`.trim(),
    tookMs: Math.round(performance.now() - start),
  })
  try {
    const { target, headers } = prepare(receiver)
    // One time for all steps.
    const limit = AbortSignal.any([signal, AbortSignal.timeout(receiver.timeoutMs)])
    let url = target
    for (let step = 0; ; step++) {
      const { status, location } = await send(url, headers, body, limit)
      const text = await codeOf(status)
      if (status !== 307 && status !== 308) return answer(status >= 200 && status < 400, status, text)
      const next = location === null || !URL.canParse(location, url.href) ? undefined : new URL(location, url)
      if (next === undefined) return answer(false, status, text, 'to nowhere')
      if (!isSameHost(target, next)) return answer(false, status, text, 'to another host, which is not followed')
      if (step >= MAX_STEPS) return answer(false, status, text, 'again and again')
      url = next
    }
  } catch (error) {
    return answer(false, undefined, signal.aborted ? 'the server was stopped' : faultOf(error, receiver.timeoutMs))
  }
}

async function send(url: URL, headers: Headers, body: string, signal: AbortSignal) {
  const secured = url.protocol === 'https:' ? { tls: { ca: await trusted() } } : {}
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body,
    redirect: 'manual',
    // A connection that the receiver has closed meanwhile would fail the next event; the original keeps none either.
    keepalive: false,
    signal,
    ...secured,
  })
  // Nobody reads it.
  await response.body?.cancel().catch(() => {})
  return { status: response.status, location: response.headers.get('location') }
}

function prepare(receiver: Receiver): { target: URL; headers: Headers } {
  const target = new URL(receiver.url)
  const headers = new Headers({ 'Content-Type': receiver.mediaType, 'User-Agent': 'berth' })
  if (target.username !== '' || target.password !== '') {
    const pair = `${decodeURIComponent(target.username)}:${decodeURIComponent(target.password)}`
    headers.set('Authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
    target.username = ''
    target.password = ''
  }
  for (const [name, values] of Object.entries(receiver.headers)) {
    headers.delete(name)
    for (const value of values) headers.append(name, value)
  }
  return { target, headers }
}

/** Or the same host by TLS. */
function isSameHost(from: URL, to: URL): boolean {
  if (to.origin === from.origin) return true
  return from.protocol === 'http:' && to.protocol === 'https:' && to.hostname === from.hostname
}

/** As Go writes it (`200 OK`): the receiver's own words would be labels of metrics without end. */
async function codeOf(status: number): Promise<string> {
  // Modules of the runtime that a server without notifications does not need, and that take longer to load than most of its own.
  const { STATUS_CODES } = await import('node:http')
  return `${status} ${STATUS_CODES[status] ?? ''}`.trim()
}

async function trusted(): Promise<string[]> {
  const { getCACertificates, rootCertificates } = await import('node:tls')
  authorities ??= [...rootCertificates, ...getCACertificates('system')]
  return authorities
}

const FAULTS: Record<string, string> = {
  ConnectionRefused: 'connection refused',
  ECONNREFUSED: 'connection refused',
  ConnectionClosed: 'the connection was closed without an answer',
  ECONNRESET: 'the connection was closed without an answer',
  FailedToOpenSocket: 'the host cannot be reached',
  ENOTFOUND: 'the host name is not known',
  EAI_AGAIN: 'the host name cannot be looked up',
}

/** The error's own text can hold the URL. */
function faultOf(error: unknown, timeoutMs: number): string {
  if (!(error instanceof Error)) return 'it cannot be sent'
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return FAULTS[code] ?? `it cannot be sent (${code.replace(/[^\w-]/g, '')})`
}
