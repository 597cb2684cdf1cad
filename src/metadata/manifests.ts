import type { Digest } from '../oci/digest.ts'
import { bury } from './burial.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { survive } from './deletion-survivors.ts'
import { eventOfTag, queueEvents } from './events.ts'
import type { ManifestFacts, ManifestPut, Manifests, Reference, StoredManifest } from './metadata.ts'
import { refuseToDeleteManifest, refuseToMove } from './protection.ts'
import { countManifest, recounting } from './quota-counts.ts'
import { ensureRepository, lockRepository, updateListed } from './repositories.ts'
import { freeLinks, reviewManifests, settleLinks, settleManifests } from './reviews.ts'
import { moveTag } from './tag-history.ts'

export interface ManifestRecord {
  digest: Digest
  media_type: string
  bytes: Uint8Array
}

const COLUMNS = ['manifests.digest', 'manifests.media_type', 'manifests.bytes'] as const

export function manifests(database: Database): Manifests {
  return {
    async find(repository, digest) {
      const row = await manifestByDigest(database.read, repository, digest).executeTakeFirst()
      return row && storedManifest(row)
    },

    async resolve(repository, tag) {
      const row = await manifestByTag(database.read, repository, tag).executeTakeFirst()
      return row && storedManifest(row)
    },

    put(put) {
      return database.transaction(
        async (trx) => {
          const missing = await missingReferences(trx, put)
          if (missing.length > 0) return { stored: false, missing }
          const { id: repositoryId, deletion } = await ensureRepository(trx, put.repository, put.now)
          await refuseToMove(trx, { repositoryId, ...put }, put.tags, put.digest)
          const manifestId = await store(trx, repositoryId, put, true)
          const move = { repositoryId, manifestId, ...put, bound: true }
          for (const name of new Set(put.tags)) await moveTag(trx, { ...move, name })
          if (deletion !== null) await survive(trx, repositoryId, { manifests: [manifestId], tags: put.tags })
          if (put.tags.length === 0) await reviewManifests(trx, [manifestId], 'unused', put.now)
          await queueEvents(trx, put.events)
          return { stored: true }
        },
        { durable: true },
      )
    },

    delete(repository, digest, { batch, events = [], protections = [], ...change }) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return undefined
          const manifestId = await manifestIdOf(trx, repositoryId, digest)
          if (manifestId === undefined) return undefined
          await refuseToDeleteManifest(trx, { repository, protections }, manifestId)
          const grave = { reason: 'deleted', batch, deletedAt: change.now } as const
          const buried = await bury(trx, { repositoryId, manifestId, change, grave })
          const ofTags = events.flatMap((event) => buried.tags.map((tag) => eventOfTag(event, tag)))
          await queueEvents(trx, [...events, ...ofTags])
          return buried
        },
        { durable: true },
      )
    },

    async list(repository, { last, limit }) {
      const rows = await database.read
        .selectFrom('repositories')
        .innerJoin('manifests', 'manifests.repository_id', 'repositories.id')
        .select('manifests.digest')
        .where('repositories.name', '=', repository)
        .$if(last !== undefined, (query) => query.where('manifests.digest', '>', (last ?? '') as Digest))
        .orderBy('manifests.digest')
        .limit(limit)
        .execute()
      return rows.map((row) => row.digest)
    },
  }
}

/** The id of its row; undefined when the repository does not have it. */
export async function manifestIdOf(read: Handle, repositoryId: number, digest: Digest): Promise<number | undefined> {
  const row = await read
    .selectFrom('manifests')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .executeTakeFirst()
  return row?.id
}

export function manifestByDigest(read: Handle, repository: string, digest: Digest) {
  return read
    .selectFrom('repositories')
    .innerJoin('manifests', 'manifests.repository_id', 'repositories.id')
    .select(COLUMNS)
    .where('repositories.name', '=', repository)
    .where('manifests.digest', '=', digest)
}

export function manifestByTag(read: Handle, repository: string, tag: string) {
  return read
    .selectFrom('repositories')
    .innerJoin('tags', 'tags.repository_id', 'repositories.id')
    .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
    .select(COLUMNS)
    .where('repositories.name', '=', repository)
    .where('tags.name', '=', tag)
}

/** Undefined where its bytes are known to be damaged: whoever pushes it again brings it back. */
export function storedManifest(row: ManifestRecord): StoredManifest | undefined {
  if (row.bytes.byteLength === 0) return undefined
  return { digest: row.digest, mediaType: row.media_type, bytes: row.bytes }
}

/** The required references that the repository has not, in the order of the manifest. */
async function missingReferences(trx: Handle, { repository, references }: ManifestPut): Promise<Reference[]> {
  const required = references.filter((reference) => reference.required)
  if (required.length === 0) return []
  const repositoryId = await lockRepository(trx, repository)
  if (repositoryId === undefined) return required
  const wanted = new Set(required.map(({ digest }) => digest))
  const named = references.filter(({ digest }) => wanted.has(digest))
  const blobs = await inChunks(digestsOf(named, 'blob'), (digests) =>
    trx
      .selectFrom('repository_blobs')
      .innerJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
      .select('blobs.digest')
      .where('repository_blobs.repository_id', '=', repositoryId)
      .where('repository_blobs.digest', 'in', digests)
      .where('blobs.state', '=', 'live')
      .execute(),
  )
  const children = await inChunks(digestsOf(named, 'manifest'), (digests) =>
    trx
      .selectFrom('manifests')
      .select('digest')
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', digests)
      .where('size', '>', 0)
      .execute(),
  )
  const present = new Set([...blobs, ...children].map(({ digest }) => digest))
  return required.filter(({ digest }) => !present.has(digest))
}

