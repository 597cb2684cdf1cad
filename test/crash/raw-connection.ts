import { createConnection } from 'node:net'

/** A client's side of a TCP connection, which may stall, or go away, in the middle of anything. */
export interface RawConnection {
  send(data: string | Uint8Array): Promise<void>
  /** Everything that came so far. */
  received(): Buffer
  /** Resolves once `enough` says so of what came. @throws Error when the connection ends, or nothing comes, before. */
  until(enough: (received: Buffer) => boolean): Promise<Buffer>
  /** Reads no more: what the server sends has to wait. */
  pause(): void
  resume(): void
  /** Goes away without a word (RST, where bytes are unread). */
  destroy(): void
  /** Resolves when the server has ended it. */
  ended: Promise<void>
}

const PATIENCE = 20_000
const POLL = 10

/** @throws Error (`code` ECONNREFUSED) when nobody listens. */
export async function connect(port: number): Promise<RawConnection> {
  const socket = createConnection({ host: '127.0.0.1', port })
  const chunks: Buffer[] = []
  const ended = Promise.withResolvers<void>()
  let isOver = false
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  // An end that is sudden counts as one too.
  socket.on('error', () => {})
  socket.on('close', () => {
    isOver = true
    ended.resolve()
  })
  return {
    send: (data) =>
      new Promise((resolve, reject) => {
        socket.write(data, (error) => (error ? reject(error) : resolve()))
      }),
    received: () => Buffer.concat(chunks),
    async until(enough) {
      for (let waited = 0; waited < PATIENCE; waited += POLL) {
        const received = Buffer.concat(chunks)
        if (enough(received)) return received
        if (isOver) throw new Error(`the connection ended after ${received.length} bytes`)
        await Bun.sleep(POLL)
      }
      throw new Error('waited for too long')
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    destroy: () => socket.destroy(),
    ended: ended.promise,
  }
}

/** The head of an HTTP/1.1 request. */
export function head(method: string, path: string, headers: Record<string, string | number> = {}): string {
  const lines = Object.entries({ Host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
}

/** Status and body so far of the first answer among what came; undefined while its head is not whole. */
export function answerIn(received: Buffer): { status: number; body: Buffer } | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  return { status: Number(received.subarray(9, 12).toString()), body: received.subarray(end + 4) }
}
