/**
 * Ways to break the collector, each of which a test must notice: `npm run mutants` applies one after the other to a copy of the
 * sources and runs the tests that it names. A mutant stands for a mistake that somebody might make, in one place.
 */
export interface Mutant {
  /** What is wrong then. */
  name: string
  file: string
  /** Stands once in the file. */
  from: string
  to: string
  /** Each of these must fail. */
  caughtBy: readonly Catcher[]
  /** Why nothing notices, where nothing does. */
  unnoticed?: string
}

/**
 * `model`: random runs on SQLite, one process. `postgres`: random runs of several processes on a real PostgreSQL. `steps`: the
 * directed tests of the collector, of commits and of whole repositories. `purges`: requests that purge an image. `contract`: what every database must do. `races`: what of that several connections do at once, on
 * a real PostgreSQL; `locks`: what they do there while somebody else has a row.
 */
export type Catcher = 'model' | 'postgres' | 'steps' | 'purges' | 'contract' | 'races' | 'locks'

const COLLECT = 'src/registry/collect.ts'
const BLOBS = 'src/registry/blobs.ts'
const PURGE = 'src/registry/purge.ts'
const COMMIT = 'src/registry/commit.ts'
const MANIFESTS = 'src/registry/manifests.ts'
const STEPS = 'src/metadata/collection.ts'
const REVIEWS = 'src/metadata/reviews.ts'
const BLOB_ROWS = 'src/metadata/blobs.ts'

