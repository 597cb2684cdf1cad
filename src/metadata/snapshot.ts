import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { workerUrl } from '../threads/worker-program.ts'
import { blobByDigest, storedBlob } from './blobs.ts'
import { MetadataError, type StoredBlob } from './metadata.ts'
import { MIGRATIONS } from './migrations/migrate.ts'
import type { SnapshotAnswer, SnapshotRequest } from './snapshot-worker.ts'
import { fromFault } from './sqlite-calls.ts'
import { connect, translated } from './sqlite-connection.ts'

/**
 * Writes all that was committed when it began to a database file of its own, `to`, which is on the disk when this resolves
 * (or not there at all). Works in a thread and on a connection of its own: neither reads nor writes wait for it.
 * @throws MetadataError `corrupt` where the database is damaged: nothing is written then
 */
export async function writeSnapshot(from: string, to: string): Promise<void> {
  await inThread({ from, to })
}

/**
 * Reads the whole database and looks at its structure (SQLite's quick_check), and `thorough`ly at its indexes (integrity_check),
 * in a thread and on a connection of its own.
 * @throws MetadataError `corrupt` where it is damaged
 */
export async function checkDatabase(path: string, check: 'quick' | 'thorough'): Promise<void> {
  await inThread({ from: path, to: { check } })
}

async function inThread(request: SnapshotRequest): Promise<void> {
  const worker = new Worker(workerUrl('metadata/snapshot-worker'))
  try {
    const answer = await new Promise<SnapshotAnswer>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<SnapshotAnswer>) => resolve(data)
      worker.onerror = (event) => {
        event.preventDefault()
        reject(new MetadataError('failed', `the thread that writes a snapshot failed: ${event.message}`))
      }
      worker.postMessage(request)
    })
    if (!answer.ok) throw fromFault(answer.error)
  } finally {
    worker.terminate()
  }
}

/** A database file that nobody writes to. */
export interface Snapshot {
  /** Of its schema. */
  version: number
  /** Milliseconds since the epoch: when the database was first made. A registry keeps it over upgrades and restores; another has another. */
  bornAt: number
  /** What is wrong with it, in SQLite's words; reads all of it. */
  faults(): string[]
  /** How many live blobs there are, and their bytes. */
  total(): Promise<{ count: number; bytes: number }>
  /** Live blobs, in byte order of their digests. */
  blobs(page: { last?: Digest | undefined; limit: number }): Promise<StoredBlob[]>
  /** Where the bytes of a live blob are. */
  keyOf(digest: Digest): Promise<string | undefined>
  close(): void
}

/** @throws MetadataError where the file is no database of a Berth that this program knows. */
export function openSnapshot(path: string): Snapshot {
  const connection = connect(path, 'read')
  const read = connection.query(() => {})
  const all = <Row>(statement: string) =>
    translated(`cannot read the snapshot ${path}`, () => connection.prepare(statement).all() as Row[])
  try {
    const [found] = all<{ version: number | null; born: number | null }>(
      'SELECT max(version) AS version, min(applied_at) AS born FROM migrations',
    )
    const version = Number(found?.version ?? 0)
    const known = MIGRATIONS.at(-1)?.version ?? 0
    if (version > known) {
      throw new MetadataError(
        'failed',
        `${path} has schema version ${version}, but this version of Berth knows versions up to ${known} only: ` +
          'use the newer Berth that made it',
      )
    }
    return {
      version,
      bornAt: Number(found?.born ?? 0),
      faults: () => [
        ...all<{ integrity_check: string }>('PRAGMA integrity_check(20)')
          .map((row) => row.integrity_check)
          .filter((text) => text !== 'ok'),
        ...all<{ table: string; parent: string }>('PRAGMA foreign_key_check')
          .slice(0, 20)
          .map(({ table, parent }) => `a row of ${table} refers to one of ${parent} that is not there`),
      ],
      async total() {
        const row = await read
          .selectFrom('blobs')
          .select([sql<number>`count(*)`.as('count'), sql<number>`coalesce(sum(size), 0)`.as('bytes')])
          .where('state', '=', 'live')
          .executeTakeFirstOrThrow()
        return { count: Number(row.count), bytes: Number(row.bytes) }
      },
      async blobs({ last, limit }) {
        const rows = await read
          .selectFrom('blobs')
          .select(['digest', 'size', 'storage_key', 'state'])
          .where('state', '=', 'live')
          .$if(last !== undefined, (query) => query.where('digest', '>', last ?? ('' as Digest)))
          .orderBy('digest')
          .limit(limit)
          .execute()
        return rows.map(storedBlob)
      },
      async keyOf(digest) {
        const row = await blobByDigest(read, digest).where('state', '=', 'live').executeTakeFirst()
        return row?.storage_key
      },
      close: () => connection.close(),
    }
  } catch (error) {
    connection.close()
    throw error
  }
}

/** Takes the uploads out that were under way: their bytes are in no backup. `path` is a copy that nobody else has open. */
export async function dropUploads(path: string): Promise<void> {
  const connection = connect(path, 'write')
  try {
    connection.run('PRAGMA synchronous = FULL')
    await connection
      .query(() => {})
      .deleteFrom('uploads')
      .execute()
  } finally {
    connection.close()
  }
}
