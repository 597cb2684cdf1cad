import { sql } from 'kysely'
import type { Digest } from '../oci/digest.ts'
import { reviewAdopted } from './adoption-review.ts'
import { holdNamed } from './blobs.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { manifestIdOf, store } from './manifests.ts'
import type { AdoptedManifest, AdoptedNeed, AdoptedTag, AdoptedTagOutcome, Adoption } from './metadata.ts'
import { holdList, restartQuotas } from './quotas.ts'
import { ensureRepository } from './repositories.ts'
import { settleManifests } from './reviews.ts'
import { recordMove } from './tag-history.ts'

const RELAXED = { durable: false }
/** Who moved tags, in their history. */
const ACTOR = 'registry:2'

export function adoption(database: Database): Adoption {
  return {
    blobs(blobs, now) {
      return database.transaction(async (trx) => {
        let added = 0
        await inChunks(blobs, async (chunk) => {
          const made = await trx
            .insertInto('blobs')
            .values(
              chunk.map(({ digest, size, key, modified }) => ({
                digest,
                size,
                storage_key: key,
                state: 'live' as const,
                created_at: modified,
              })),
            )
            .onConflict((conflict) => conflict.column('digest').doNothing())
            .executeTakeFirst()
          added += Number(made.numInsertedOrUpdatedRows ?? 0n)
          return []
        })
        await revive(trx, blobs, now)
        return added
      }, RELAXED)
    },

    links(repository, links, now) {
      return database.transaction(async (trx) => {
        const { id: repositoryId } = await ensureRepository(trx, repository, earliest(links, now))
        const times = new Map(links.map(({ digest, at }) => [digest, at]))
        const present = await inChunks([...times.keys()], (digests) =>
          trx.selectFrom('blobs').select('digest').where('digest', 'in', digests).where('state', '=', 'live').execute(),
        )
        const known = new Set(present.map(({ digest }) => digest))
        const added = await link(trx, repositoryId, [...known], (digest) => times.get(digest) ?? now)
        return { added, missing: [...times.keys()].filter((digest) => !known.has(digest)) }
      }, RELAXED)
    },

    manifests(repository, manifests, { relink, now }) {
      return database.transaction(async (trx) => {
        const { id: repositoryId } = await ensureRepository(trx, repository, earliest(manifests, now))
        const needs: AdoptedNeed[] = []
        let added = 0
        for (const manifest of manifests) {
          const unmet = await needsOf(trx, repositoryId, manifest)
          needs.push(...unmet)
          const unlinked = unmet.filter(({ kind }) => kind === 'unlinked').map(({ digest }) => digest)
          if (relink) await link(trx, repositoryId, unlinked, () => manifest.at)
          if (await isKnown(trx, repositoryId, manifest.digest)) continue
          await store(trx, repositoryId, { ...manifest, now: manifest.at }, false)
          added++
        }
        return { added, needs }
      }, RELAXED)
    },

    tags(repository, tags, { isTruth, now }) {
      return database.transaction(async (trx) => {
        const { id: repositoryId } = await ensureRepository(trx, repository, earliest(tags, now))
        const outcomes: AdoptedTagOutcome[] = []
        for (const tag of tags) outcomes.push(await putTag(trx, repositoryId, tag, isTruth))
        return outcomes
      }, RELAXED)
    },

    distrust(digest, size) {
      return database.transaction(async (trx) => {
        await trx.updateTable('blobs').set({ size }).where('digest', '=', digest).execute()
      }, RELAXED)
    },

    review(cursor = { step: 'links', repositoryId: 0, digest: '' }, due) {
      return database.transaction((trx) => reviewAdopted(trx, cursor, due), RELAXED)
    },

    async unreferenced() {
      const row = await database.read
        .selectFrom('blobs')
        .select([sql<number>`count(*)`.as('blobs'), sql<number>`coalesce(sum(size), 0)`.as('bytes')])
        .where('digest', 'not in', (from) => from.selectFrom('manifests').select('manifests.digest'))
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom('manifest_references')
                .select('manifest_references.digest')
                .whereRef('manifest_references.digest', '=', 'blobs.digest')
                .where('manifest_references.kind', '=', 'blob'),
            ),
          ),
        )
        .executeTakeFirstOrThrow()
      return { blobs: Number(row.blobs), bytes: Number(row.bytes) }
    },

    finish(record) {
      return database.transaction(
        async (trx) => {
          await trx.insertInto('audit').values(record).execute()
          // Adopted links and tags are not counted one by one.
          await holdList(trx)
          await restartQuotas(trx, record.at)
        },
        { durable: true },
      )
    },
  }
}

function earliest(entries: readonly { at: number }[], now: number): number {
  return entries.reduce((time, { at }) => Math.min(time, at), now)
}