export const MUTANTS: readonly Mutant[] = [
  // Decisions that are made on what was found, not on what is there.
  {
    name: 'a link is taken although somebody asked for the blob after it was found',
    file: STEPS,
    from: `const [review] = (await lockReview(trx, link)).rows
  if (review === undefined || !isDue(review, due)) return KEPT`,
    to: `const [review] = (await lockReview(trx, link)).rows
  if (review === undefined) return KEPT`,
    caughtBy: ['contract', 'postgres'],
  },
  {
    name: 'a manifest is taken although it was pushed again after it was found',
    file: STEPS,
    from: `const [review] = (await lockManifestReview(trx, { id, repositoryId, digest })).rows
  if (review === undefined || !isDue(review, due)) return KEPT`,
    to: `const [review] = (await lockManifestReview(trx, { id, repositoryId, digest })).rows
  if (review === undefined) return KEPT`,
    caughtBy: ['contract'],
  },
  {
    name: 'a manifest is taken that got the id of the one that was found',
    file: STEPS,
    from: `          .where('manifests.repository_id', '=', repositoryId)
          .where('manifests.digest', '=', digest),`,
    to: ``,
    caughtBy: ['contract'],
  },
  {
    name: 'the trash gives the id of what has left it again',
    file: 'src/metadata/burial.ts',
    from: `const ids = rows.map(({ id }) => id).sort((one, other) => one - other)`,
    to: `const last = await trx.selectFrom('trash').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst()
  const ids = rows.map((_, index) => (last?.id ?? 0) + index + 1)`,
    caughtBy: ['contract'],
  },
  {
    name: 'what goes with its index goes although it was pushed again by itself',
    file: REVIEWS,
    from: `conflict.column('manifest_id').doUpdateSet(review).where('manifest_reviews.since', '<=', now),`,
    to: `conflict.column('manifest_id').doUpdateSet(review),`,
    caughtBy: ['contract'],
  },
  {
    name: 'a child of a living index is taken',
    file: STEPS,
    from: `return tags + parents + subjects > 0`,
    to: `return tags + subjects > 0`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'a signature of a living image is taken',
    file: STEPS,
    from: `return tags + parents + subjects > 0`,
    to: `return tags + parents > 0`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'a blob goes while another repository has it',
    file: REVIEWS,
    from: `not(exists(selectFrom('repository_blobs').select('digest').where('repository_blobs.digest', '=', digest))),`,
    to: `not(exists(selectFrom('repository_blobs').select('digest').where('repository_blobs.digest', '=', '' as Digest))),`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'a blob goes while the trash holds it',
    file: REVIEWS,
    from: `not(exists(selectFrom('trash_references').select('held_digest').where('held_digest', '=', digest))),`,
    to: `not(exists(selectFrom('trash_references').select('held_digest').where('held_digest', '=', '' as Digest))),`,
    caughtBy: ['model', 'contract'],
  },

  // Terms.
  {
    name: 'links are due at once',
    file: COLLECT,
    from: `{ now: time, before: time - delay, causes: [] }`,
    to: `{ now: time, before: time, causes: [] }`,
    caughtBy: ['model', 'steps'],
  },
  {
    name: 'untagged manifests are due at once',
    file: COLLECT,
    from: `: { now: time, before: time - age, causes: [] }`,
    to: `: { now: time, before: time, causes: [] }`,
    caughtBy: ['model'],
  },
  {
    name: 'the trash is emptied before its window ends',
    file: COLLECT,
    from: `const trashBefore = immediately ? time : time - window`,
    to: `const trashBefore = time`,
    caughtBy: ['model'],
  },
  {
    name: 'a hurried cycle takes what was uploaded a moment ago',
    file: COLLECT,
    from: `? { now: time, before: Math.min(time - delay, young), causes: ['deleted'] }`,
    to: `? { now: time, before: time - delay, causes: ['deleted'] }`,
    caughtBy: ['steps'],
  },
  {
    name: 'a hurried cycle takes everything that waits',
    file: COLLECT,
    from: `? { now: time, before: Math.min(time - delay, young), causes: ['deleted'] }`,
    to: `? { now: time, before: time, causes: ['deleted'] }`,
    caughtBy: ['model', 'steps'],
  },

  // What a client was told.
  {
    name: 'a HEAD does not touch what waits',
    file: BLOBS,
    from: `if (!isFresh && !(await withFaults(() => metadata.blobs.touch(repository, digest, now())))) return false`,
    to: `void isFresh`,
    caughtBy: ['model', 'steps'],
  },
  {
    name: 'memory says yes for twice the delay',
    file: BLOBS,
    from: `const LEASE = 0.25`,
    to: `const LEASE = 2`,
    caughtBy: ['steps'],
  },
  {
    name: 'memory still says yes after a deletion freed the blob',
    file: MANIFESTS,
    from: `if (deleted !== undefined) onFreed(deleted.freed)`,
    to: ``,
    caughtBy: ['steps'],
  },
  {
    name: 'a touch does not look whether the link is there still',
    file: BLOB_ROWS,
    from: `return (await linkReview(trx, repository, digest).executeTakeFirst()) !== undefined`,
    to: `return true`,
    caughtBy: ['locks'],
  },
  {
    name: 'a touch leaves the cause: what a deletion freed goes in a hurry all the same',
    file: BLOB_ROWS,
    from: `.set({ since: now, freed: codeOf('unused') })`,
    to: `.set({ since: now })`,
    caughtBy: ['steps'],
  },
  {
    name: 'an upload of what is linked already does not begin the delay anew',
    file: REVIEWS,
    from: `.set({ since: now, freed: CODES.unused })`,
    to: `.set({ attempts: 0 })`,
    caughtBy: ['contract'],
  },
  {
    name: 'a manifest that is collected stays in memory',
    file: MANIFESTS,
    from: `        else collected.set(cacheKey, others)
        forget(repository, [digest])`,
    to: `        else collected.set(cacheKey, others)`,
    caughtBy: ['steps'],
  },
  {
    name: 'what was read while a manifest is collected enters memory',
    file: MANIFESTS,
    from: `if (before === changes && !collected.has(cacheKey))`,
    to: `if (before === changes)`,
    caughtBy: ['steps'],
  },
  {
    name: 'a blob that is collected stays in memory',
    file: BLOBS,
    from: `        } finally {
          forget(digest)
        }`,
    to: `        } finally {
          deletions += 0
        }`,
    caughtBy: ['steps'],
  },

  // Bytes and rows.
  {
    name: 'the collector unlinks what it once found discarded, without another look',
    file: COLLECT,
    from: `if (!(await metadata.blobs.discarded(object.digest)).includes(object.key)) return { kind: 'kept' }`,
    to: ``,
    caughtBy: ['steps'],
  },
  {
    name: 'unlinking and sealing go side by side',
    file: 'src/registry/turns.ts',
    from: `for (let other = running.get(digest); other !== undefined; other = running.get(digest)) await other`,
    to: ``,
    caughtBy: ['steps'],
  },
  {
    name: 'a push seals its bytes under a key that waits to be unlinked',
    file: COMMIT,
    from: `const avoid = await metadata.blobs.discarded(digest)`,
    to: `const avoid: string[] = []`,
    caughtBy: ['steps'],
  },
  {
    name: 'a commit takes a key that waits to be unlinked',
    file: BLOB_ROWS,
    from: `if (key !== undefined && (await isDiscarded(trx, key))) {`,
    to: `if (key === 'never') {`,
    caughtBy: ['contract'],
  },
  {
    name: 'a push trusts the bytes of a row that is marked',
    file: COMMIT,
    from: `const isWhole = known?.state === 'live' && (await storage.open(known.key))?.size === known.size`,
    to: `const isWhole = known !== undefined && (await storage.open(known.key))?.size === known.size`,
    caughtBy: ['steps'],
  },
  {
    name: 'a row that is marked is made live under the key that is about to go',
    file: BLOB_ROWS,
    from: `if (key === undefined || key === row.storage_key) return undefined
  await discard(`,
    to: `if (key === undefined || key === row.storage_key) return row.storage_key
  await discard(`,
    caughtBy: ['contract'],
  },
  {
    name: 'a mount links a blob that is marked',
    file: BLOB_ROWS,
    from: `            .where('state', '=', 'live')
            .forShare()`,
    to: `            .forShare()`,
    caughtBy: ['contract'],
  },
  {
    name: 'the row goes with its bytes, whatever it says by then',
    file: STEPS,
    from: `.where('digest', '=', digest).where('storage_key', '=', key).where('state', '=', 'deleting'),`,
    to: `.where('digest', '=', digest),`,
    caughtBy: ['contract'],
  },
  {
    name: 'what was unlinked is forgotten first: a crash leaves bytes without a row',
    file: COLLECT,
    from: `      await storage.delete(object.key)
      await collection.forget(object)`,
    to: `      await collection.forget(object)
      await storage.delete(object.key)`,
    caughtBy: ['steps'],
  },
  {
    name: 'the sweep takes bytes whose row came a moment ago',
    file: 'src/metadata/strays.ts',
    from: `if (row === undefined || (row.storage_key === key && row.state === 'live')) return false`,
    to: `if (row === undefined) return false`,
    caughtBy: ['contract'],
  },

  // Queues that do not hear of what happened: space never comes back.
  {
    name: 'a new link does not wait for the collector',
    file: REVIEWS,
    from: `    .values({ repository_id: repositoryId, digest, since: now, freed: CODES.unused, attempts: 0, not_before: 0 })
    .execute()`,
    to: `    .values({ repository_id: repositoryId, digest, since: now, freed: CODES.unused, attempts: 0, not_before: 0 })
    .onConflict((conflict) => conflict.doNothing())
    .compile()`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'links of a deleted manifest do not wait for the collector',
    file: 'src/metadata/burial.ts',
    from: `const freed = await freeLinks(trx, ids, change.now, burial.since)`,
    to: `const freed: Digest[] = []
  void freeLinks`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'children and signatures of a deleted manifest do not wait',
    file: 'src/metadata/burial.ts',
    from: `await reviewManifests(trx, [...new Set([...children, ...referrers])], 'deleted', burial.since ?? change.now)`,
    to: `void reviewManifests`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'a manifest whose tag moved on does not wait',
    file: 'src/metadata/tag-history.ts',
    from: `if (before !== undefined) await reviewManifests(trx, [before.id], 'overwritten', now)`,
    to: ``,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'blobs that leave the trash stay for ever',
    file: STEPS,
    from: `  for (const each of digests) {
    const size = await discardUnheld(trx, each, now)
    if (size !== undefined) discarded.push({ digest: each, size })
  }`,
    to: ``,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'other bytes of a digest are never unlinked',
    file: BLOB_ROWS,
    from: `  if (key === undefined || key === row.storage_key) return undefined
  await discard(trx, { key: row.storage_key, digest, size: row.size, kind: 'copy', now })`,
    to: `  if (key === undefined || key === row.storage_key) return undefined
  await trx.deleteFrom('discarded_objects').where('storage_key', '=', row.storage_key).execute()`,
    caughtBy: ['contract'],
  },
  {
    name: 'what is restored does not hold its blobs',
    file: 'src/metadata/exhumation.ts',
    from: `if (held_digest !== null) await link(trx, repositoryId, held_digest, now, false)`,
    to: `if (held_digest === null) await link(trx, repositoryId, '' as Digest, now, false)`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'the trash does not hold blobs',
    file: 'src/metadata/burial.ts',
    from: `'manifest_blobs.digest as held_digest',`,
    to: `cast<Digest | null>(val(null), 'text').as('held_digest'),`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'children stay in the trash when their index comes back',
    file: 'src/metadata/exhumation.ts',
    from: `dependants: [...children, ...collected].map((row) => row.digest),`,
    to: `dependants: collected.map((row) => row.digest),`,
    caughtBy: ['contract'],
  },

  // Locks, which only transactions that run side by side show.
  {
    name: 'the collector takes a link without the lock of the blob',
    file: STEPS,
    from: `.where('digest', '=', digest).forNoKeyUpdate().skipLocked(),`,
    to: `.where('digest', '=', digest),`,
    caughtBy: ['locks'],
  },
  {
    name: 'the collector takes links and manifests without the lock of the repository',
    file: STEPS,
    from: `.where('id', '=', id).forUpdate().skipLocked(),`,
    to: `.where('id', '=', id),`,
    caughtBy: ['locks'],
  },
  {
    name: 'a mount does not lock the blob',
    file: BLOB_ROWS,
    from: `            .where('state', '=', 'live')
            .forShare()`,
    to: `            .where('state', '=', 'live')`,
    caughtBy: ['locks'],
  },
  {
    name: 'a commit does not lock the row that it found',
    file: BLOB_ROWS,
    from: `const row = await blobByDigest(trx, digest).forNoKeyUpdate().executeTakeFirst()
    if (row !== undefined || key`,
    to: `const row = await blobByDigest(trx, digest).executeTakeFirst()
    if (row !== undefined || key`,
    caughtBy: ['locks'],
  },
  {
    name: 'a deletion of a blob does not lock it',
    file: BLOB_ROWS,
    from: `          await blobByDigest(trx, digest).forNoKeyUpdate().executeTakeFirst()
          const repositoryId`,
    to: `          const repositoryId`,
    caughtBy: ['locks'],
  },
  {
    name: 'a purge does not lock the blobs',
    file: STEPS,
    from: `for (const each of digests) await lockBlob(trx, { digest: each })`,
    to: `void lockBlob`,
    caughtBy: ['locks'],
  },
  {
    name: 'a manifest is checked without the lock of its repository',
    file: 'src/metadata/repositories.ts',
    from: `const row = await trx.selectFrom('repositories').select('id').where('name', '=', name).forUpdate().executeTakeFirst()`,
    to: `const row = await trx.selectFrom('repositories').select('id').where('name', '=', name).executeTakeFirst()`,
    caughtBy: ['races'],
  },
  // Whole repositories, and bytes that disks harm.
  {
    name: 'memory answers for the old name of a repository: manifests',
    file: 'src/registry/repositories.ts',
    from: `manifests.forgetRepository(from)`,
    to: ``,
    caughtBy: ['model'],
  },
  {
    name: 'memory answers for the old name of a repository: blobs',
    file: 'src/registry/repositories.ts',
    from: `blobs.forgetRepository(from)`,
    to: ``,
    caughtBy: ['model'],
  },
  {
    name: 'the deletion of a repository takes what is pushed after its beginning',
    file: 'src/metadata/manifests.ts',
    from: `if (deletion !== null) await survive(trx, repositoryId, { manifests: [manifestId], tags: put.tags })`,
    to: `void survive`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'the deletion of a repository takes the children of an index that is pushed after its beginning',
    file: 'src/metadata/deletion-survivors.ts',
    from: `const edges = await indexEdges(trx, 'above', level)`,
    to: `const edges = await indexEdges(trx, 'above', level.slice(0, 0))`,
    caughtBy: ['model', 'contract'],
  },
  {
    name: 'a repository that is being deleted gets another name',
    file: 'src/metadata/repository-renaming.ts',
    from: `if (repository.deletion !== null) {`,
    to: `if (repository.deletion === '') {`,
    caughtBy: ['contract'],
  },
  {
    name: 'a deletion goes on although its undoing has called it off',
    file: 'src/registry/trash.ts',
    from: `const wasRunning = await withFaults(() => metadata.deletions.callOff(repository, batch, now()))`,
    to: `const wasRunning = false`,
    caughtBy: ['steps'],
  },
  {
    name: 'a damaged blob that is pushed while it is collected counts as damaged for ever',
    file: BLOB_ROWS,
    from: `  await trx.deleteFrom('damaged_blobs').where('digest', '=', digest).execute()
  return key`,
    to: `  return key`,
    caughtBy: ['contract'],
  },
  {
    name: 'a verification marks bytes that were replaced meanwhile',
    file: 'src/metadata/verification.ts',
    from: `          .where('storage_key', '=', key)
          .where('state', '=', 'live')`,
    to: `          .where('state', '=', 'live')`,
    caughtBy: ['contract'],
  },
  // A purge, which takes what a client names and what went with it.
  {
    name: 'a purge takes what somebody deleted by itself',
    file: PURGE,
    from: `reason === 'collected' || (batch !== undefined && batches.has(batch))`,
    to: `reason === 'collected' || batch === undefined || batches.has(batch)`,
    caughtBy: ['model', 'purges'],
  },
  {
    name: 'a purge takes blobs that somebody uploaded or asked for since',
    file: PURGE,
    from: `const dueAt = (now: number): Due => ({ now, before: -1, causes: ['deleted'] })`,
    to: `const dueAt = (now: number): Due => ({ now, before: now, causes: ['deleted'] })`,
    caughtBy: ['model', 'purges'],
  },
  {
    name: 'a purge takes children that another deletion freed',
    file: PURGE,
    from: `const isTaken = freedAt !== undefined && (isNamed || times.has(freedAt))`,
    to: `const isTaken = freedAt !== undefined`,
    caughtBy: ['purges'],
  },
  {
    name: 'a purge, or a cycle in a hurry, forgets who asked for a blob while a manifest without a tag needed it',
    file: COLLECT,
    from: `for (const each of wanted) await metadata.blobs.touch(repository, each, now())`,
    to: `void wanted`,
    caughtBy: ['model', 'steps', 'purges'],
  },
  {
    name: 'what was uploaded or mounted while a manifest without a tag needed it is said to be freed by a deletion',
    file: REVIEWS,
    from: `(sent_at >= unneededSince ? 'unused' : 'deleted')`,
    to: `(sent_at >= unneededSince ? 'deleted' : 'deleted')`,
    caughtBy: ['model', 'steps', 'contract'],
  },
  {
    name: 'a link goes before who asked for its blob is looked at',
    file: COLLECT,
    from: `while (sparing.size > 0) await Promise.all(sparing)`,
    to: `void sparing`,
    caughtBy: ['steps'],
  },
  {
    name: 'a purge leaves the burial of what it was asked for',
    file: PURGE,
    from: `filter((burial) => isNamed || isOurs(burial))`,
    to: `filter((burial) => isOurs(burial))`,
    caughtBy: ['model', 'purges'],
  },
]
