import type { Digest } from '../oci/digest.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { indexEdges } from './index-edges.ts'
import type { Overview, RepositoryOverview } from './metadata.ts'
import { knownRepository } from './repositories.ts'

/** Rows of one repository that are counted; what has more is said to have at least these. */
const MOST = 100_000
/** Rows counted for one page, which ends after the repository that spends them. */
const BUDGET = 20_000
/** Names of one look among those that may be seen. */
const NAMES = 500
/** An index in an index in an index has never been seen. */
const DEPTH = 2

export function overview({ read }: Database): Overview {
  return {
    async repositories({ last, limit }, among) {
      const names = among && [...new Set(among)].filter((name) => last === undefined || name > last).sort()
      if (names?.length === 0) return { repositories: [], more: false }
      const found = await read
        .selectFrom('repositories')
        .leftJoin('repository_pulls', 'repository_pulls.repository_id', 'repositories.id')
        .select(['id', 'name', 'created_at', 'pulls', 'last_at'])
        .where('listed', '=', 1)
        .$if(last !== undefined, (query) => query.where('name', '>', last ?? ''))
        .$if(names !== undefined, (query) => query.where('name', 'in', names?.slice(0, NAMES) ?? []))
        .orderBy('name')
        .limit(limit + 1)
        .execute()
      const repositories: RepositoryOverview[] = []
      let spent = 0
      for (const { id, name, created_at, pulls, last_at } of found.slice(0, limit)) {
        if (spent > BUDGET) return { repositories, more: true }
        const counted = await countsOf(read, id)
        spent += counted.tags + counted.blobs
        repositories.push({
          ...{ name, createdAt: created_at, ...counted },
          updatedAt: await lastMove(read, id),
          pulls: pulls ?? 0,
          lastPullAt: last_at ?? undefined,
        })
      }
      return { repositories, more: found.length > limit || (names !== undefined && names.length > NAMES) }
    },

    async tags(repository, { last, limit }) {
      const known = await knownRepository(read, repository)
      if (known === undefined) return undefined
      const rows = await read
        .selectFrom('tags')
        .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
        .leftJoin('tag_pulls', (join) =>
          join.onRef('tag_pulls.repository_id', '=', 'tags.repository_id').onRef('tag_pulls.name', '=', 'tags.name'),
        )
        .select(({ selectFrom }) => [
          ...(['tags.name', 'tags.updated_at', 'tags.manifest_id', 'manifests.digest'] as const),
          ...(['manifests.media_type', 'manifests.pushed_at', 'tag_pulls.pulls', 'tag_pulls.last_at'] as const),
          selectFrom('tag_history')
            .select('tag_history.actor')
            .whereRef('tag_history.repository_id', '=', 'tags.repository_id')
            .whereRef('tag_history.name', '=', 'tags.name')
            .orderBy('tag_history.id', 'desc')
            .limit(1)
            .as('actor'),
        ])
        .where('tags.repository_id', '=', known)
        .$if(last !== undefined, (query) => query.where('tags.name', '>', last ?? ''))
        .orderBy('tags.name')
        .limit(limit)
        .execute()
      const sizes = await sizesOf(read, [...new Set(rows.map((row) => row.manifest_id))])
      return rows.map((row) => ({
        name: row.name,
        digest: row.digest,
        mediaType: row.media_type,
        size: sizes.get(row.manifest_id) ?? 0,
        pushedAt: row.updated_at,
        pushedBy: row.actor ?? undefined,
        pulls: row.pulls ?? 0,
        lastPullAt: row.last_at ?? undefined,
      }))
    },
  }
}

async function countsOf(
  read: Handle,
  repositoryId: number,
): Promise<Pick<RepositoryOverview, 'tags' | 'blobs' | 'bytes' | 'complete'>> {
  const tags = await read
    .selectFrom((from) =>
      from.selectFrom('tags').select('name').where('repository_id', '=', repositoryId).limit(MOST).as('some'),
    )
    .select(({ fn }) => fn.countAll().as('count'))
    .executeTakeFirstOrThrow()
  const blobs = await read
    .selectFrom((from) =>
      from
        .selectFrom('repository_blobs')
        .innerJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
        .select('blobs.size')
        .where('repository_blobs.repository_id', '=', repositoryId)
        .limit(MOST)
        .as('some'),
    )
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('some.size').as('bytes')])
    .executeTakeFirstOrThrow()
  const [tagCount, blobCount] = [Number(tags.count), Number(blobs.count)]
  const complete = tagCount < MOST && blobCount < MOST
  return { tags: tagCount, blobs: blobCount, bytes: Number(blobs.bytes ?? 0), complete }
}

async function lastMove(read: Handle, repositoryId: number): Promise<number | undefined> {
  const row = await read
    .selectFrom('tag_history')
    .select('at')
    .where('repository_id', '=', repositoryId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.at
}

/** Bytes of each manifest with its children, and of all blobs that they name, each counted once. */
async function sizesOf(read: Handle, ids: readonly number[]): Promise<Map<number, number>> {
  const children = new Map<number, number[]>()
  let level = [...ids]
  const all = new Set(level)
  for (let depth = 0; depth < DEPTH && level.length > 0; depth++) {
    const edges = await indexEdges(read, 'above', level)
    for (const { above, below } of edges) children.set(above, [...(children.get(above) ?? []), below])
    level = [...new Set(edges.map(({ below }) => below))].filter((id) => !all.has(id))
    for (const id of level) all.add(id)
  }
  const own = await inChunks([...all], (chunk) =>
    read.selectFrom('manifests').select(['id', 'size']).where('id', 'in', chunk).execute(),
  )
  const blobs = await inChunks([...all], (chunk) =>
    read
      .selectFrom('manifest_blobs')
      .innerJoin('blobs', 'blobs.digest', 'manifest_blobs.digest')
      .select(['manifest_blobs.manifest_id', 'blobs.digest', 'blobs.size'])
      .where('manifest_blobs.manifest_id', 'in', chunk)
      .execute(),
  )
  const sizes = new Map(own.map(({ id, size }) => [id, size]))
  const parts = Map.groupBy(blobs, (row) => row.manifest_id)
  return new Map(ids.map((id) => [id, sizeOf(id)]))

  function sizeOf(top: number): number {
    const counted = new Map<Digest, number>()
    const seen = new Set([top])
    // What is added is walked, too.
    for (const id of seen) for (const child of children.get(id) ?? []) seen.add(child)
    for (const id of seen) for (const { digest, size } of parts.get(id) ?? []) counted.set(digest, size)
    let sum = 0
    for (const id of seen) sum += sizes.get(id) ?? 0
    for (const size of counted.values()) sum += size
    return sum
  }
}
