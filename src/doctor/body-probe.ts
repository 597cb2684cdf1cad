import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const MIB = 1024 * 1024
/** Bytes that a layer may have. */
export const LARGEST = 10 * 1024 * MIB
const SMALLER = [1024 * MIB, 100 * MIB, 10 * MIB, MIB]

/** What becomes of a request with a large body, as its beginning shows. */
export interface BodyFacts {
  /** Bytes of the smallest body that was refused for its size, and of the largest below that was not; undefined: none was. */
  limit: { refused: number; taken: number } | undefined
  /** The answer waits for the body, which the registry itself does not need in order to refuse it. */
  isBuffered: boolean
}

export interface BodyTarget {
  isTls: boolean
  host: string
  port: number
  /** Value of the Host header. */
  authority: string
  /** Below the registry's `/v2/`: an upload that does not exist, asked for by nobody. */
  path: string
}

/**
 * Announces large bodies to a registry, without anything that lets us in, and sends none of them. A registry answers at once
 * (401, or 404 where it is open); whatever refuses the size answers 413; what wants the whole body first says nothing.
 * Undefined where even a request without a body is not answered in time. Never throws.
 */
export async function probeBodies(target: BodyTarget, timeoutMs: number): Promise<BodyFacts | undefined> {
  const began = performance.now()
  if ((await statusFor(target, 0, timeoutMs)) === undefined) return undefined
  const patience = Math.min(timeoutMs, Math.max(1250, 5 * (performance.now() - began)))
  const largest = await statusMeanwhile(target, LARGEST, patience, timeoutMs)
  if (largest !== 413) return { limit: undefined, isBuffered: largest === undefined }
  let refused = LARGEST
  for (const size of SMALLER) {
    const status = await statusMeanwhile(target, size, patience, timeoutMs)
    if (status !== 413) return { limit: { refused, taken: size }, isBuffered: status === undefined }
    refused = size
  }
  return { limit: { refused, taken: 0 }, isBuffered: false }
}

/**
 * Status of the answer to the head of a request; undefined: none came, though one without a body was answered meanwhile. Who stands still for a
 * moment does so for both.
 */
async function statusMeanwhile(
  target: BodyTarget,
  size: number,
  patience: number,
  timeoutMs: number,
): Promise<number | undefined> {
  const request = begin(target, size)
  let status: number | undefined
  const seen = request.status.then((come) => {
    status = come
  })
  try {
    await atMost(patience, seen)
    if (status !== undefined) return status
    await statusFor(target, 0, timeoutMs)
    await atMost(patience, seen)
    return status
  } finally {
    request.end()
  }
}

async function statusFor(target: BodyTarget, size: number, timeoutMs: number): Promise<number | undefined> {
  const request = begin(target, size)
  await atMost(timeoutMs, request.status)
  request.end()
  return await request.status
}

/** Resolves when the work does, or after so long. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  await Promise.race([work, promise])
  clearTimeout(timer)
}

/** Sends the head of a request. `status` of its answer; undefined where the connection ends, or is ended, without one. */
function begin(
  { isTls, host, port, authority, path }: BodyTarget,
  size: number,
): { status: Promise<number | undefined>; end(): void } {
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const head = [
    `PATCH /v2/${path} HTTP/1.1`,
    `Host: ${authority}`,
    'User-Agent: berth-doctor',
    'Content-Type: application/octet-stream',
    `Content-Length: ${size}`,
    'Connection: close',
  ]
  const name = isIP(host) === 0 ? { servername: host } : {}
  // Nothing is told that the certificate would have to protect.
  const socket: Socket = isTls
    ? connectTls({ host, port, rejectUnauthorized: false, ...name })
    : connectPlain({ host, port })
  let text = ''
  const end = (status: number | undefined) => {
    socket.destroy()
    resolve(status)
  }
  socket.once(isTls ? 'secureConnect' : 'connect', () => socket.write(`${head.join('\r\n')}\r\n\r\n`))
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1')
    const status = /^HTTP\/1\.[01] (\d{3})[^\n]*\n/.exec(text)?.[1]
    if (status !== undefined) end(Number(status))
  })
  socket.once('error', () => end(undefined))
  socket.once('close', () => end(undefined))
  return { status: promise, end: () => end(undefined) }
}
