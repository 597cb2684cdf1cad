import { beforeEach, describe, expect, test } from 'bun:test'
import type { Digest } from '../oci/digest.ts'
import {
  blobReference,
  digest,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
} from './examples.suite.ts'
import type { Metadata, RowCursor, RowFault } from './metadata.ts'
import { ROW_CHECKS } from './verification-types.ts'

const layer = digest('a layer')
const image = digest('image')

/** Everything that is wrong, whatever table it is found in, looked at `limit` rows at a time. */
export async function faultsOf({ verification }: Pick<Metadata, 'verification'>, limit = 2): Promise<RowFault[]> {
  const found: RowFault[] = []
  for (const check of ROW_CHECKS) {
    for (let after: RowCursor | undefined; ; ) {
      const { faults, next } = await verification.rows(check, after, limit)
      found.push(...faults)
      if (next === undefined) break
      after = next
    }
  }
  return found
}

export function verificationSuite(opened: () => Opened): void {
  describe('verification', () => {
    let metadata: Metadata

    beforeEach(async () => {
      metadata = opened().metadata
      for (const repository of [REPOSITORY, 'team/other']) {
        await pushBlob(metadata, 'a layer', repository)
        await pushBlob(metadata, 'config', repository)
      }
      const references = [blobReference(layer), blobReference(digest('config'))]
      await putManifest(metadata, 'image', { tags: ['v1', 'v2'], references })
      await putManifest(metadata, 'index', { tags: ['multi'], references: [manifestReference(image)] })
      await putManifest(metadata, 'signature', { subject: image })
      await putManifest(metadata, 'loner')
      await pushBlob(metadata, 'unused')
      await putManifest(metadata, 'deleted', { references: [blobReference(digest('config'))] })
      await metadata.manifests.delete(REPOSITORY, digest('deleted'), { now: 2, actor: 'ann' })
    })

    const inApp = { repository: REPOSITORY }
    const idOf = (name: string) => `(SELECT id FROM repositories WHERE name = '${name}')`
    const manifestId = (name: string) => `(SELECT id FROM manifests WHERE digest = '${digest(name)}')`

    test('finds nothing wrong with what came in by itself', async () => {
      expect(await faultsOf(metadata)).toEqual([])
      expect(await faultsOf(metadata, 1)).toEqual([])
    })

    const rows: [what: string, sql: string, faults: RowFault[], mended: boolean][] = [
      [
        'a blob whose row is lost is missed by its links, and by what the trash holds',
        `DELETE FROM blobs WHERE digest = '${layer}'`,
        [
          { kind: 'link-without-blob', ...inApp, digest: layer },
          { kind: 'link-without-blob', repository: 'team/other', digest: layer },
        ],
        false,
      ],
      [
        'a link that nothing needs and that the collector does not know',
        `DELETE FROM link_reviews WHERE digest = '${digest('unused')}'`,
        [{ kind: 'link-unreviewed', ...inApp, digest: digest('unused') }],
        true,
      ],
      [
        'a link that a manifest holds, and that is not there',
        `DELETE FROM repository_blobs WHERE digest = '${layer}' AND repository_id = ${idOf(REPOSITORY)}`,
        [{ kind: 'link-missing', ...inApp, manifest: image, digest: layer }],
        true,
      ],
      [
        'a blob that a manifest names and does not hold',
        `DELETE FROM manifest_blobs WHERE digest = '${layer}'`,
        [
          { kind: 'link-unreviewed', ...inApp, digest: layer },
          { kind: 'hold-missing', ...inApp, manifest: image, digest: layer },
        ],
        true,
      ],
      [
        'a tag whose manifest is not there: it goes back to what its history says',
        `UPDATE tags SET manifest_id = 4711 WHERE name = 'v1'`,
        [{ kind: 'tag-without-manifest', ...inApp, tag: 'v1' }],
        true,
      ],
      [
        'a manifest that nothing needs and that the collector does not know',
        `DELETE FROM manifest_reviews WHERE manifest_id = ${manifestId('loner')}`,
        [{ kind: 'manifest-unreviewed', ...inApp, digest: digest('loner') }],
        true,
      ],
      [
        'a blob that nobody has',
        `INSERT INTO blobs VALUES ('${digest('stray')}', 10, 'key-of-stray', 'live', 1)`,
        [{ kind: 'blob-unheld', digest: digest('stray') }],
        true,
      ],
      [
        'a blob that is being deleted, by nobody',
        `INSERT INTO blobs VALUES ('${digest('stray')}', 10, 'key-of-stray', 'deleting', 1)`,
        [{ kind: 'blob-undiscarded', digest: digest('stray'), key: 'key-of-stray' }],
        true,
      ],
      [
        'a blob in use that the collector is about to unlink',
        `INSERT INTO discarded_objects VALUES ('key-of-a layer', '${layer}', 10, 'copy', 0, 1)`,
        [{ kind: 'blob-discarded', digest: layer, key: 'key-of-a layer' }],
        true,
      ],
      [
        'a repository that is not listed',
        `UPDATE repositories SET listed = 0 WHERE name = '${REPOSITORY}'`,
        [{ kind: 'repository-listed', ...inApp, listed: false }],
        true,
      ],
      [
        'a repository without a manifest that is listed',
        `UPDATE repositories SET listed = 1`,
        [{ kind: 'repository-listed', repository: 'team/other', listed: true }],
        true,
      ],
      [
        'what the trash holds, and is not there',
        `UPDATE trash_references SET held_digest = '${digest('nothing')}'`,
        [{ kind: 'grave-without-blob', ...inApp, manifest: digest('deleted'), digest: digest('config') }],
        true,
      ],
    ]
    test.each(rows)('finds %s', async (_, sql, faults, mended) => {
      await opened().damage(sql)
      // Those of one portion come in any order.
      const ordered = (found: readonly RowFault[]) =>
        found.map((fault) => JSON.stringify(Object.entries(fault).sort())).sort()
      expect(ordered(await faultsOf(metadata))).toEqual(ordered(faults))
      expect(ordered(await faultsOf(metadata, 1000))).toEqual(ordered(faults))
      // In the order in which a verification goes, one may set right what another one was.
      const outcomes: boolean[] = []
      for (const fault of faults) outcomes.push(await metadata.verification.mend(fault, 50))
      expect(outcomes).toContain(mended)
      expect(await faultsOf(metadata)).toEqual(mended ? [] : faults)
      for (const fault of faults) expect(await metadata.verification.mend(fault, 51)).toBe(false)
    })

    test('a tag goes back to its manifest, and what was tagged with it stays', async () => {
      await opened().damage("UPDATE tags SET manifest_id = 4711 WHERE name = 'v1'")
      expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toBeUndefined()
      await metadata.verification.mend({ kind: 'tag-without-manifest', ...inApp, tag: 'v1' }, 50)
      expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(image)
    })

    test('a tag whose manifest is lost for good goes, and its history tells what it was', async () => {
      await opened().damage(`DELETE FROM manifests WHERE digest = '${digest('index')}'`)
      await metadata.verification.mend({ kind: 'tag-without-manifest', ...inApp, tag: 'multi' }, 50)
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toEqual(['v1', 'v2'])
      expect(await metadata.tags.history(REPOSITORY, 'multi', { limit: 1 })).toMatchObject([
        { from: digest('index'), to: undefined, actor: 'berth verify', at: 50 },
      ])
    })

    test('a link that was lost serves the blob again', async () => {
      await opened().damage(`DELETE FROM repository_blobs WHERE repository_id = ${idOf(REPOSITORY)}`)
      expect(await metadata.blobs.find(REPOSITORY, layer)).toBeUndefined()
      for (const fault of await faultsOf(metadata)) await metadata.verification.mend(fault, 50)
      expect(await metadata.blobs.find(REPOSITORY, layer)).toBeDefined()
      expect(await metadata.blobs.review(REPOSITORY, layer)).toEqual({ kind: 'settled' })
    })

    describe('a damaged blob', () => {
      const damage = { digest: layer, key: 'key-of-a layer', reason: 'digest', now: 40 } as const
      const commit = (key: string | undefined) =>
        metadata.blobs.commit({ repository: REPOSITORY, digest: layer, size: 10, key, upload: 'u', now: 60 })

      test('is not found, not mounted, not enough for a manifest, and listed', async () => {
        expect(await metadata.verification.damage(damage)).toBe(true)
        expect(await metadata.blobs.find(REPOSITORY, layer)).toBeUndefined()
        expect((await metadata.blobs.locate(layer))?.state).toBe('damaged')
        expect(await metadata.blobs.mount({ digest: layer, from: 'any', to: 'team/new', now: 41 })).toBe(false)
        expect(await metadata.blobs.touch(REPOSITORY, layer, 41)).toBe(false)
        expect(await putManifest(metadata, 'new', { references: [blobReference(layer)] })).toMatchObject({
          stored: false,
          missing: [{ digest: layer }],
        })
        const row = { digest: layer, size: 10, key: 'key-of-a layer', reason: 'digest' as const, foundAt: 40 }
        expect(await metadata.verification.damaged({ limit: 10 })).toEqual([row])
        expect(await metadata.verification.damaged({ last: layer, limit: 10 })).toEqual([])
        expect(await metadata.verification.countDamaged()).toBe(1)
        expect(await faultsOf(metadata)).toEqual([])
      })

      test('is marked once, under the key that it has, while it is live', async () => {
        expect(await metadata.verification.damage({ ...damage, key: 'another' })).toBe(false)
        expect(await metadata.verification.damage(damage)).toBe(true)
        expect(await metadata.verification.damage(damage)).toBe(false)
        expect(await metadata.verification.damage({ ...damage, digest: digest('unknown') })).toBe(false)
      })

      test('is healed by a push, under another key', async () => {
        await metadata.verification.damage(damage)
        expect(await commit(undefined)).toBeUndefined()
        expect(await commit('key-of-a layer')).toBeUndefined()
        expect(await commit('fresh')).toBe('fresh')
        expect(await metadata.blobs.find(REPOSITORY, layer)).toMatchObject({ key: 'fresh', state: 'live' })
        expect(await metadata.blobs.find('team/other', layer)).toMatchObject({ key: 'fresh', state: 'live' })
        expect(await metadata.verification.countDamaged()).toBe(0)
        expect(await metadata.blobs.discarded(layer)).toEqual(['key-of-a layer'])
        expect(await faultsOf(metadata)).toEqual([])
      })

      test('is live again when its bytes are back, under any key that nobody unlinks', async () => {
        await metadata.verification.damage(damage)
        await opened().execute(`INSERT INTO discarded_objects VALUES ('doomed', '${layer}', 10, 'copy', 0, 1)`)
        const { revive } = metadata.verification
        expect(await revive({ digest: layer, key: 'doomed', size: 10, now: 50 })).toBe(false)
        expect(await revive({ digest: layer, key: 'back', size: 11, now: 50 })).toBe(true)
        expect(await metadata.blobs.find(REPOSITORY, layer)).toMatchObject({ key: 'back', size: 11, state: 'live' })
        expect(await metadata.verification.countDamaged()).toBe(0)
        expect(await revive({ digest: layer, key: 'again', size: 10, now: 51 })).toBe(false)
      })

      test('whose row was lost has one again', async () => {
        await opened().damage(`DELETE FROM blobs WHERE digest = '${layer}'`)
        expect(await metadata.verification.revive({ digest: layer, key: 'back', size: 10, now: 50 })).toBe(true)
        expect(await metadata.blobs.find(REPOSITORY, layer)).toMatchObject({ key: 'back', state: 'live' })
        expect(await faultsOf(metadata)).toEqual([])
      })

      test('that nothing needs any more is collected like any other', async () => {
        const unused = digest('unused')
        await metadata.verification.damage({ ...damage, digest: unused, key: 'key-of-unused' })
        const due = { now: 100, before: 100, causes: [] }
        for (const link of await metadata.collection.links(due, 10)) await metadata.collection.takeLink(link, due)
        const objects = await metadata.collection.objects(100, 10)
        expect(objects.map(({ key }) => key)).toContain('key-of-unused')
        for (const object of objects) await metadata.collection.forget(object)
        expect(await metadata.blobs.locate(unused)).toBeUndefined()
        expect(await metadata.verification.countDamaged()).toBe(0)
      })

      test('that is pushed again while it is being collected is as good as new, and may be damaged again', async () => {
        const unused = digest('unused')
        const found = { ...damage, digest: unused, key: 'key-of-unused' }
        await metadata.verification.damage(found)
        expect(await metadata.blobs.unlink(REPOSITORY, unused, { now: 50 })).toBe('unlinked')
        expect((await metadata.blobs.locate(unused))?.state).toBe('deleting')
        const again = { repository: REPOSITORY, digest: unused, size: 10, key: 'fresh', upload: 'u', now: 60 }
        expect(await metadata.blobs.commit(again)).toBe('fresh')
        expect(await metadata.verification.countDamaged()).toBe(0)
        expect(await metadata.verification.damage({ ...found, key: 'fresh' })).toBe(true)
        expect(await metadata.verification.countDamaged()).toBe(1)
      })

      test('of which bytes turn up that no row names keeps its state', async () => {
        await metadata.verification.damage(damage)
        const stray = { key: 'stray', digest: layer, size: 10 }
        expect(await metadata.collection.strays([stray, { key: 'key-of-a layer', digest: layer }])).toEqual(['stray'])
        expect(await metadata.collection.claim(stray, 50)).toBe(true)
        expect((await metadata.blobs.locate(layer))?.state).toBe('damaged')
      })
    })

    describe('a manifest', () => {
      const others = (name: string) => `(SELECT bytes FROM manifests WHERE digest = '${digest(name)}')`
      const broken = `UPDATE manifests SET bytes = ${others('index')} WHERE digest = '${image}' AND repository_id = ${idOf(REPOSITORY)}`
      const listed = async () => (await metadata.verification.manifests(0, 100)).map(({ digest: of }) => of)

      test('is listed with its bytes and what its rows tell of it', async () => {
        const all = await metadata.verification.manifests(0, 100)
        expect(all.map((row) => new TextDecoder().decode(row.bytes))).toEqual(['image', 'index', 'signature', 'loner'])
        expect(all[0]?.references.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))).toEqual(
          [layer, digest('config')].sort().map((of) => ({ digest: of, kind: 'blob', isThere: true })),
        )
        expect(all[1]).toMatchObject({ repository: REPOSITORY, references: [{ digest: image, isThere: true }] })
        expect(all[2]).toMatchObject({ subject: image, references: [] })
        expect(await metadata.verification.manifests(all[1]?.id ?? 0, 1)).toMatchObject([
          { digest: digest('signature') },
        ])
      })

      test('whose bytes are damaged is not found until it is pushed again, and keeps its tags', async () => {
        await opened().damage(broken)
        expect(await metadata.verification.mendManifest(REPOSITORY, image, 40)).toBe('damaged')
        expect(await metadata.verification.mendManifest(REPOSITORY, image, 41)).toBe('damaged')
        expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toBeUndefined()
        expect(await metadata.manifests.find(REPOSITORY, image)).toBeUndefined()
        const required = manifestReference(image)
        expect(await putManifest(metadata, 'other index', { references: [required] })).toMatchObject({ stored: false })
        expect((await metadata.contents.manifests(REPOSITORY, {}, { limit: 10 })).manifests).toHaveLength(3)
        const references = [blobReference(layer), blobReference(digest('config'))]
        await putManifest(metadata, 'image', { references })
        expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.bytes).toEqual(new TextEncoder().encode('image'))
        expect(await metadata.verification.mendManifest(REPOSITORY, image, 42)).toBeUndefined()
        expect(await faultsOf(metadata)).toEqual([])
      })

      test('is pushed again over bytes that nobody has found damaged yet', async () => {
        await opened().damage(broken)
        await opened().damage(`DELETE FROM manifest_references WHERE digest = '${layer}'`)
        await putManifest(metadata, 'image', { references: [blobReference(layer), blobReference(digest('config'))] })
        expect((await metadata.manifests.find(REPOSITORY, image))?.bytes).toEqual(new TextEncoder().encode('image'))
        expect((await metadata.verification.manifests(0, 1))[0]?.references).toHaveLength(2)
      })

      test('gets its bytes from another repository', async () => {
        await putManifest(metadata, 'image', { repository: 'team/other' })
        await opened().damage(broken)
        expect(await metadata.verification.mendManifest(REPOSITORY, image, 40)).toBe('mended')
        expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.bytes).toEqual(new TextEncoder().encode('image'))
      })

      test('gets its bytes from the trash', async () => {
        await metadata.manifests.delete(REPOSITORY, digest('loner'), { now: 3, actor: 'ann' })
        await putManifest(metadata, 'loner')
        await opened().damage(`UPDATE manifests SET bytes = ${others('index')} WHERE digest = '${digest('loner')}'`)
        expect(await metadata.verification.mendManifest(REPOSITORY, digest('loner'), 40)).toBe('mended')
      })

      test('that is whole, or not there, is left alone', async () => {
        expect(await metadata.verification.mendManifest(REPOSITORY, image, 40)).toBeUndefined()
        expect(await metadata.verification.mendManifest('team/none', image, 40)).toBeUndefined()
        expect(await listed()).toHaveLength(4)
      })

      test('has its rows written anew, with what it holds', async () => {
        await opened().damage('DELETE FROM manifest_references')
        await opened().damage('DELETE FROM manifest_blobs')
        const blobs: Digest[] = [layer, digest('config')]
        const references = blobs.map((of) => ({ digest: of, kind: 'blob' as const }))
        const facts = { references, subject: digest('s'), artifactType: 'a/b', annotations: { a: 'b' } }
        expect(await metadata.verification.rederive(REPOSITORY, image, facts, 50)).toBe(true)
        const [row] = await metadata.verification.manifests(0, 1)
        expect(row).toMatchObject({ subject: digest('s'), artifactType: 'a/b', annotations: { a: 'b' } })
        expect(row?.references).toHaveLength(2)
        expect(await metadata.blobs.review(REPOSITORY, layer)).toEqual({ kind: 'settled' })
        expect(await metadata.verification.rederive(REPOSITORY, digest('none'), facts, 50)).toBe(false)
      })
    })

    test('it tells what is affected: every tag on the way up, and manifests that have none', async () => {
      const { affected } = metadata.verification
      const tagged = (tag: string, of: string) => ({ ...inApp, tag, manifest: digest(of) })
      const both = [tagged('v1', 'image'), tagged('v2', 'image'), tagged('multi', 'index')]
      expect(await affected(layer, 10)).toEqual(both)
      expect(await affected(image, 10)).toEqual(both)
      expect(await affected(layer, 2)).toEqual(both.slice(0, 2))
      await putManifest(metadata, 'untagged', { references: [blobReference(digest('unused'))] })
      expect(await affected(digest('unused'), 10)).toEqual([{ ...inApp, tag: undefined, manifest: digest('untagged') }])
      expect(await affected(digest('nothing'), 10)).toEqual([])
    })

    test('bytes of a blob whose row is lost, but which is linked, are no strays', async () => {
      const named = { key: 'key-of-a layer', digest: layer, size: 10 }
      await opened().damage(`DELETE FROM blobs WHERE digest = '${layer}'`)
      expect(await metadata.collection.strays([named])).toEqual([])
      expect(await metadata.collection.claim(named, 50)).toBe(false)
      expect(await metadata.blobs.locate(layer)).toBeUndefined()
    })

    test('blobs of any state, and uploads, are listed page by page', async () => {
      await metadata.verification.damage({ digest: layer, key: 'key-of-a layer', reason: 'size', now: 40 })
      const all: Digest[] = []
      for (let last: Digest | undefined; ; ) {
        const page = await metadata.verification.blobs({ last, limit: 1 })
        if (page[0] === undefined) break
        last = page[0].digest
        all.push(last)
      }
      expect(all).toEqual([layer, digest('config'), digest('unused')].sort())
      await metadata.uploads.start({ ...uploadOf('b') })
      await metadata.uploads.start({ ...uploadOf('a') })
      expect((await metadata.verification.uploads({ limit: 1 })).map(({ id }) => id)).toEqual(['a'])
      expect((await metadata.verification.uploads({ last: 'a', limit: 9 })).map(({ id }) => id)).toEqual(['b'])
    })

    test('it remembers how far the scrub has come', async () => {
      const { verification } = metadata
      expect(await verification.scrub()).toBeUndefined()
      const state = { startedAt: 5, last: layer, endedAt: undefined, blobs: 3, bytes: 30, damaged: 1 }
      await verification.setScrub(state)
      expect(await verification.scrub()).toEqual(state)
      await verification.setScrub({ ...state, last: undefined, endedAt: 9 })
      expect(await verification.scrub()).toEqual({ ...state, last: undefined, endedAt: 9 })
    })
  })
}

function uploadOf(id: string) {
  const times = { startedAt: 1, updatedAt: 1 }
  return { id, repository: REPOSITORY, size: 0, state: '', digest: undefined, bootId: 'boot', ...times }
}
