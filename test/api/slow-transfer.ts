import { connect, type TLSSocket } from 'node:tls'

/** Milliseconds in which the other side has to go on. */
const PATIENCE = 90_000

/** One TLS connection, on which bytes go out and come in as a test says. */
export interface SlowConnection {
  write(bytes: Uint8Array | string): void
  /** Reads on until the text of the headers and `bytes` of the body have come. Headers are those of the last answer. */
  answer(): Promise<{ status: number; headers: string; body: Buffer }>
  /** Takes the bytes that come first, and then none until `resume`. */
  pause(): Promise<void>
  resume(): void
  close(): void
}

export async function openSlowly(port: number): Promise<SlowConnection> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
  let received = Buffer.alloc(0)
  let pieces: Buffer[] = []
  let failure: Error | undefined
  let changed = Promise.withResolvers<void>()
  const wake = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const fail = (error: Error) => {
    failure ??= error
    wake()
  }
  socket.on('data', (data: Buffer) => {
    pieces.push(data)
    wake()
  })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the connection was closed')))
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })

  async function until<T>(what: string, look: () => T | undefined): Promise<T> {
    const late = setTimeout(() => fail(new Error(`${what} did not come; ${received.length} bytes did`)), PATIENCE)
    try {
      for (;;) {
        const seen = look()
        if (seen !== undefined) return seen
        if (failure !== undefined) throw failure
        await changed.promise
      }
    } finally {
      clearTimeout(late)
    }
  }

  function gather(): Buffer {
    // Joined seldom: a large body comes in thousands of pieces.
    if (pieces.length > 0) received = Buffer.concat([received, ...pieces.splice(0)])
    return received
  }

  let announced: { status: number; headers: string; start: number; end: number } | undefined

  function look() {
    if (announced === undefined) {
      const bytes = gather()
      const end = bytes.indexOf('\r\n\r\n')
      if (end === -1) return undefined
      const headers = bytes.subarray(0, end).toString('latin1')
      const length = Number(/^content-length: (\d+)$/im.exec(headers)?.[1] ?? 0)
      announced = { status: Number(headers.slice(9, 12)), headers, start: end + 4, end: end + 4 + length }
    }
    const size = received.length + pieces.reduce((sum, { length }) => sum + length, 0)
    if (size < announced.end) return undefined
    const bytes = gather()
    const { status, headers, start, end } = announced
    const body = Buffer.from(bytes.subarray(start, end))
    received = Buffer.from(bytes.subarray(end))
    pieces = []
    announced = undefined
    return { status, headers, body }
  }

  return {
    write: (bytes) => void socket.write(bytes),
    answer: () => until('an answer', look),
    async pause() {
      await until('the first bytes', () => (pieces.length > 0 ? true : undefined))
      socket.pause()
    },
    resume: () => void socket.resume(),
    close: () => void socket.destroy(),
  }
}
