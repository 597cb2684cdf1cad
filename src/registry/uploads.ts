import type { Metadata, UploadRow } from '../metadata/metadata.ts'
import { type Algorithm, algorithmOf, type Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { formatUploadRange } from '../oci/range.ts'
import { type Storage, StorageError, type StoredUpload } from '../storage/storage.ts'
import { createCommit } from './commit.ts'
import type { EventCause, Events } from './events.ts'
import { withFaults } from './faults.ts'
import { NO_QUOTAS, NoRoomForUploads, type QuotaAdmission, type UploadRoom } from './quotas.ts'
import { createSessions, type Turn } from './sessions.ts'
import { ENDLESS_SPACE, type Space } from './space.ts'
import type { Turns } from './turns.ts'
import { createUploadBound } from './upload-bound.ts'

/** An upload as its client sees it: `size` is the number of bytes that the registry has. */
export interface Upload {
  id: string
  size: number
}

export interface Chunk {
  /** The bytes; ends early, by throwing, when the signal is aborted. */
  body: (signal: AbortSignal) => AsyncIterable<Uint8Array>
  /** First byte that the client says it sends; undefined when it says nothing (a streamed upload). */
  start: number | undefined
  /** Bytes that the client says it sends, from Content-Range; undefined when it says nothing. */
  length: number | undefined
  /** Bytes of the request's body, where its head tells. */
  announced?: number | undefined
}

/**
 * Blob uploads (OCI Distribution Specification 1.1, "Pushing blobs"). Unknown ids: RegistryError BLOB_UPLOAD_UNKNOWN.
 * A new request for a session ends the one that still runs: its client has gone, or would not ask again.
 */
export interface Uploads {
  /** @throws RegistryError DENIED when the disk has no room for pushes; TOOMANYREQUESTS when too many uploads are under way. */
  start(repository: string): Promise<Upload>
  status(repository: string, id: string): Promise<Upload>
  /**
   * Adds a chunk. What arrived is kept when the body ends early, and the error passes on.
   * @throws RegistryError RANGE_INVALID when the chunk does not begin where the upload ends; its detail has the offset.
   * @throws RegistryError DENIED when the disk has no room for it, before its bytes are taken or in their middle.
   * @throws RegistryError SIZE_INVALID when another number of bytes came than was announced; the upload keeps its old size.
   */
  append(repository: string, id: string, chunk: Chunk, algorithm?: Algorithm): Promise<Upload>
  /**
   * Makes the upload the blob `digest`, durable when this resolves.
   * @throws RegistryError DIGEST_INVALID when the bytes have another digest; the session ends.
   */
  finish(repository: string, id: string, digest: Digest, last?: Chunk, cause?: () => EventCause): Promise<void>
  cancel(repository: string, id: string): Promise<void>
  /** Ends the uploads that nobody touched since `before` (milliseconds since the epoch); resolves to how many. */
  expire(before: number): Promise<number>
  /** Ends the uploads of a repository that began at `startedBy` or earlier; resolves to how many. */
  endAll(repository: string, startedBy: number): Promise<number>
  /** How many `expire` would end; past a thousand, it stops counting. */
  countStale(before: number): Promise<number>
  /** Removes what storage keeps of an upload that has no row. Resolves to whether it did. */
  forgetStray(id: string): Promise<boolean>
  /** Whether a request is at work on it. */
  isBusy(id: string): boolean
}

export interface UploadsDeps {
  metadata: Metadata
  storage: Storage
  now: () => number
  newId: () => string
  /** Names the running boot of the machine: unsynced bytes survive a crash of the process, not one of the machine. */
  bootId: string
  /** Called before a finished upload is acknowledged that gave a known blob another key. */
  onBlob: (digest: Digest) => void
  turns: Turns
  events?: Events
  /** Room for what is pushed. */
  space?: Space
  quotas?: QuotaAdmission
  /** Uploads that may be under way. */
  most?: number
}

export function createUploads(deps: UploadsDeps): Uploads {
  const { metadata, storage, now, newId, bootId, space = ENDLESS_SPACE, quotas = NO_QUOTAS } = deps
  const sessions = createSessions()
  const commit = createCommit(deps)
  const admitStart = createUploadBound({
    ...{ count: metadata.uploads.count, now, most: deps.most },
    endIdle: () => endStale(now() - IDLE, EXPIRED_AT_ONCE),
  })

  async function load(repository: string, id: string): Promise<UploadRow> {
    const row = await metadata.uploads.find(repository, id)
    if (row === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: id })
    return row
  }

  /** The row, brought into line with the bytes that storage really has (after a crash of the machine it may have less). */
  async function resume(repository: string, id: string): Promise<UploadRow> {
    const row = await load(repository, id)
    const size = await storage.sizeOf(storedUpload(row))
    if (size === undefined) {
      await metadata.uploads.remove(id)
      quotas.uploaded(repository, id, 0)
      throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: id })
    }
    return size < row.size ? await advance(row, { ...storedUpload(row), size }, undefined) : row
  }

  async function advance(row: UploadRow, upload: StoredUpload, digest: Digest | undefined): Promise<UploadRow> {
    const to = { size: upload.size, state: upload.state, digest, bootId, updatedAt: now() }
    if (!(await metadata.uploads.advance(row.id, row.size, to))) {
      quotas.uploaded(row.repository, row.id, 0)
      throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: row.id })
    }
    quotas.uploaded(row.repository, row.id, to.size)
    return { ...row, ...to }
  }

  /** Row first: bytes without a row are invisible, a row without bytes is a session that fails. */
  async function discard(row: UploadRow): Promise<void> {
    await metadata.uploads.remove(row.id)
    await storage.abort(storedUpload(row))
    quotas.uploaded(row.repository, row.id, 0)
  }

  /**
   * Another process that shares the database may end the session under a request, whose bytes are gone then: its client hears that
   * there is none, and begins again.
   */
  async function inSession<T>(repository: string, id: string, work: (turn: Turn) => Promise<T>): Promise<T> {
    return await sessions.exclusive(id, async (turn) => {
      try {
        return await work(turn)
      } catch (error) {
        // The row goes before the bytes.
        const isBereft = error instanceof StorageError && error.fault === 'failed'
        if (!isBereft || (await metadata.uploads.find(repository, id)) !== undefined) throw error
        throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: id, cause: error })
      }
    })
  }

  /** What a quota refuses is not gone on with. Uploads that their clients left an hour ago make room first. */
  async function admitted(
    asked: Promise<UploadRoom | undefined>,
    row: UploadRow,
    size: number,
    digest: Digest | undefined,
  ): Promise<UploadRoom | undefined> {
    try {
      return await asked
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      const again =
        error instanceof NoRoomForUploads && (await endIdle(error.prefix)) > 0
          ? quotas.admit(row.repository, row.id, size, digest)
          : undefined
      if (again !== undefined) return await admitted(again, row, size, digest)
      await discard(row)
      throw error
    }
  }

  /** Ends uploads below a prefix that nobody has gone on with for long: most clients begin anew instead. Resolves to how many. */
  async function endIdle(prefix: string): Promise<number> {
    const before = now() - IDLE
    let ended = 0
    for (const { id, repository } of quotas.idle(prefix, before)) if (await expireOne(repository, id, before)) ended++
    return ended
  }

  /** Ends those that nobody touched since `before`, the oldest first, until so many have ended. Resolves to how many. */
  async function endStale(before: number, most = Number.POSITIVE_INFINITY): Promise<number> {
    for (let ended = 0; ; ) {
      const rows = await metadata.uploads.stale(before, EXPIRED_AT_ONCE)
      let left = 0
      for (const row of rows) {
        if (ended >= most) return ended
        const ending = expireOne(row.repository, row.id, before)
        // Its client is back.
        if (ending === undefined) left++
        else if (await ending) ended++
      }
      if (rows.length < EXPIRED_AT_ONCE || left === rows.length) return ended
    }
  }

  /** Resolves to whether it has ended; undefined: its client is at it. */
  function expireOne(repository: string, id: string, before: number): Promise<boolean> | undefined {
    return sessions.ifIdle(id, async () => {
      // Its client may have come back while this waited.
      const current = await metadata.uploads.find(repository, id)
      if (current === undefined || current.updatedAt >= before) return false
      await discard(current)
      await metadata.collection.count('upload', { count: 1, bytes: current.size })
      return true
    })
  }

  /** Room that was set aside for bytes that did not come is free again. */
  async function releasing<T>({ repository, id, size }: UploadRow, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      quotas.uploaded(repository, id, size)
      throw error
    }
  }

  async function receive(
    row: UploadRow,
    chunk: Chunk,
    algorithm: Algorithm,
    turn: Turn,
    digest?: Digest,
  ): Promise<UploadRow> {
    if (chunk.start !== undefined && chunk.start !== row.size) throw outOfOrder(row)
    const announced = chunk.length ?? chunk.announced
    space.admit(announced)
    const size = row.size + (announced ?? 0)
    const asked = quotas.admit(row.repository, row.id, size, digest)
    const room = asked === undefined ? undefined : await admitted(asked, row, size, digest)
    const appended = await releasing(row, async () => {
      const taken = await space.during(turn.interrupt, () => {
        const body = chunk.body(turn.signal)
        return storage.append(storedUpload(row), room === undefined ? body : within(body, row.size, room), algorithm)
      })
      const received = taken.upload.size - row.size
      if (taken.interrupted === undefined && chunk.length !== undefined && received !== chunk.length) {
        throw new RegistryError('SIZE_INVALID', {
          detail: `Content-Range announces ${chunk.length} bytes, the body has ${received}`,
        })
      }
      return taken
    })
    const after = await advance(row, appended.upload, appended.digest)
    // Ours, for want of room: the client must hear why, and may go on from here once there is some.
    if (appended.interrupted instanceof NoPlace) {
      await discard(after)
      throw appended.interrupted.refusal
    }
    if (appended.interrupted instanceof RegistryError) throw appended.interrupted
    if (appended.interrupted !== undefined) throw new InterruptedUpload(appended.interrupted)
    return after
  }

  return {
    start: (repository) =>
      withFaults(async () => {
        space.admit()
        const asked = admitStart()
        if (asked !== undefined) await asked
        const id = newId()
        const upload = await storage.begin(id)
        const time = now()
        const { size, state } = upload
        const row = { id, repository, size, state, digest: undefined, bootId, startedAt: time, updatedAt: time }
        try {
          await metadata.uploads.start(row)
        } catch (error) {
          // Nobody will come back for it: clients that try again while the disk is full must not use up its inodes.
          await storage.abort(upload).catch(() => {})
          throw error
        }
        return { id, size }
      }),

    status: (repository, id) =>
      withFaults(async () => {
        const row = await load(repository, id)
        // A crash may have left fewer bytes than the row tells of, or none: the client must hear what the registry has.
        const size = await storage.sizeOf(storedUpload(row))
        if (size === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN', { detail: id })
        return { id, size: Math.min(row.size, size) }
      }),

    append: (repository, id, chunk, algorithm = 'sha256') =>
      withFaults(() =>
        inSession(repository, id, async (turn) => {
          const { size } = await receive(await resume(repository, id), chunk, algorithm, turn)
          return { id, size }
        }),
      ),

    finish: (repository, id, digest, last, cause) =>
      withFaults(() =>
        inSession(repository, id, async (turn) => {
          let row = await resume(repository, id)
          if (last !== undefined) row = await receive(row, last, algorithmOf(digest), turn, digest)
          const upload = storedUpload(row)
          const known =
            row.bootId === bootId && row.digest?.startsWith(`${algorithmOf(digest)}:`) ? row.digest : undefined
          const actual = known ?? (await storage.digest(upload, algorithmOf(digest)))
          if (actual !== digest) {
            await discard(row)
            throw new RegistryError('DIGEST_INVALID', { detail: { expected: digest, actual, size: row.size } })
          }
          const asked = quotas.admit(repository, id, row.size, digest)
          if (asked !== undefined) await admitted(asked, row, row.size, digest)
          try {
            await commit(repository, upload, digest, cause)
          } catch (error) {
            if (!(await metadata.uploads.exists(id))) quotas.uploaded(repository, id, 0)
            throw error
          }
          quotas.uploaded(repository, id, 0)
        }),
      ),

    expire: (before) => endStale(before),

    endAll: (repository, startedBy) =>
      withFaults(async () => {
        let ended = 0
        for (;;) {
          const rows = await metadata.uploads.of(repository, startedBy, EXPIRED_AT_ONCE)
          for (const { id } of rows) {
            await sessions.exclusive(id, async () => {
              // It may have become a blob while this waited.
              const current = await metadata.uploads.find(repository, id)
              if (current === undefined) return
              await discard(current)
              ended++
            })
          }
          if (rows.length < EXPIRED_AT_ONCE) return ended
        }
      }),

    async countStale(before) {
      return (await metadata.uploads.stale(before, 1000)).length
    },

    isBusy: sessions.isBusy,

    async forgetStray(id) {
      // What a client goes on with is none.
      const forgetting = sessions.ifIdle(id, async () => {
        if (await metadata.uploads.exists(id)) return false
        await storage.abort({ id, size: 0, state: '' })
        return true
      })
      return (await forgetting) ?? false
    },

    cancel: (repository, id) =>
      withFaults(() => sessions.exclusive(id, async () => discard(await load(repository, id)))),
  }
}