type Stored = Omit<ManifestPut, 'tags' | 'repository' | 'actor' | 'protections'>

/**
 * The manifest's id. One that is there already stays as it was, unless its bytes are damaged. The caller holds the repository's
 * lock. `bound`: by quotas.
 */
export async function store(trx: Handle, repositoryId: number, put: Stored, bound: boolean): Promise<number> {
  const made = await trx
    .insertInto('manifests')
    .values({
      repository_id: repositoryId,
      digest: put.digest,
      media_type: put.mediaType,
      size: put.bytes.byteLength,
      subject_digest: put.subject ?? null,
      artifact_type: put.artifactType ?? null,
      annotations: put.annotations === undefined ? null : JSON.stringify(put.annotations),
      pushed_at: put.now,
      bytes: put.bytes,
    })
    .onConflict((conflict) => conflict.columns(['repository_id', 'digest']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (made === undefined) {
    const known = await trx
      .selectFrom('manifests')
      .select(['id', 'bytes'])
      .where('repository_id', '=', repositoryId)
      .where('digest', '=', put.digest)
      .executeTakeFirstOrThrow()
    if (Buffer.compare(known.bytes, put.bytes) !== 0) {
      await recounting(trx, repositoryId, known.id, async () => {
        await restoreBytes(trx, known.id, put)
        await rewrite(trx, repositoryId, known.id, put)
      })
    }
    return known.id
  }
  const blobs = await refer(trx, repositoryId, made.id, put.references)
  await countManifest(trx, repositoryId, { digest: put.digest, size: put.bytes.byteLength, blobs }, bound)
  await updateListed(trx, repositoryId, bound)
  return made.id
}

/** Gives a manifest whose bytes are damaged those that its digest is made of. Quotas are the caller's (`recounting`). */
export async function restoreBytes(
  trx: Handle,
  manifestId: number,
  { bytes, mediaType }: Pick<StoredManifest, 'bytes' | 'mediaType'>,
): Promise<void> {
  await trx
    .updateTable('manifests')
    .set({ bytes, size: bytes.byteLength, media_type: mediaType })
    .where('id', '=', manifestId)
    .execute()
  await trx.deleteFrom('damaged_manifests').where('manifest_id', '=', manifestId).execute()
}

/**
 * Writes anew what the rows of a manifest tell beside its bytes. What only it held waits for the collector. Quotas are the
 * caller's (`recounting`).
 */
export async function rewrite(
  trx: Handle,
  repositoryId: number,
  manifestId: number,
  facts: ManifestFacts & { now: number },
): Promise<void> {
  await trx
    .updateTable('manifests')
    .set({
      subject_digest: facts.subject ?? null,
      artifact_type: facts.artifactType ?? null,
      annotations: facts.annotations === undefined ? null : JSON.stringify(facts.annotations),
    })
    .where('id', '=', manifestId)
    .execute()
  await freeLinks(trx, [manifestId], facts.now)
  await trx.deleteFrom('manifest_blobs').where('manifest_id', '=', manifestId).execute()
  await trx.deleteFrom('manifest_references').where('manifest_id', '=', manifestId).execute()
  await refer(trx, repositoryId, manifestId, facts.references)
}

/** Resolves to the blobs that it needs, and that the repository has. */
async function refer(
  trx: Handle,
  repositoryId: number,
  manifestId: number,
  references: ManifestFacts['references'],
): Promise<Digest[]> {
  const blobs = digestsOf(references, 'blob')
  const rows = [
    ...blobs.map((digest) => ({ digest, kind: 'blob' as const })),
    ...digestsOf(references, 'manifest').map((digest) => ({ digest, kind: 'manifest' as const })),
  ]
  await inChunks(rows, (chunk) =>
    trx
      .insertInto('manifest_references')
      .values(chunk.map((row) => ({ manifest_id: manifestId, repository_id: repositoryId, ...row })))
      .execute(),
  )
  const links = await inChunks(blobs, (digests) =>
    trx
      .selectFrom('repository_blobs')
      .select(['repository_id', 'digest'])
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', digests)
      .execute(),
  )
  await inChunks(links, (chunk) =>
    trx
      .insertInto('manifest_blobs')
      .values(chunk.map((row) => ({ manifest_id: manifestId, ...row })))
      .execute(),
  )
  const linked = links.map(({ digest }) => digest)
  await settleLinks(trx, repositoryId, linked)
  const children = await inChunks(digestsOf(references, 'manifest'), (digests) =>
    trx
      .selectFrom('manifests')
      .select('id')
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', digests)
      .execute(),
  )
  const childIds = children.map(({ id }) => id)
  await settleManifests(trx, childIds)
  return linked
}

function digestsOf(references: ManifestFacts['references'], kind: Reference['kind']): Digest[] {
  return [...new Set(references.filter((reference) => reference.kind === kind).map(({ digest }) => digest))]
}
