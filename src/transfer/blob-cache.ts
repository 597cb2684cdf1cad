import { mkdirSync, statSync, utimesSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { createContentCheck } from '../upstream/content-check.ts'
import { UpstreamError } from '../upstream/error.ts'
import { openDraft, orSay, reasonOf } from './draft-file.ts'
import { blobPath } from './layout.ts'
import { checkedBlob } from './layout-target.ts'
import type { ImageSource } from './transfer.ts'

/** Blobs that were read before, in a folder by their digests, as a layout has them. Any number of processes may share one. */
export interface BlobCache {
  /** The source, whose blobs come from here where they are whole, and are kept here otherwise. */
  before(source: ImageSource): ImageSource
  /** How many came from here. */
  used(): number
  /** What was there under its digest with other bytes, and whether it has been replaced. */
  damaged: ReadonlyMap<Digest, { isReplaced: boolean }>
}

/** Bytes of a read. */
const CHUNK = 1024 * 1024

/** `now`: milliseconds since the epoch; `signal` ends the reading. @throws UpstreamError where there can be no folder */
export function openBlobCache(path: string, now: () => number, signal?: AbortSignal | undefined): BlobCache {
  const stat = orSay(path, () => statSync(path, { throwIfNoEntry: false }))
  if (stat !== undefined && !stat.isDirectory()) throw new UpstreamError('usage', `${path} is no directory`)
  orSay(path, () => mkdirSync(path, { recursive: true }))
  const damaged = new Map<Digest, { isReplaced: boolean }>()
  let used = 0

  /** A file with all of the blob's bytes. Whoever has it open does not care whether somebody takes it away. */
  async function find(blob: Descriptor): Promise<FileHandle | undefined> {
    const file = await opened(join(path, blobPath(blob.digest)))
    if (file === undefined) return undefined
    try {
      if (await isWhole(file, blob)) return file
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
    damaged.set(blob.digest, { isReplaced: false })
    return undefined
  }

  async function isWhole(file: FileHandle, blob: Descriptor): Promise<boolean> {
    const stat = await file.stat()
    if (!stat.isFile() || stat.size !== blob.size) return false
    let isRight = true
    const check = createContentCheck(blob, ({ found }) => {
      isRight = false
      return new UpstreamError('invalid', found)
    })
    try {
      for await (const chunk of bytesOf(file)) check.add(chunk)
      check.end()
    } catch (error) {
      if (isRight) throw error
    }
    return isRight
  }

  async function* bytesOf(file: FileHandle): AsyncGenerator<Uint8Array, undefined> {
    for (let at = 0; ; ) {
      signal?.throwIfAborted()
      const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, at).catch((error: unknown) => {
        throw unreadable(path, error)
      })
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  /** Of no use to anybody before the last byte is there and right. */
  async function* kept(source: ImageSource, blob: Descriptor): AsyncGenerator<Uint8Array, undefined> {
    const target = join(path, blobPath(blob.digest))
    orSay(path, () => mkdirSync(dirname(target), { recursive: true }))
    const draft = openDraft(target, { called: path, isHidden: true })
    try {
      for await (const chunk of checkedBlob(source.name, blob, source.open(blob, 0))) {
        draft.write(chunk)
        yield chunk
      }
      draft.keep()
      if (damaged.has(blob.digest)) damaged.set(blob.digest, { isReplaced: true })
    } finally {
      draft.discard()
    }
  }

  return {
    damaged,
    used: () => used,
    before: (source) => ({
      ...source,
      async *open(blob, start) {
        const file = start === 0 ? await find(blob) : undefined
        if (file === undefined) {
          yield* start === 0 ? kept(source, blob) : source.open(blob, start)
          return
        }
        used++
        try {
          touch(join(path, blobPath(blob.digest)), now())
          yield* bytesOf(file)
        } finally {
          await file.close()
        }
      },
    }),
  }
}

/** Undefined where there is none. @throws UpstreamError where it may not be read */
async function opened(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined
    throw unreadable(path, error)
  }
}

function unreadable(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error
  return new UpstreamError('failed', `cannot read ${path}: ${reasonOf(error)}`, { cause: error })
}

/** For whoever clears the folder of what was not used for long. */
function touch(path: string, now: number): void {
  try {
    utimesSync(path, now / 1000, now / 1000)
  } catch {
    // It may be somebody else's, or gone.
  }
}
