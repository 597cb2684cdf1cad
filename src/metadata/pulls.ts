import { type Database, type Handle, inChunks, type Tables } from './database.ts'
import type { Pulled, Pulls, PullTally } from './metadata.ts'

export function pulls(database: Database): Pulls {
  const { read } = database
  return {
    add(tallies) {
      return database.transaction(
        async (trx) => {
          for (const [repository, own] of byRepository(tallies)) {
            const row = await trx
              .selectFrom('repositories')
              .select('id')
              .where('name', '=', repository)
              .where('removed_at', 'is', null)
              .forKeyShare()
              .executeTakeFirst()
            if (row === undefined) continue
            await addToManifests(trx, row.id, own)
            await addToTags(trx, row.id, own)
            await addToRepository(trx, row.id, own)
          }
        },
        { durable: false },
      )
    },

    async ofTags(repository, tags) {
      return await inChunks([...tags].sort(), (names) =>
        read
          .selectFrom('repositories')
          .innerJoin('tag_pulls', 'tag_pulls.repository_id', 'repositories.id')
          .select(['tag_pulls.name as tag', 'tag_pulls.pulls', 'tag_pulls.last_at as lastAt'])
          .where('repositories.name', '=', repository)
          .where('tag_pulls.name', 'in', names)
          .orderBy('tag_pulls.name')
          .execute(),
      )
    },

    async ofManifests(repository, digests) {
      return await inChunks([...digests].sort(), (some) =>
        read
          .selectFrom('repositories')
          .innerJoin('manifests', 'manifests.repository_id', 'repositories.id')
          .innerJoin('manifest_pulls', 'manifest_pulls.manifest_id', 'manifests.id')
          .select(['manifests.digest', 'manifest_pulls.pulls', 'manifest_pulls.last_at as lastAt'])
          .where('repositories.name', '=', repository)
          .where('manifests.digest', 'in', some)
          .orderBy('manifests.digest')
          .execute(),
      )
    },

    async since() {
      const row = await read
        .selectFrom('migrations')
        .select('applied_at')
        .where('name', '=', 'pulls')
        .executeTakeFirstOrThrow()
      return row.applied_at
    },
  }
}

/** In the order of names, so that two writers meet in the same order. */
function byRepository(tallies: readonly PullTally[]): [string, PullTally[]][] {
  return [...Map.groupBy(tallies, ({ repository }) => repository)].sort(([a], [b]) => (a < b ? -1 : 1))
}

/** What is locked stays until the transaction ends: no foreign key fails for a deletion beside it. */
async function addToManifests(trx: Handle, repositoryId: number, tallies: readonly PullTally[]): Promise<void> {
  const sums = summed(tallies.map(({ digest, ...tally }) => [digest, tally]))
  const living = await inChunks([...sums.keys()], (digests) =>
    trx
      .selectFrom('manifests')
      .select(['id', 'digest'])
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', digests)
      .orderBy('id')
      .forKeyShare()
      .execute(),
  )
  const rows = living.flatMap(({ id, digest }) => {
    const sum = sums.get(digest)
    return sum === undefined ? [] : [{ manifest_id: id, pulls: sum.pulls, last_at: sum.lastAt }]
  })
  await addManifestPulls(trx, rows)
}

async function addToTags(trx: Handle, repositoryId: number, tallies: readonly PullTally[]): Promise<void> {
  const sums = summed(tallies.flatMap(({ tag, ...tally }) => (tag === undefined ? [] : [[tag, tally] as const])))
  const living = await inChunks([...sums.keys()], (names) =>
    trx
      .selectFrom('tags')
      .select('name')
      .where('repository_id', '=', repositoryId)
      .where('name', 'in', names)
      .orderBy('name')
      .forKeyShare()
      .execute(),
  )
  const rows = living.flatMap(({ name }) => {
    const sum = sums.get(name)
    return sum === undefined ? [] : [{ repository_id: repositoryId, name, pulls: sum.pulls, last_at: sum.lastAt }]
  })
  await addTagPulls(trx, rows)
}

/** Those of all manifests, whatever became of them since. */
async function addToRepository(trx: Handle, repositoryId: number, tallies: readonly PullTally[]): Promise<void> {
  const sum = summed(tallies.map((tally) => [repositoryId, tally])).get(repositoryId)
  if (sum === undefined) return
  await trx
    .insertInto('repository_pulls')
    .values({ repository_id: repositoryId, pulls: sum.pulls, last_at: sum.lastAt })
    .onConflict((conflict) =>
      conflict.column('repository_id').doUpdateSet(({ eb, ref }) => ({
        pulls: eb('repository_pulls.pulls', '+', ref('excluded.pulls')),
        last_at: eb
          .case()
          .when('excluded.last_at', '>', ref('repository_pulls.last_at'))
          .then(ref('excluded.last_at'))
          .else(ref('repository_pulls.last_at'))
          .end(),
      })),
    )
    .execute()
}

