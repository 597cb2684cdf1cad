import { createConnection, type Socket } from 'node:net'
import { undescribed } from '../../src/http/reference/described.fixture.ts'

/** An answer as it came over the wire: nothing decoded, followed or filled in. */
export interface Answer {
  status: number
  /** Names in lower case; values of a name that came several times, each. */
  all: Record<string, string[]>
  /** The same, joined by `, `. */
  headers: Record<string, string>
  body: Buffer
  text: string
}

export interface Ask {
  headers?: Record<string, string | string[]>
  /** A list goes out in chunks (Transfer-Encoding: chunked). */
  body?: Uint8Array | string | readonly (Uint8Array | string)[]
  /** Said instead of the body's own length. */
  contentLength?: number
  version?: 'HTTP/1.0' | 'HTTP/1.1'
}

/** Milliseconds after which an answer that did not come is a failure. */
const PATIENCE = 90_000

/** One request on a connection of its own, whose answer is as the API's description says. `path` goes out as it is. */
export async function ask(port: number, method: string, path: string, options: Ask = {}): Promise<Answer> {
  const answers = await converse(port, [requestOf(port, method, path, options)], [method])
  const first = answers[0]
  if (first === undefined) throw new Error(`${method} ${path}: the connection was closed without an answer`)
  const seen = { status: first.status, text: first.text, header: (name: string) => first.headers[name] }
  const wrong = undescribed(method, path.split('?', 1)[0] ?? '', seen)
  if (wrong !== undefined) throw new Error(wrong)
  return first
}

export function requestOf(port: number, method: string, path: string, options: Ask = {}): Buffer {
  const { headers = {}, body, contentLength, version = 'HTTP/1.1' } = options
  const lines = [`${method} ${path} ${version}`]
  const named = new Set(Object.keys(headers).map((name) => name.toLowerCase()))
  if (!named.has('host')) lines.push(`Host: 127.0.0.1:${port}`)
  for (const [name, values] of Object.entries(headers)) {
    for (const value of Array.isArray(values) ? values : [values]) lines.push(`${name}: ${value}`)
  }
  let content = Buffer.alloc(0)
  if (Array.isArray(body)) {
    lines.push('Transfer-Encoding: chunked')
    const pieces = body.flatMap((chunk: Uint8Array | string) => {
      const bytes = Buffer.from(chunk as Uint8Array)
      return [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]
    })
    content = Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')])
  } else {
    content = Buffer.from((body ?? '') as Uint8Array)
    const length = contentLength ?? (body === undefined ? undefined : content.length)
    if (length !== undefined) lines.push(`Content-Length: ${length}`)
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), content])
}

/**
 * Sends bytes as they are, and reads as many answers as there are methods, or until the server closes.
 * @throws Error when an answer is damaged or cut, or does not come.
 */
export function converse(port: number, pieces: readonly Uint8Array[], methods: readonly string[]): Promise<Answer[]> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer[]>()
  const socket: Socket = createConnection({ port, host: '127.0.0.1' })
  const answers: Answer[] = []
  let received = Buffer.alloc(0)
  const end = (error?: Error) => {
    clearTimeout(timer)
    socket.destroy()
    if (error === undefined) resolve(answers)
    else reject(error)
  }
  const timer = setTimeout(
    () => end(new Error(`no answer to ${methods.join(' ')}; ${received.length} bytes`)),
    PATIENCE,
  )
  const take = (closed: boolean) => {
    for (;;) {
      const method = methods[answers.length]
      if (method === undefined) return end()
      const parsed = parse(received, method, closed)
      if (parsed === undefined) break
      received = received.subarray(parsed.length)
      if (parsed.answer !== undefined) answers.push(parsed.answer)
    }
    if (!closed) return
    end(received.length === 0 ? undefined : new Error(`cut answer: ${received.subarray(0, 300).toString('latin1')}`))
  }
  socket.on('connect', () => {
    for (const piece of pieces) socket.write(piece)
  })
  socket.on('data', (data: Buffer) => {
    received = Buffer.concat([received, data])
    take(false)
  })
  socket.on('close', () => take(true))
  // A server may answer and close before it has read all; what it said was read by then.
  socket.on('error', () => take(true))
  return promise
}

function parse(bytes: Buffer, method: string, closed: boolean): { length: number; answer?: Answer } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1])
  if (Number.isNaN(status)) throw new Error(`not an answer: ${first}`)
  const start = end + 4
  if (status < 200) return { length: start }
  const all: Record<string, string[]> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const values = all[name] ?? []
    values.push(line.slice(colon + 1).trim())
    all[name] = values
  }
  const headers = Object.fromEntries(Object.entries(all).map(([name, values]) => [name, values.join(', ')]))
  const done = (body: Buffer, length: number) => ({
    length,
    answer: { status, all, headers, body: Buffer.from(body), text: body.toString('utf8') },
  })
  if (method === 'HEAD' || status === 204 || status === 304) return done(Buffer.alloc(0), start)
  if (headers['transfer-encoding'] === 'chunked') return unchunk(bytes, start, done)
  const announced = headers['content-length']
  if (announced === undefined) return closed ? done(bytes.subarray(start), bytes.length) : undefined
  const last = start + Number(announced)
  return bytes.length < last ? undefined : done(bytes.subarray(start, last), last)
}

function unchunk<T>(bytes: Buffer, start: number, done: (body: Buffer, length: number) => T): T | undefined {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const line = bytes.indexOf('\r\n', at)
    if (line === -1) return undefined
    const size = Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16)
    const next = line + 2 + size + 2
    if (bytes.length < next) return undefined
    if (size === 0) return done(Buffer.concat(chunks), next)
    chunks.push(bytes.subarray(line + 2, line + 2 + size))
    at = next
  }
}