const EXPIRED_AT_ONCE = 100
/** Milliseconds after which an upload is ended where there is no room for another one. */
const IDLE = 3_600_000

/** The client went away, or was too slow, in the middle of a body. Not a fault of the registry's. */
export class InterruptedUpload extends Error {
  constructor(cause: unknown) {
    super('the request body ended early', { cause })
    this.name = 'InterruptedUpload'
  }
}

/** Ends a body that no quota has a place for. */
class NoPlace extends Error {
  readonly refusal: RegistryError

  constructor(refusal: RegistryError) {
    super(refusal.message)
    this.refusal = refusal
  }
}

async function* within(body: AsyncIterable<Uint8Array>, before: number, room: UploadRoom): AsyncGenerator<Uint8Array> {
  let size = before
  for await (const bytes of body) {
    size += bytes.byteLength
    const refusal = room.grown(size)
    if (refusal !== undefined) throw new NoPlace(refusal)
    yield bytes
  }
}

function storedUpload({ id, size, state }: UploadRow): StoredUpload {
  return { id, size, state }
}

function outOfOrder(row: UploadRow): RegistryError {
  return new RegistryError('RANGE_INVALID', {
    detail: {
      message: `the upload has ${row.size} bytes: continue there`,
      range: formatUploadRange(row.size),
      size: row.size,
    },
  })
}