function summed<K>(tallies: readonly (readonly [K, Pulled])[]): Map<K, Pulled> {
  const sums = new Map<K, Pulled>()
  for (const [key, { pulls, lastAt }] of tallies) {
    const known = sums.get(key) ?? { pulls: 0, lastAt }
    sums.set(key, { pulls: known.pulls + pulls, lastAt: Math.max(known.lastAt, lastAt) })
  }
  return sums
}

/** Rows of manifests that are there, none twice. */
async function addManifestPulls(trx: Handle, rows: readonly Tables['manifest_pulls'][]): Promise<void> {
  await inChunks(rows, (chunk) =>
    trx
      .insertInto('manifest_pulls')
      .values(chunk)
      .onConflict((conflict) =>
        conflict.column('manifest_id').doUpdateSet(({ eb, ref }) => ({
          pulls: eb('manifest_pulls.pulls', '+', ref('excluded.pulls')),
          last_at: eb
            .case()
            .when('excluded.last_at', '>', ref('manifest_pulls.last_at'))
            .then(ref('excluded.last_at'))
            .else(ref('manifest_pulls.last_at'))
            .end(),
        })),
      )
      .execute(),
  )
}

/** Rows of tags that are there, none twice. */
async function addTagPulls(trx: Handle, rows: readonly Tables['tag_pulls'][]): Promise<void> {
  await inChunks(rows, (chunk) =>
    trx
      .insertInto('tag_pulls')
      .values(chunk)
      .onConflict((conflict) =>
        conflict.columns(['repository_id', 'name']).doUpdateSet(({ eb, ref }) => ({
          pulls: eb('tag_pulls.pulls', '+', ref('excluded.pulls')),
          last_at: eb
            .case()
            .when('excluded.last_at', '>', ref('tag_pulls.last_at'))
            .then(ref('excluded.last_at'))
            .else(ref('tag_pulls.last_at'))
            .end(),
        })),
      )
      .execute(),
  )
}

/** How often a manifest was pulled (`tag` is `''`), and each of its tags. */
export type PullsInTrash = Omit<Tables['trash_pulls'], 'trash_id'>

export type PullsOfManifest = PullsInTrash & { manifest_id: number }

/** Read before they go. */
export async function pullsOf(trx: Handle, manifestIds: readonly number[]): Promise<PullsOfManifest[]> {
  const own = await inChunks(manifestIds, (ids) =>
    trx
      .selectFrom('manifest_pulls')
      .select(['manifest_id', 'pulls', 'last_at'])
      .where('manifest_id', 'in', ids)
      .execute(),
  )
  const ofTags = await inChunks(manifestIds, (ids) =>
    trx
      .selectFrom('tags')
      .innerJoin('tag_pulls', (join) =>
        join.onRef('tag_pulls.repository_id', '=', 'tags.repository_id').onRef('tag_pulls.name', '=', 'tags.name'),
      )
      .select(['tags.manifest_id', 'tag_pulls.name as tag', 'tag_pulls.pulls', 'tag_pulls.last_at'])
      .where('tags.manifest_id', 'in', ids)
      .execute(),
  )
  return [...own.map((row) => ({ tag: '', ...row })), ...ofTags]
}

export async function buryPulls(trx: Handle, rows: readonly Tables['trash_pulls'][]): Promise<void> {
  await inChunks(rows, (chunk) => trx.insertInto('trash_pulls').values(chunk).execute())
}

export async function buriedPulls(trx: Handle, trashId: number): Promise<PullsInTrash[]> {
  return await trx
    .selectFrom('trash_pulls')
    .select(['tag', 'pulls', 'last_at'])
    .where('trash_id', '=', trashId)
    .execute()
}

/** The manifest is back, with what it was pulled. */
export async function restorePulls(trx: Handle, manifestId: number, pulls: readonly PullsInTrash[]): Promise<void> {
  const own = pulls.filter(({ tag }) => tag === '')
  await addManifestPulls(
    trx,
    own.map(({ pulls, last_at }) => ({ manifest_id: manifestId, pulls, last_at })),
  )
}

/** These tags are back, too. */
export async function restoreTagPulls(
  trx: Handle,
  repositoryId: number,
  names: readonly string[],
  pulls: readonly PullsInTrash[],
): Promise<void> {
  const returned = new Set(names)
  const back = pulls.filter(({ tag }) => returned.has(tag))
  await addTagPulls(
    trx,
    back.map(({ tag, pulls, last_at }) => ({ repository_id: repositoryId, name: tag, pulls, last_at })),
  )
}
