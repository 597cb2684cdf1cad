import { algorithmOf, type Digest, digestOf } from '../oci/digest.ts'
import { holdNamed } from './blobs.ts'
import type { Handle } from './database.ts'
import { manifestIdOf, restoreBytes, rewrite } from './manifests.ts'
import type { ManifestFacts, RowFault } from './metadata.ts'
import { countHeld, countTags, recounting } from './quota-counts.ts'
import { lockRepository, updateListed } from './repositories.ts'
import { discard, discardUnheld, reviewLink, reviewManifests, settleLinks } from './reviews.ts'
import { lastMove, recordMove } from './tag-history.ts'
import { hasFault } from './verification-rows.ts'

/** Who sets right what is wrong. */
const ACTOR = 'berth verify'

/** See `Verification.mend`. Locks are taken in the order blob, repository, as everywhere. */
export async function mend(trx: Handle, fault: RowFault, now: number): Promise<boolean> {
  switch (fault.kind) {
    // It takes the bytes: `revive`, or a push.
    case 'link-without-blob':
      return false
    case 'blob-unheld':
    case 'blob-undiscarded':
    case 'blob-discarded':
      return await mendBlob(trx, fault, now)
    case 'grave-without-blob':
      return await mendGrave(trx, fault)
    case 'repository-listed': {
      const repositoryId = await lockRepository(trx, fault.repository)
      if (repositoryId === undefined || !(await hasFault(trx, fault.kind, [repositoryId]))) return false
      await updateListed(trx, repositoryId)
      return true
    }
    default:
      return await mendInRepository(trx, fault, now)
  }
}

async function mendBlob(
  trx: Handle,
  fault: Extract<RowFault, { kind: 'blob-unheld' | 'blob-undiscarded' | 'blob-discarded' }>,
  now: number,
): Promise<boolean> {
  const { digest } = fault
  const blob = await trx
    .selectFrom('blobs')
    .select(['size', 'storage_key'])
    .where('digest', '=', digest)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (blob === undefined || !(await hasFault(trx, fault.kind, [digest]))) return false
  const { size, storage_key: key } = blob
  if (fault.kind === 'blob-unheld') return (await discardUnheld(trx, digest, now)) !== undefined
  if (fault.kind === 'blob-undiscarded') await discard(trx, { key, digest, size, kind: 'blob', now })
  else await trx.deleteFrom('discarded_objects').where('storage_key', '=', key).execute()
  return true
}

async function mendGrave(
  trx: Handle,
  { repository, manifest, digest }: Extract<RowFault, { kind: 'grave-without-blob' }>,
): Promise<boolean> {
  const repositoryId = await lockRepository(trx, repository)
  if (repositoryId === undefined) return false
  // Of all burials of that manifest: none of them can give the blob back.
  const mended = await trx
    .updateTable('trash_references')
    .set({ held_digest: null })
    .where('digest', '=', digest)
    .where('held_digest', 'is not', null)
    .where('trash_id', 'in', (from) =>
      from
        .selectFrom('trash')
        .select('trash.id')
        .where('trash.repository_id', '=', repositoryId)
        .where('trash.digest', '=', manifest),
    )
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('blobs').select('blobs.digest').whereRef('blobs.digest', '=', 'held_digest'))),
    )
    .executeTakeFirst()
  return mended.numUpdatedRows > 0n
}

type InRepository = Exclude<
  RowFault,
  {
    kind:
      | 'link-without-blob'
      | 'blob-unheld'
      | 'blob-undiscarded'
      | 'blob-discarded'
      | 'grave-without-blob'
      | 'repository-listed'
  }
>

async function mendInRepository(trx: Handle, fault: InRepository, now: number): Promise<boolean> {
  const { repository } = fault
  if (fault.kind === 'link-missing' && !(await lockBlob(trx, fault.digest))) return false
  const repositoryId = await lockRepository(trx, repository)
  if (repositoryId === undefined) return false
  switch (fault.kind) {
    case 'tag-without-manifest':
      return await mendTag(trx, repositoryId, fault.tag, now)
    case 'link-unreviewed': {
      if (!(await hasFault(trx, fault.kind, [repositoryId, fault.digest]))) return false
      await reviewLink(trx, { repositoryId, digest: fault.digest, isNew: true, now })
      return true
    }
    case 'manifest-unreviewed': {
      const id = await manifestIdOf(trx, repositoryId, fault.digest)
      if (id === undefined || !(await hasFault(trx, fault.kind, [id]))) return false
      await reviewManifests(trx, [id], 'unused', now)
      return true
    }
    case 'hold-missing': {
      const id = await manifestIdOf(trx, repositoryId, fault.manifest)
      if (id === undefined || !(await hasFault(trx, fault.kind, [id, fault.digest]))) return false
      const holders = await holdNamed(trx, repositoryId, [fault.digest])
      await countHeld(trx, repositoryId, holders, fault.digest, false)
      await settleLinks(trx, repositoryId, [fault.digest])
      return true
    }
    case 'link-missing': {
      const id = await manifestIdOf(trx, repositoryId, fault.manifest)
      if (id === undefined || !(await hasFault(trx, fault.kind, [id, fault.digest]))) return false
      await trx
        .insertInto('repository_blobs')
        .values({ repository_id: repositoryId, digest: fault.digest, created_at: now })
        .execute()
      return true
    }
  }
}

