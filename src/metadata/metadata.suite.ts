import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { adoptionSuite } from './adoption.suite.ts'
import { auditSuite, event } from './audit.suite.ts'
import { blobsSuite } from './blobs.suite.ts'
import { collectionSuite } from './collection.suite.ts'
import { collectionStatusSuite } from './collection-status.suite.ts'
import { contentsSuite } from './contents.suite.ts'
import { deletionsSuite } from './deletions.suite.ts'
import { eventsSuite, happened } from './events.suite.ts'
import {
  blobReference,
  digest,
  type Open,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
  referrersOf,
  refusal,
  token,
  upload,
  user,
} from './examples.suite.ts'
import { groupsSuite } from './groups.suite.ts'
import { immutableSuite } from './immutable.suite.ts'
import { listsSuite } from './lists.suite.ts'
import { manifestsSuite } from './manifests.suite.ts'
import { overviewSuite } from './overview.suite.ts'
import { pullsSuite } from './pulls.suite.ts'
import { quotasSuite } from './quotas.suite.ts'
import { rehearsalSuite } from './rehearsal.suite.ts'
import { repositoriesSuite } from './repositories.suite.ts'
import { retentionSuite } from './retention.suite.ts'
import { rulesSuite } from './rules.suite.ts'
import { statusSuite } from './status.suite.ts'
import { tokensSuite } from './tokens.suite.ts'
import { trashHoldsSuite } from './trash-holds.suite.ts'
import { uploadsSuite } from './uploads.suite.ts'
import { usersSuite } from './users.suite.ts'
import { verificationSuite } from './verification.suite.ts'

/** What every adapter of `Metadata` must do. `open` gives an empty database each time. */
export function metadataSuite(name: string, open: Open): void {
  describe(name, () => {
    let opened: Opened

    beforeEach(async () => {
      opened = await open()
    })

    afterEach(() => opened.close())

    blobsSuite(() => opened)
    collectionSuite(() => opened)
    collectionStatusSuite(() => opened)
    trashHoldsSuite(() => opened)
    rehearsalSuite(() => opened)
    pullsSuite(() => opened)
    overviewSuite(() => opened)
    repositoriesSuite(() => opened)
    deletionsSuite(() => opened)
    retentionSuite(() => opened)
    adoptionSuite(() => opened)
    uploadsSuite(() => opened)
    manifestsSuite(() => opened)
    immutableSuite(() => opened)
    quotasSuite(() => opened)
    listsSuite(() => opened)
    contentsSuite(() => opened)
    usersSuite(() => opened)
    groupsSuite(() => opened)
    tokensSuite(() => opened)
    rulesSuite(() => opened)
    auditSuite(() => opened)
    eventsSuite(() => opened)
    statusSuite(() => opened)
    verificationSuite(() => opened)

    test('what was acknowledged is there after a restart', async () => {
      if (opened.reopen === undefined) return
      const { metadata } = opened
      const layer = await pushBlob(metadata, 'layer')
      await putManifest(metadata, 'image', { tags: ['v1'], references: [blobReference(layer)], subject: digest('s') })
      await metadata.uploads.start(upload())
      await metadata.users.put(user('ann', { admin: true }))
      await metadata.groups.put({ name: 'team', description: '', createdAt: 1 })
      await metadata.groups.join('team', 'ann')
      await metadata.tokens.add(token('one'))
      await metadata.rules.replace(1, [])
      await metadata.audit.append([event({ account: 'ann' })])
      await metadata.events.append([happened()])
      const again = await opened.reopen()
      expect(await again.blobs.find(REPOSITORY, layer)).toEqual({
        digest: layer,
        size: 10,
        key: 'key-of-layer',
        state: 'live',
      })
      expect((await again.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(digest('image'))
      expect(await again.blobs.unlink(REPOSITORY, layer, { now: 2 })).toEqual({ referencedBy: digest('image') })
      expect(await again.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload())
      expect(await again.users.find('ann')).toEqual(user('ann', { admin: true }))
      expect(await again.groups.of('ann')).toEqual(['team'])
      expect(await again.tokens.findByHash('hash-of-one')).toEqual(token('one'))
      expect(await again.rules.list()).toEqual({ revision: 2, rules: [] })
      expect(await again.audit.list({}, { limit: 2 })).toMatchObject([{ account: 'ann' }])
      expect(await again.events.waiting('hook', 2)).toMatchObject([{ tag: 'v1' }])
      expect(await referrersOf(again, REPOSITORY, digest('s'), undefined, { limit: 2 })).toHaveLength(1)
    })

    test('after close every call is refused, and closing again is no error', async () => {
      const { metadata } = opened
      const pending = pushBlob(metadata, 'layer')
      await metadata.close()
      await pending
      expect(await refusal(metadata.users.remove('ann'))).toMatchObject({ name: 'MetadataError' })
      expect(await refusal(metadata.blobs.locate(digest('layer')))).toMatchObject({ name: 'MetadataError' })
      expect(await refusal(metadata.repositories.list({ limit: 1 }))).toMatchObject({ name: 'MetadataError' })
      await metadata.close()
    })
  })
}
