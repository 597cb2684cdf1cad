import { pipeline, Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import type { Account } from './budget.ts'
import { ArchiveError } from './error.ts'

export type Compression = 'none' | 'gzip' | 'zstd'

/** What compressed bytes begin with. Media types are not asked: docker and containerd go by these, too. */
const MAGIC: readonly (readonly [number[], Compression | 'bzip2' | 'xz'])[] = [
  [[0x1f, 0x8b], 'gzip'],
  [[0x28, 0xb5, 0x2f, 0xfd], 'zstd'],
  [[0x42, 0x5a, 0x68], 'bzip2'],
  [[0xfd, 0x37, 0x7a, 0x58], 'xz'],
]
const MAGIC_LENGTH = 4
/** The lowest of the sixteen numbers of frames that a reader of zstd passes over (RFC 8878 section 3.1.2). */
const SKIPPABLE = 0x184d2a50

/** RFC 8878 section 3.1.1.1.2 lets a frame ask for as much memory as it likes; the reference decoder gives 128 MiB unless told. */
const WINDOW_TOO_LARGE = 'ZSTD_error_frameParameter_windowTooLarge'

/** Bytes that come out at a time: a bomb must not be whole in memory before it is counted. */
const CHUNK = 64 * 1024

export interface Expanded {
  compression: Compression
  /** As they come, each counted by the account. @throws ArchiveError */
  bytes: AsyncIterable<Uint8Array>
}

/** Takes off what compresses `body`, as a stream. Whoever stops reading ends the body, too. @throws ArchiveError */
export async function expand(body: AsyncIterable<Uint8Array>, account: Account): Promise<Expanded> {
  const source = counted(body, account)
  const first: Uint8Array[] = []
  let size = 0
  while (size < MAGIC_LENGTH) {
    const { done, value } = await source.next()
    if (done === true) break
    first.push(value)
    size += value.byteLength
  }
  const start = Buffer.concat(first)
  const compression = compressionOf(start)
  if (compression === 'bzip2' || compression === 'xz') {
    await source.return(undefined)
    throw new ArchiveError(
      'unsupported',
      `${account.what} is compressed with ${compression}, which nothing here can read`,
    )
  }
  const whole = joined(start, source)
  return { compression, bytes: limited(compression === 'none' ? whole : decoded(whole, compression, account), account) }
}

function compressionOf(start: Buffer): Compression | 'bzip2' | 'xz' {
  const found = MAGIC.find(([magic]) => magic.every((byte, index) => start[index] === byte))
  if (found !== undefined) return found[1]
  const isSkippable = start.length >= MAGIC_LENGTH && start.readUInt32LE(0) >>> 4 === SKIPPABLE >>> 4
  return isSkippable ? 'zstd' : 'none'
}

async function* counted(body: AsyncIterable<Uint8Array>, account: Account): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of body) {
    account.read(chunk.byteLength)
    yield chunk
  }
}

async function* joined(start: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  try {
    if (start.byteLength > 0) yield start
    yield* rest
  } finally {
    await rest.return(undefined)
  }
}

async function* decoded(
  source: AsyncIterable<Uint8Array>,
  compression: 'gzip' | 'zstd',
  account: Account,
): AsyncGenerator<Uint8Array, undefined> {
  const decoder =
    compression === 'gzip' ? createGunzip({ chunkSize: CHUNK }) : createZstdDecompress({ chunkSize: CHUNK })
  const iterator = source[Symbol.asyncIterator]()
  let fault: { error: unknown } | undefined
  async function next(): Promise<IteratorResult<Uint8Array, unknown>> {
    try {
      return await iterator.next()
    } catch (error) {
      fault = { error }
      throw error
    }
  }
  async function* chunks(): AsyncGenerator<Uint8Array, undefined> {
    for (let chunk = await next(); chunk.done !== true; chunk = await next()) yield chunk.value
  }
  // What goes wrong on the way arrives where the decoder is read.
  pipeline(Readable.from(chunks(), { objectMode: true, highWaterMark: 1 }), decoder, () => {})
  try {
    yield* decoder as AsyncIterable<Uint8Array>
    // A decoder is at its end before what comes behind; whether these are the right bytes is said at theirs.
    while ((await next()).done !== true);
    if (fault !== undefined) throw fault.error
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!/^Z(STD)?_/.test(code)) throw error
    if (code === WINDOW_TOO_LARGE) {
      const reason = 'its zstd stream needs more than the 128 MiB of memory that its readers give'
      throw new ArchiveError('unsupported', `${account.what} is not expanded: ${reason}`, { cause: error })
    }
    const reason = code === 'Z_BUF_ERROR' ? 'ends too early' : `cannot be expanded (${(error as Error).message})`
    throw new ArchiveError('damaged', `${account.what} is damaged: its ${compression} stream ${reason}`, {
      cause: error,
    })
  } finally {
    // Not waited for: it may be in the middle of a chunk that does not come.
    iterator.return?.().catch(() => {})
  }
}

async function* limited(chunks: AsyncIterable<Uint8Array>, account: Account): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of chunks) {
    account.expand(chunk.byteLength)
    yield chunk
  }
}