/** A blob that may be linked. */
async function lockBlob(trx: Handle, digest: Digest): Promise<boolean> {
  const row = await trx
    .selectFrom('blobs')
    .select('digest')
    .where('digest', '=', digest)
    .where('state', '!=', 'deleting')
    .forShare()
    .executeTakeFirst()
  return row !== undefined
}

/** Its history says what it pointed to: back there, if the repository has that; otherwise the tag goes, and the history says so. */
async function mendTag(trx: Handle, repositoryId: number, name: string, now: number): Promise<boolean> {
  if (!(await hasFault(trx, 'tag-without-manifest', [repositoryId, name]))) return false
  const to = (await lastMove(trx, repositoryId, name))?.to_digest ?? undefined
  const id = to === undefined ? undefined : await manifestIdOf(trx, repositoryId, to)
  if (id !== undefined) {
    await trx
      .updateTable('tags')
      .set({ manifest_id: id })
      .where('repository_id', '=', repositoryId)
      .where('name', '=', name)
      .execute()
    await trx.deleteFrom('manifest_reviews').where('manifest_id', '=', id).execute()
    return true
  }
  await trx.deleteFrom('tags').where('repository_id', '=', repositoryId).where('name', '=', name).execute()
  await countTags(trx, repositoryId, [name], -1, false)
  if (to !== undefined) await recordMove(trx, { repositoryId, name, from: to, to: undefined }, { now, actor: ACTOR })
  return true
}

export async function rederive(
  trx: Handle,
  repository: string,
  digest: Digest,
  facts: ManifestFacts & { now: number },
): Promise<boolean> {
  const repositoryId = await lockRepository(trx, repository)
  const id = repositoryId === undefined ? undefined : await manifestIdOf(trx, repositoryId, digest)
  if (repositoryId === undefined || id === undefined) return false
  await recounting(trx, repositoryId, id, () => rewrite(trx, repositoryId, id, facts))
  return true
}

export async function mendManifest(
  trx: Handle,
  repository: string,
  digest: Digest,
  now: number,
): Promise<'mended' | 'damaged' | undefined> {
  const repositoryId = await lockRepository(trx, repository)
  if (repositoryId === undefined) return undefined
  const row = await trx
    .selectFrom('manifests')
    .select(['id', 'bytes'])
    .where('repository_id', '=', repositoryId)
    .where('digest', '=', digest)
    .executeTakeFirst()
  if (row === undefined || isWhole(row.bytes, digest)) return undefined
  for (const table of ['manifests', 'trash'] as const) {
    const copies = await trx
      .selectFrom(table)
      .select(['media_type', 'bytes'])
      .where('digest', '=', digest)
      .limit(MAX_COPIES)
      .execute()
    const copy = copies.find(({ bytes }) => isWhole(bytes, digest))
    if (copy === undefined) continue
    const mended = { bytes: copy.bytes, mediaType: copy.media_type }
    await recounting(trx, repositoryId, row.id, () => restoreBytes(trx, row.id, mended))
    return 'mended'
  }
  if (row.bytes.byteLength > 0) {
    await trx
      .insertInto('damaged_manifests')
      .values({ manifest_id: row.id, found_at: now, bytes: row.bytes })
      .onConflict((conflict) => conflict.column('manifest_id').doNothing())
      .execute()
    await recounting(trx, repositoryId, row.id, async () => {
      await trx
        .updateTable('manifests')
        .set({ bytes: new Uint8Array(0), size: 0 })
        .where('id', '=', row.id)
        .execute()
    })
  }
  return 'damaged'
}

/** Other copies of a manifest that are looked at. */
const MAX_COPIES = 20

function isWhole(bytes: Uint8Array, digest: Digest): boolean {
  return digestOf(bytes, algorithmOf(digest)) === digest
}
