/**
 * The load's own HTTP/1.1 client: one keep-alive connection on a raw socket, which writes buffers that were made
 * beforehand and counts large bodies without keeping them, so that it costs less than any server it measures.
 */

export interface Target {
  host: string
  port: number
  tls: boolean
  /** Value of the Authorization header, if any. */
  authorization?: string | undefined
}

export interface Request {
  method: string
  path: string
  headers?: Record<string, string>
  /** A body that is held in memory. */
  body?: Uint8Array
  /** A body that is sent chunked: pieces that already bear their chunk framing, the last one ending with the zero chunk. */
  framed?: () => Uint8Array | undefined
  /** Told of each arrival of body bytes. */
  onBytes?: (count: number) => void
}

export interface Answer {
  status: number
  /** Names in lower case. */
  headers: Map<string, string>
  /** Bytes of the body. */
  size: number
  /** The body itself, where it is small. */
  text: string
}

export interface Connection {
  /** One request at a time. @throws Error when the connection ends before the whole answer is there. */
  send(request: Request): Promise<Answer>
  /** Stops and goes on reading, for a client that is slow. */
  pause(): void
  resume(): void
  close(): void
}

const KEPT_BYTES = 256 * 1024
const HEAD_END = Buffer.from('\r\n\r\n')
const CHUNKED_END = '0\r\n\r\n'
const CONNECT_TIMEOUT_MS = 10_000

interface Pending {
  request: Request
  head: Buffer
  status: number
  headers: Map<string, string> | undefined
  /** Bytes that the body will have; undefined: it is chunked. */
  expected: number | undefined
  size: number
  kept: Buffer[]
  keptBytes: number
  resolve(answer: Answer): void
  reject(cause: Error): void
}

/** @throws Error when nobody answers there within ten seconds. */
export async function connect(target: Target): Promise<Connection> {
  let pending: Pending | undefined
  let unsent: Uint8Array | undefined
  let closed: Error | undefined

  const fail = (cause: Error) => {
    closed ??= cause
    const current = pending
    pending = undefined
    current?.reject(cause)
  }
  const opening = Bun.connect({
    hostname: target.host,
    port: target.port,
    ...(target.tls ? { tls: { rejectUnauthorized: false } } : {}),
    socket: {
      data: (_, chunk) => receive(chunk),
      drain: () => flush(),
      close: () => fail(new Error('the server closed the connection')),
      error: (_, cause) => fail(cause),
    },
  })
  const timer = setTimeout(() => fail(new Error('no connection within ten seconds')), CONNECT_TIMEOUT_MS)
  const socket = await opening.finally(() => clearTimeout(timer))

  /** Writes as much as the socket takes; `drain` calls again for the rest. */
  function flush(): void {
    while (closed === undefined) {
      unsent ??= pending?.request.framed?.()
      if (unsent === undefined) return
      const written = socket.write(unsent)
      if (written < 0) {
        fail(new Error('the connection is closed'))
        return
      }
      if (written < unsent.length) {
        unsent = unsent.subarray(written)
        return
      }
      unsent = undefined
    }
  }

  function receive(chunk: Buffer): void {
    const current = pending
    if (current === undefined) return
    if (current.headers !== undefined) {
      receiveBody(current, chunk)
      return
    }
    current.head = current.head.length === 0 ? Buffer.from(chunk) : Buffer.concat([current.head, chunk])
    const end = current.head.indexOf(HEAD_END)
    if (end === -1) return
    const rest = current.head.subarray(end + HEAD_END.length)
    const { status, headers } = parseHead(current.head.toString('latin1', 0, end))
    current.head = Buffer.alloc(0)
    if (status === 100) {
      if (rest.length > 0) receive(rest)
      return
    }
    current.status = status
    current.headers = headers
    const isChunked = headers.get('transfer-encoding')?.toLowerCase() === 'chunked'
    const isEmpty = current.request.method === 'HEAD' || status === 204 || status === 304
    current.expected = isEmpty ? 0 : isChunked ? undefined : Number(headers.get('content-length') ?? '0')
    receiveBody(current, rest)
  }

  function receiveBody(current: Pending, chunk: Buffer): void {
    current.size += chunk.length
    current.request.onBytes?.(chunk.length)
    if (chunk.length > 0 && current.keptBytes + chunk.length <= KEPT_BYTES) {
      current.kept.push(Buffer.from(chunk))
      current.keptBytes += chunk.length
    } else if (current.expected === undefined && chunk.length > 0) {
      // Only the end of a long chunked body matters from here on.
      current.kept = [Buffer.from(chunk.subarray(-16))]
    }
    if (current.expected === undefined ? endsChunked(current.kept) : current.size >= current.expected) finish(current)
  }

  function finish(current: Pending): void {
    pending = undefined
    const headers = current.headers ?? new Map<string, string>()
    if (headers.get('connection')?.toLowerCase() === 'close') closed = new Error('the server ends the connection')
    const text = current.size <= KEPT_BYTES ? Buffer.concat(current.kept).toString() : ''
    current.resolve({ status: current.status, headers, size: current.size, text })
  }

  return {
    async send(request) {
      if (closed !== undefined) throw closed
      if (pending !== undefined) throw new Error('a request is running on this connection')
      return await new Promise<Answer>((resolve, reject) => {
        pending = {
          ...{ request, head: Buffer.alloc(0), status: 0, headers: undefined, expected: undefined },
          ...{ size: 0, kept: [], keptBytes: 0, resolve, reject },
        }
        unsent = encode(target, request)
        flush()
      })
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    close: () => {
      closed ??= new Error('closed')
      socket.terminate()
    },
  }
}

function encode(target: Target, request: Request): Buffer {
  const lines = [`${request.method} ${request.path} HTTP/1.1`, `Host: ${target.host}:${target.port}`]
  if (target.authorization !== undefined) lines.push(`Authorization: ${target.authorization}`)
  for (const [name, value] of Object.entries(request.headers ?? {})) lines.push(`${name}: ${value}`)
  if (request.framed !== undefined) lines.push('Transfer-Encoding: chunked')
  else if (request.body !== undefined || request.method !== 'GET') {
    lines.push(`Content-Length: ${request.body?.length ?? 0}`)
  }
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
  return request.body === undefined ? head : Buffer.concat([head, request.body])
}

/** RFC 9112 sections 4 and 5: the status line and the fields of an answer. */
export function parseHead(text: string): { status: number; headers: Map<string, string> } {
  const [first = '', ...lines] = text.split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1])
  if (!Number.isInteger(status)) throw new Error(`not an HTTP answer: ${first.slice(0, 80)}`)
  const headers = new Map<string, string>()
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  return { status, headers }
}

/** Enough for JSON and text, which never hold the bytes of a zero chunk themselves. */
function endsChunked(kept: readonly Buffer[]): boolean {
  let tail = ''
  for (let index = kept.length - 1; index >= 0 && tail.length < 8; index--) {
    tail = (kept[index]?.toString('latin1') ?? '') + tail
  }
  return tail === CHUNKED_END || tail.endsWith(`\r\n${CHUNKED_END}`)
}
