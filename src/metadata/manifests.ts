import type { Digest } from '../oci/digest.ts'
import { type Database, type Handle, inChunks } from './database.ts'
import { eventOfTag, queueEvents } from './events.ts'
import type { ManifestPut, Manifests, Reference, StoredManifest } from './metadata.ts'
import { ensureRepository, lockRepository, updateListed } from './repositories.ts'

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
          const repositoryId = await ensureRepository(trx, put.repository, put.now)
          const manifestId = await store(trx, repositoryId, put)
          await moveTags(trx, repositoryId, manifestId, put)
          await queueEvents(trx, put.events)
          return { stored: true }
        },
        { durable: true },
      )
    },

    delete(repository, digest, _now, events = []) {
      return database.transaction(
        async (trx) => {
          const repositoryId = await lockRepository(trx, repository)
          if (repositoryId === undefined) return undefined
          const manifest = await trx
            .selectFrom('manifests')
            .select('id')
            .where('repository_id', '=', repositoryId)
            .where('digest', '=', digest)
            .executeTakeFirst()
          if (manifest === undefined) return undefined
          const removed = await trx
            .deleteFrom('tags')
            .where('manifest_id', '=', manifest.id)
            .returning('name')
            .execute()
          await trx.deleteFrom('manifests').where('id', '=', manifest.id).execute()
          await updateListed(trx, repositoryId)
          // A tag is ASCII (OCI Distribution Specification 1.1, "Pulling manifests"): this is the order of bytes.
          const tags = removed.map((tag) => tag.name).sort()
          await queueEvents(trx, [...events, ...events.flatMap((event) => tags.map((tag) => eventOfTag(event, tag)))])
          return { tags }
        },
        { durable: true },
      )
    },
  }
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

export function storedManifest(row: ManifestRecord): StoredManifest {
  return { digest: row.digest, mediaType: row.media_type, bytes: row.bytes }
}

/** The required references that the repository has not, in the order of the manifest. */
async function missingReferences(trx: Handle, { repository, references }: ManifestPut): Promise<Reference[]> {
  const required = references.filter((reference) => reference.required)
  if (required.length === 0) return []
  const repositoryId = await lockRepository(trx, repository)
  if (repositoryId === undefined) return required
  const blobs = await inChunks(digestsOf(required, 'blob'), (digests) =>
    trx
      .selectFrom('repository_blobs')
      .innerJoin('blobs', 'blobs.digest', 'repository_blobs.digest')
      .select('blobs.digest')
      .where('repository_blobs.repository_id', '=', repositoryId)
      .where('repository_blobs.digest', 'in', digests)
      .where('blobs.state', '=', 'live')
      .execute(),
  )
  const children = await inChunks(digestsOf(required, 'manifest'), (digests) =>
    trx
      .selectFrom('manifests')
      .select('digest')
      .where('repository_id', '=', repositoryId)
      .where('digest', 'in', digests)
      .execute(),
  )
  const present = {
    blob: new Set(blobs.map((blob) => blob.digest)),
    manifest: new Set(children.map((child) => child.digest)),
  }
  return required.filter((reference) => !present[reference.kind].has(reference.digest))
}

/** The manifest's id. One that is there already stays as it was. */
async function store(trx: Handle, repositoryId: number, put: ManifestPut): Promise<number> {
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
      .select('id')
      .where('repository_id', '=', repositoryId)
      .where('digest', '=', put.digest)
      .executeTakeFirstOrThrow()
    return known.id
  }
  await refer(trx, repositoryId, made.id, put.references)
  await updateListed(trx, repositoryId)
  return made.id
}

async function refer(
  trx: Handle,
  repositoryId: number,
  manifestId: number,
  references: readonly Reference[],
): Promise<void> {
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
}

async function moveTags(trx: Handle, repositoryId: number, manifestId: number, put: ManifestPut): Promise<void> {
  for (const name of new Set(put.tags)) {
    await trx
      .insertInto('tags')
      .values({ repository_id: repositoryId, name, manifest_id: manifestId, updated_at: put.now })
      .onConflict((conflict) =>
        conflict.columns(['repository_id', 'name']).doUpdateSet({ manifest_id: manifestId, updated_at: put.now }),
      )
      .execute()
  }
}

function digestsOf(references: readonly Reference[], kind: Reference['kind']): Digest[] {
  return [...new Set(references.filter((reference) => reference.kind === kind).map(({ digest }) => digest))]
}
