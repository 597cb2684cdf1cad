import { Database } from 'bun:sqlite'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { openSqlite } from '../../src/metadata/sqlite.ts'

/** How much a registry made of rows alone has: nobody pushes a million blobs for a benchmark. */
export interface Rows {
  /** That manifests need, ten each; every manifest has one tag. A multiple of 10; their bytes are not there. */
  blobs: number
  repositories: number
  /** Blobs that nothing needs, and that wait for the collector. */
  garbage: number
  /** When the first of `portions` of the garbage began to wait, and how much later each other one did; all long ago otherwise. Milliseconds. */
  waiting?: { since: number; later: number; portions: number }
  /** Bytes of each of these in storage; 0: there is no file to unlink. */
  garbageBytes: number
}

/** What each registry of rows has in the same number, for a page of it to cost the same. */
export const REFERRERS = 20
/** Repositories are `rows/r1` and so on; this one has half of all manifests and their tags. */
export const LARGEST = 'rows/r1'
/** A repository that is the same in each registry: so many manifests with a tag each, and no blobs. */
export const SAME = { name: 'rows/same', tags: 100 }
/** The manifest with referrers; in `LARGEST`. */
export const SUBJECT = `sha256:${(2).toString(16).padStart(64, '0')}`

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

/** Writes the rows into a new database below `data`, as pushes would have left them, and the files of the garbage. */
export async function writeRows(data: string, rows: Rows): Promise<void> {
  const { blobs, repositories, garbage, garbageBytes, waiting = { since: 1, later: 0, portions: 1 } } = rows
  // With no folder of blobs at all it would look like a disk that is not mounted, and no server would start.
  mkdirSync(join(data, 'docker/registry/v2/blobs'), { recursive: true })
  const path = join(data, 'berth.db')
  await (await openSqlite({ path, now: () => 1 })).close()
  using database = new Database(path)
  database.run('PRAGMA synchronous = OFF')
  database.run('PRAGMA foreign_keys = OFF')
  database.run('PRAGMA cache_size = -200000')
  const numbers = (count: number, from = 1) =>
    `WITH RECURSIVE n(i) AS (SELECT ${from} UNION ALL SELECT i + 1 FROM n WHERE i < ${from + count - 1})`
  // Spread over the index, as digests are.
  const hex = "printf('%08x%056x', (i * 2654435761) % 4294967296, i)"
  const key = `'docker/registry/v2/blobs/sha256/' || substr(${hex}, 1, 2) || '/' || ${hex} || '/data'`
  const digest = `'sha256:' || ${hex}`
  // Half of the manifests are in the first repository: the even ones.
  const repositoryOf = (manifest: string) =>
    `(CASE WHEN (${manifest}) % 2 = 0 THEN 1 ELSE ((${manifest}) % ${repositories}) + 1 END)`
  const since = `${waiting.since} + ${waiting.later} * ((i - ${blobs + 1}) * ${waiting.portions} / ${Math.max(garbage, 1)})`
  // Ten blobs in a row are those of one manifest.
  const holder = '(((i - 1) / 10) + 1)'
  const manifests = blobs / 10
  const manifestColumns =
    '(id, repository_id, digest, media_type, size, pushed_at, bytes, subject_digest, artifact_type)'
  database.transaction(() => {
    const insert = (count: number, into: string, from = 1) => {
      if (count > 0) database.run(`${numbers(count, from)} INSERT INTO ${into} FROM n`)
    }
    insert(repositories, `repositories (id, name, listed, created_at) SELECT i, 'rows/r' || i, 1, 1`)
    insert(
      blobs + garbage,
      `blobs (digest, size, storage_key, state, created_at) SELECT ${digest},
      iif(i > ${blobs}, ${garbageBytes}, 1000), ${key}, 'live', 1`,
    )
    insert(blobs, `repository_blobs (repository_id, digest, created_at) SELECT ${repositoryOf(holder)}, ${digest}, 1`)
    insert(
      garbage,
      `repository_blobs (repository_id, digest, created_at) SELECT (i % ${repositories}) + 1, ${digest}, 1`,
      blobs + 1,
    )
    insert(
      manifests,
      `manifests ${manifestColumns} SELECT i, ${repositoryOf('i')}, 'sha256:' || printf('%064x', i),
      '${MANIFEST}', 2, 1, x'7b7d', NULL, NULL`,
    )
    insert(
      REFERRERS,
      `manifests ${manifestColumns} SELECT i, 1, 'sha256:' || printf('%064x', i), '${MANIFEST}', 2, 1, x'7b7d',
        '${SUBJECT}', 'application/vnd.example.signature'`,
      manifests + 1,
    )
    const same = repositories + 1
    const first = manifests + REFERRERS + 1
    database.run(`INSERT INTO repositories (id, name, listed, created_at) VALUES (${same}, '${SAME.name}', 1, 1)`)
    insert(
      SAME.tags,
      `manifests ${manifestColumns} SELECT i, ${same}, 'sha256:' || printf('%064x', i), '${MANIFEST}', 2, 1, x'7b7d',
        NULL, NULL`,
      first,
    )
    insert(SAME.tags, `tags (repository_id, name, manifest_id, updated_at) SELECT ${same}, 't' || i, i, 1`, first)
    insert(manifests, `tags (repository_id, name, manifest_id, updated_at) SELECT ${repositoryOf('i')}, 't' || i, i, 1`)
    insert(
      blobs,
      `manifest_references (manifest_id, repository_id, digest, kind)
      SELECT ${holder}, ${repositoryOf(holder)}, ${digest}, 'blob'`,
    )
    insert(
      blobs,
      `manifest_blobs (manifest_id, repository_id, digest)
      SELECT ${holder}, ${repositoryOf(holder)}, ${digest}`,
    )
    insert(
      garbage,
      `link_reviews (repository_id, digest, since, freed, attempts, not_before)
        SELECT (i % ${repositories}) + 1, ${digest}, ${since}, 0, 0, 0`,
      blobs + 1,
    )
  })()
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
  if (garbageBytes === 0) return
  const bytes = new Uint8Array(garbageBytes)
  const keys = database.query<{ key: string }, []>(
    'SELECT storage_key AS key FROM blobs JOIN link_reviews ON link_reviews.digest = blobs.digest',
  )
  for (const row of keys.iterate()) {
    const file = join(data, row.key)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, bytes)
  }
}
