import { beforeEach, describe, expect, test } from 'bun:test'
import {
  blobReference,
  digest,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
  refusal,
} from './examples.suite.ts'
import type { AdoptedBlob, AdoptedManifest, AdoptedTag, AuditRow, Metadata } from './metadata.ts'

const NOW = 5000

/** A file of 10 bytes. */
function file(seed: string, more: Partial<AdoptedBlob> = {}): AdoptedBlob {
  return { digest: digest(seed), key: `file-of-${seed}`, size: 10, modified: 1000, ...more }
}

function manifest(seed: string, more: Partial<AdoptedManifest> = {}): AdoptedManifest {
  return {
    digest: digest(seed),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    bytes: new TextEncoder().encode(seed),
    references: [],
    subject: undefined,
    artifactType: undefined,
    annotations: undefined,
    at: 2000,
    sizes: [],
    ...more,
  }
}

function tag(name: string, seed: string, at = 3000): AdoptedTag {
  return { name, digest: digest(seed), at, past: [] }
}

const RECORD: AuditRow = {
  at: NOW,
  kind: 'change',
  account: 'operator',
  source: 'berth',
  address: '',
  service: '',
  asked: 'adoption',
  granted: '',
  rules: '',
  outcome: 'done',
  detail: '',
}

export function adoptionSuite(opened: () => Opened): void {
  describe('adoption', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const adopted = async (...seeds: string[]) => {
      await metadata.adoption.blobs(
        seeds.map((seed) => file(seed)),
        NOW,
      )
      return await metadata.adoption.links(
        REPOSITORY,
        seeds.map((seed) => ({ digest: digest(seed), at: 1000 })),
        NOW,
      )
    }

    test('gives files rows under their keys, and leaves rows that are there as they are', async () => {
      const pushed = await pushBlob(metadata, 'pushed')
      expect(await metadata.adoption.blobs([file('a'), file('b'), file('pushed', { size: 99 })], NOW)).toBe(2)
      expect(await metadata.adoption.blobs([file('a'), file('b')], NOW)).toBe(0)
      expect(await metadata.blobs.locate(digest('a'))).toEqual({
        digest: digest('a'),
        size: 10,
        key: 'file-of-a',
        state: 'live',
      })
      expect(await metadata.blobs.locate(pushed)).toMatchObject({ key: 'key-of-pushed', size: 10 })
    })

    test('links what has a row, and says what has none', async () => {
      await metadata.adoption.blobs([file('a'), file('b')], NOW)
      const links = ['a', 'b', 'none'].map((seed) => ({ digest: digest(seed), at: 1000 }))
      expect(await metadata.adoption.links(REPOSITORY, links, NOW)).toEqual({ added: 2, missing: [digest('none')] })
      expect(await metadata.adoption.links(REPOSITORY, links, NOW)).toEqual({ added: 0, missing: [digest('none')] })
      expect(await metadata.blobs.find(REPOSITORY, digest('a'))).toMatchObject({ key: 'file-of-a' })
      expect(await metadata.blobs.find('other', digest('a'))).toBeUndefined()
    })

    test('makes a repository that has nothing', async () => {
      expect(await metadata.adoption.links('empty', [], NOW)).toEqual({ added: 0, missing: [] })
      expect([await metadata.repositories.exists('empty'), await metadata.repositories.isListed('empty')]).toEqual([
        true,
        false,
      ])
    })

    test('stores manifests as a push does: bytes, references, referrers', async () => {
      await adopted('layer')
      const references = [blobReference(digest('layer')), manifestReference(digest('child'))]
      const image = manifest('image', { references, subject: digest('subject'), artifactType: 'a/b' })
      const options = { relink: true, now: NOW }
      expect(await metadata.adoption.manifests(REPOSITORY, [image, manifest('child')], options)).toEqual({
        added: 2,
        needs: [],
      })
      expect(await metadata.adoption.manifests(REPOSITORY, [image], options)).toEqual({ added: 0, needs: [] })
      expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toMatchObject({
        mediaType: image.mediaType,
        bytes: image.bytes,
      })
      const referrers = await metadata.referrers.list(REPOSITORY, digest('subject'), undefined, { limit: 9 })
      expect(referrers.descriptors.map((entry) => entry.artifactType)).toEqual(['a/b'])
      expect(await metadata.blobs.unlink(REPOSITORY, digest('layer'), { now: NOW })).toEqual({
        referencedBy: digest('image'),
      })
      expect(await metadata.repositories.isListed(REPOSITORY)).toBe(true)
    })

    test('says what a manifest needs: bytes that are not there, not linked, or of another size', async () => {
      await adopted('linked')
      await metadata.adoption.blobs([file('unlinked')], NOW)
      const names = ['linked', 'unlinked', 'missing', 'foreign']
      const references = names.map((seed) => blobReference(digest(seed), seed !== 'foreign'))
      const sizes = names.map((seed) => ({ digest: digest(seed), size: seed === 'linked' ? 11 : 10 }))
      const image = manifest('image', { references, sizes })
      const named = { manifest: digest('image') }
      expect(await metadata.adoption.manifests(REPOSITORY, [image], { relink: true, now: NOW })).toEqual({
        added: 1,
        needs: [
          { ...named, kind: 'unlinked', digest: digest('unlinked') },
          { ...named, kind: 'missing', digest: digest('missing') },
          { ...named, kind: 'size', digest: digest('linked'), size: 11, found: 10 },
        ],
      })
      expect(await metadata.blobs.find(REPOSITORY, digest('unlinked'))).toBeDefined()
    })

    test('links nothing that was not linked where nobody checked manifests', async () => {
      await metadata.adoption.blobs([file('secret')], NOW)
      const image = manifest('image', { references: [blobReference(digest('secret'))] })
      await metadata.adoption.manifests(REPOSITORY, [image], { relink: false, now: NOW })
      expect(await metadata.blobs.find(REPOSITORY, digest('secret'))).toBeUndefined()
    })

    test('holds a blob for manifests that were there before its link', async () => {
      await putManifest(metadata, 'image', { references: [blobReference(digest('late'), false)] })
      await adopted('late')
      expect(await metadata.blobs.unlink(REPOSITORY, digest('late'), { now: NOW })).toEqual({
        referencedBy: digest('image'),
      })
    })

    const tagsOf = async (tags: AdoptedTag[], isTruth = false) =>
      await metadata.adoption.tags(REPOSITORY, tags, { isTruth, now: NOW })
    const pointsTo = async (name: string) => (await metadata.manifests.resolve(REPOSITORY, name))?.digest

    describe('a tag', () => {
      beforeEach(async () => {
        for (const seed of ['one', 'two']) await putManifest(metadata, seed)
        await putManifest(metadata, 'one', { tags: ['known'], now: 3000 })
      })

      const rows: [string, AdoptedTag, boolean, string, string | undefined][] = [
        ['that is new is made', tag('fresh', 'two'), false, 'new', 'two'],
        ['that is the same stays', tag('known', 'one', 9000), false, 'same', 'one'],
        ['that was moved later moves', tag('known', 'two', 3001), false, 'moved', 'two'],
        ['that was moved at the same time moves', tag('known', 'two', 3000), false, 'moved', 'two'],
        ['that Berth moved later stays', tag('known', 'two', 2999), false, 'kept', 'one'],
        ['moves whenever the tree is right', tag('known', 'two', 2999), true, 'moved', 'two'],
        ['to a manifest that is not there is left out', tag('fresh', 'none'), false, 'dangling', undefined],
        ['to a manifest that is not there does not move', tag('known', 'none', 9000), true, 'dangling', 'one'],
      ]
      test.each(rows)('%s', async (_, wanted, isTruth, outcome, expected) => {
        expect(await tagsOf([wanted], isTruth)).toEqual([outcome] as never)
        expect(await pointsTo(wanted.name)).toBe(expected === undefined ? undefined : digest(expected))
      })

      test('once more is the same', async () => {
        expect(await tagsOf([tag('fresh', 'two'), tag('known', 'two')])).toEqual(['new', 'moved'])
        expect(await tagsOf([tag('fresh', 'two'), tag('known', 'two')])).toEqual(['same', 'same'])
      })
    })

    test('a blob that is distrusted is not what its file has', async () => {
      await adopted('layer')
      await metadata.adoption.distrust(digest('layer'), 12)
      expect(await metadata.blobs.find(REPOSITORY, digest('layer'))).toMatchObject({ size: 12, key: 'file-of-layer' })
    })

    test('counts blobs that no manifest names, and that are none', async () => {
      await adopted('layer', 'linked')
      await metadata.adoption.blobs([file('image'), file('lost', { size: 7 })], NOW)
      await metadata.adoption.manifests(
        REPOSITORY,
        [manifest('image', { references: [blobReference(digest('layer'))] })],
        { relink: true, now: NOW },
      )
      expect(await metadata.adoption.unreferenced()).toEqual({ blobs: 2, bytes: 17 })
    })

    test('a new tag brings its history, as far as its manifests are there', async () => {
      for (const seed of ['one', 'two', 'three']) await putManifest(metadata, seed)
      const past = ['one', 'gone', 'two'].map((seed, index) => ({ digest: digest(seed), at: 100 * (index + 1) }))
      const wanted = { ...tag('v1', 'three', 400), past }
      expect([await tagsOf([wanted]), await tagsOf([wanted])]).toEqual([['new'], ['same']])
      const moves = await metadata.tags.history(REPOSITORY, 'v1', { limit: 9 })
      expect(moves.map(({ from, to, at, actor }) => [from, to, at, actor])).toEqual([
        [digest('two'), digest('three'), 400, 'registry:2'],
        [digest('one'), digest('two'), 300, 'registry:2'],
        [undefined, digest('one'), 100, 'registry:2'],
      ])
    })

    describe('hands to the collector', () => {
      const DUE = 10_000
      const review = async () => {
        let cursor = await metadata.adoption.review(undefined, DUE)
        while (cursor !== undefined) cursor = await metadata.adoption.review(cursor, DUE)
      }
      const dueAt = async (time: number) => {
        const due = { now: time, before: time, causes: [] }
        return {
          links: (await metadata.collection.links(due, 9999)).map((link) => link.digest).sort(),
          manifests: (await metadata.collection.manifests(due, 9999)).map((entry) => entry.digest).sort(),
          objects: (await metadata.collection.objects(time, 9999)).map((object) => object.key).sort(),
        }
      }

      beforeEach(async () => {
        await adopted('needed', 'needless')
        await metadata.adoption.blobs([file('lost')], NOW)
        const image = manifest('image', { references: [blobReference(digest('needed'))] })
        await metadata.adoption.manifests(REPOSITORY, [image, manifest('untagged')], { relink: true, now: NOW })
        await tagsOf([tag('v1', 'image')])
      })

      test('what nothing needs, from a given time on, and nothing else', async () => {
        await review()
        expect(await dueAt(DUE - 1)).toEqual({ links: [], manifests: [], objects: [] })
        expect(await dueAt(DUE)).toEqual({
          links: [digest('needless')],
          manifests: [digest('untagged')],
          objects: ['file-of-lost'],
        })
        expect(await metadata.blobs.locate(digest('lost'))).toMatchObject({ state: 'deleting' })
      })

      test('takes it back when the tree links it after all', async () => {
        await review()
        await adopted('lost')
        await metadata.adoption.tags(REPOSITORY, [tag('v2', 'untagged')], { isTruth: false, now: NOW })
        await review()
        expect(await dueAt(DUE)).toMatchObject({ manifests: [], objects: [] })
        expect(await metadata.blobs.find(REPOSITORY, digest('lost'))).toMatchObject({
          state: 'live',
          key: 'file-of-lost',
        })
      })

      test('however many rows there are, in portions', async () => {
        const seeds = Array.from({ length: 4500 }, (_, index) => `blob ${index}`)
        for (const repository of ['a', 'b']) {
          await metadata.adoption.blobs(
            seeds.map((seed) => file(seed)),
            NOW,
          )
          const links = seeds.map((seed) => ({ digest: digest(seed), at: 1 }))
          await metadata.adoption.links(repository, links, NOW)
        }
        await review()
        expect((await dueAt(DUE)).links).toHaveLength(9001)
      })
    })

    test('takes hundreds of anything at once', async () => {
      const seeds = Array.from({ length: 1200 }, (_, index) => `blob ${index}`)
      expect(await adopted(...seeds)).toEqual({ added: 1200, missing: [] })
      const references = seeds.map((seed) => blobReference(digest(seed)))
      const image = manifest('image', { references })
      expect(await metadata.adoption.manifests(REPOSITORY, [image], { relink: true, now: NOW })).toEqual({
        added: 1,
        needs: [],
      })
      const tags = seeds.map((_, index) => tag(`t${index}`, 'image'))
      expect(new Set(await tagsOf(tags))).toEqual(new Set(['new'] as const))
    })

    test('is recorded, and durable when that is done', async () => {
      await adopted('layer')
      await metadata.adoption.finish(RECORD)
      expect(await metadata.audit.list({ kind: 'change' }, { limit: 9 })).toMatchObject([RECORD])
      const again = await opened().reopen?.()
      if (again !== undefined) expect(await again.blobs.find(REPOSITORY, digest('layer'))).toBeDefined()
    })

    test('that fails in the middle of a portion does nothing of it', async () => {
      const broken = { ...file('b'), size: undefined } as unknown as AdoptedBlob
      expect(await refusal(metadata.adoption.blobs([file('a'), broken], NOW))).toMatchObject({ name: 'MetadataError' })
      expect(await metadata.blobs.locate(digest('a'))).toBeUndefined()
    })
  })
}