/** What the collector was to delete lives again: it does not run while a tree is adopted, and the files are there. */
async function revive(trx: Handle, blobs: Parameters<Adoption['blobs']>[0], now: number): Promise<void> {
  const keys = new Map(blobs.map((blob) => [blob.digest, blob]))
  const dead = await inChunks([...keys.keys()], (digests) =>
    trx
      .selectFrom('blobs')
      .select('digest')
      .where('digest', 'in', digests)
      .where('state', '=', 'deleting')
      .forUpdate()
      .execute(),
  )
  for (const { digest } of dead) {
    const blob = keys.get(digest)
    if (blob === undefined) continue
    const values = { state: 'live' as const, storage_key: blob.key, size: blob.size, created_at: now }
    await trx.updateTable('blobs').set(values).where('digest', '=', digest).execute()
    await trx.deleteFrom('discarded_objects').where('storage_key', '=', blob.key).execute()
  }
}

/** Links live blobs; manifests that named them before hold them from now on. Resolves to how many are new. */
async function link(
  trx: Handle,
  repositoryId: number,
  digests: readonly Digest[],
  timeOf: (digest: Digest) => number,
): Promise<number> {
  const made = await inChunks(digests, (chunk) =>
    trx
      .insertInto('repository_blobs')
      .values(chunk.map((digest) => ({ repository_id: repositoryId, digest, created_at: timeOf(digest) })))
      .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doNothing())
      .returning('digest')
      .execute(),
  )
  const fresh = made.map(({ digest }) => digest)
  await inChunks(fresh, (chunk) => holdNamed(trx, repositoryId, chunk))
  return fresh.length
}

async function needsOf(trx: Handle, repositoryId: number, manifest: AdoptedManifest): Promise<AdoptedNeed[]> {
  const wanted = new Set(
    manifest.references.filter(({ kind, required }) => kind === 'blob' && required).map(({ digest }) => digest),
  )
  const rows = await inChunks([...wanted], (digests) =>
    trx
      .selectFrom('blobs')
      .leftJoin('repository_blobs', (join) =>
        join
          .onRef('repository_blobs.digest', '=', 'blobs.digest')
          .on('repository_blobs.repository_id', '=', repositoryId),
      )
      .select(['blobs.digest', 'blobs.size', 'repository_blobs.repository_id as link'])
      .where('blobs.digest', 'in', digests)
      .where('blobs.state', '=', 'live')
      .execute(),
  )
  const present = new Map(rows.map((row) => [row.digest, row]))
  const needs: AdoptedNeed[] = []
  for (const digest of wanted) {
    const row = present.get(digest)
    if (row === undefined) needs.push({ manifest: manifest.digest, digest, kind: 'missing' })
    else if (row.link === null) needs.push({ manifest: manifest.digest, digest, kind: 'unlinked' })
  }
  for (const { digest, size } of manifest.sizes) {
    const found = present.get(digest)?.size
    if (found !== undefined && found !== size) {
      needs.push({ manifest: manifest.digest, digest, kind: 'size', size, found })
    }
  }
  return needs
}

async function isKnown(trx: Handle, repositoryId: number, digest: Digest): Promise<boolean> {
  return (await manifestIdOf(trx, repositoryId, digest)) !== undefined
}

async function putTag(
  trx: Handle,
  repositoryId: number,
  tag: AdoptedTag,
  isTruth: boolean,
): Promise<AdoptedTagOutcome> {
  const { name, digest, at } = tag
  const id = await manifestIdOf(trx, repositoryId, digest)
  if (id === undefined) return 'dangling'
  const row = await trx
    .selectFrom('tags')
    .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
    .select(['manifest_id', 'updated_at', 'manifests.digest'])
    .where('tags.repository_id', '=', repositoryId)
    .where('tags.name', '=', name)
    .executeTakeFirst()
  if (row?.manifest_id === id) return 'same'
  if (row !== undefined && !isTruth && row.updated_at > at) return 'kept'
  const values = { manifest_id: id, updated_at: at }
  await trx
    .insertInto('tags')
    .values({ repository_id: repositoryId, name, ...values })
    .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doUpdateSet(values))
    .execute()
  await settleManifests(trx, [id])
  const moves = row === undefined ? await pastOf(trx, repositoryId, tag) : []
  let from = row?.digest
  for (const move of [...moves, { digest, at }]) {
    await recordMove(trx, { repositoryId, name, from, to: move.digest }, { now: move.at, actor: ACTOR })
    from = move.digest
  }
  return row === undefined ? 'new' : 'moved'
}

/** What the tag pointed to, as far as it is there and could be restored; nothing when its history is known already. */
async function pastOf(trx: Handle, repositoryId: number, { name, past }: AdoptedTag): Promise<AdoptedTag['past']> {
  if (past.length === 0) return []
  const known = await trx
    .selectFrom('tag_history')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .where('name', '=', name)
    .limit(1)
    .executeTakeFirst()
  if (known !== undefined) return []
  const digests = past.map((entry) => entry.digest)
  const rows = await inChunks(digests, (chunk) =>
    trx
      .selectFrom('manifests')
      .select('digest')
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', chunk)
      .execute(),
  )
  const present = new Set(rows.map((entry) => entry.digest))
  return past.filter((entry) => present.has(entry.digest))
}
