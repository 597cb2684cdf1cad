import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'

/** A client's side of a TCP connection, which may stall, or go away, in the middle of anything. */
export interface RawConnection {
  send(data: string | Uint8Array): Promise<void>
  /** Resolves once the server's process has read all that was sent. */
  taken(): Promise<void>
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

/** Milliseconds; only to end a test that would wait for ever. */
const PATIENCE = 90_000
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
    async taken() {
      const ours = socket.localPort ?? 0
      for (let waited = 0; waited < PATIENCE; waited += POLL) {
        if (queued(ours, port) === 0 && queued(port, ours) === 0) return
        await Bun.sleep(POLL)
      }
      throw new Error('the server reads no further')
    },
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

/** Bytes that the kernel holds for one end of a connection of 127.0.0.1: sent and not yet arrived, or arrived and not yet read. */
function queued(local: number, remote: number): number | undefined {
  const name = (port: number) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const ends = ` ${name(local)} ${name(remote)} `
  const line = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .find((one) => one.includes(ends))
  const [, sent, arrived] =
    / ([\dA-F]{8}):([\dA-F]{8}) /.exec(line?.slice(line.indexOf(ends) + ends.length - 1) ?? '') ?? []
  return sent === undefined || arrived === undefined
    ? undefined
    : Number.parseInt(sent, 16) + Number.parseInt(arrived, 16)
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
