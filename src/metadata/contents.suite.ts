import { beforeEach, describe, expect, test } from 'bun:test'
import {
  blobReference,
  digest,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
} from './examples.suite.ts'
import { expectPages, NAMES } from './lists.suite.ts'
import type { Metadata, Page } from './metadata.ts'

const ALL: Page = { limit: 100 }

export function contentsSuite(opened: () => Opened): void {
  describe('the contents of repositories', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const manifestsOf = async (
      filter: Parameters<Metadata['contents']['manifests']>[1],
      page = ALL,
      repository = REPOSITORY,
    ) => (await metadata.contents.manifests(repository, filter, page)).manifests

    test('name every repository that holds anything, with how much that is', async () => {
      const shared = await pushBlob(metadata, 'shared')
      await pushBlob(metadata, 'own')
      await putManifest(metadata, 'image', { tags: ['v1', 'latest'], references: [blobReference(shared)] })
      await putManifest(metadata, 'untagged')
      await metadata.blobs.mount({ digest: shared, from: [REPOSITORY], to: 'only/blobs', now: 1 })
      await putManifest(metadata, 'image', { repository: 'only/manifest' })
      await putManifest(metadata, 'gone', { repository: 'emptied' })
      await metadata.manifests.delete('emptied', digest('gone'), { now: 2, actor: '' })
      expect(await metadata.contents.repositories(ALL)).toEqual([
        { name: 'only/blobs', manifests: 0, tags: 0, blobs: 1, bytes: 10 },
        { name: 'only/manifest', manifests: 1, tags: 0, blobs: 0, bytes: 0 },
        { name: REPOSITORY, manifests: 2, tags: 2, blobs: 2, bytes: 20 },
      ])
    })

    test('repositories come in byte order, page by page', async () => {
      const names = ['a', 'a-b', 'a.b', 'a/b', 'a/b/c', 'a0', 'a_b', 'b'].sort()
      for (const name of [...names].reverse()) await pushBlob(metadata, 'blob', name)
      await expectPages(names, async (page) => (await metadata.contents.repositories(page)).map(({ name }) => name))
    })

    test('a manifest comes with all that is known of it', async () => {
      const child = digest('child')
      const annotations = { 'org.example.ä': 'ö' }
      await putManifest(metadata, 'child')
      await putManifest(metadata, 'index', {
        references: [manifestReference(child)],
        tags: ['v1'],
        mediaType: 'text/i',
      })
      await putManifest(metadata, 'signature', { subject: child, artifactType: 'text/s', annotations, now: 7 })
      const plain = { subject: undefined, artifactType: undefined, annotations: undefined, pushedAt: 1 }
      const image = 'application/vnd.oci.image.manifest.v1+json'
      const bytes = (text: string) => new TextEncoder().encode(text)
      const expected = [
        { ...plain, digest: child, mediaType: image, bytes: bytes('child'), isTagged: false, isChild: true },
        {
          ...plain,
          digest: digest('index'),
          mediaType: 'text/i',
          bytes: bytes('index'),
          isTagged: true,
          isChild: false,
        },
        {
          digest: digest('signature'),
          mediaType: image,
          bytes: bytes('signature'),
          ...{ subject: child, artifactType: 'text/s', annotations, pushedAt: 7, isTagged: false, isChild: false },
        },
      ].sort((a, b) => (a.digest < b.digest ? -1 : 1))
      expect(await manifestsOf({})).toEqual(expected)
    })

    test('an index of another repository makes no manifest a child', async () => {
      await putManifest(metadata, 'child')
      await putManifest(metadata, 'child', { repository: 'other' })
      await putManifest(metadata, 'index', { repository: 'other', references: [manifestReference(digest('child'))] })
      expect(await manifestsOf({ digest: digest('child') })).toMatchObject([{ isChild: false }])
      expect(await manifestsOf({ digest: digest('child') }, ALL, 'other')).toMatchObject([{ isChild: true }])
    })

    test('manifests come in byte order of their digests, page by page', async () => {
      const texts = Array.from({ length: 9 }, (_, index) => `manifest ${index}`)
      for (const text of texts) await putManifest(metadata, text)
      await putManifest(metadata, 'elsewhere', { repository: 'other' })
      await expectPages(texts.map(digest).sort(), async (page) =>
        (await manifestsOf({}, page)).map((manifest) => manifest.digest),
      )
    })

    test('of manifests that are large a page ends early, and says that there are more', async () => {
      const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(600_000))
      for (const text of texts) await putManifest(metadata, text)
      const found: string[] = []
      let last: string | undefined
      for (let pages = 1; ; pages++) {
        const { manifests, more } = await metadata.contents.manifests(REPOSITORY, {}, { last, limit: 10 })
        found.push(...manifests.map((manifest) => manifest.digest))
        expect(manifests.length).toBe(1)
        if (!more) {
          expect(pages).toBe(3)
          break
        }
        last = found.at(-1)
      }
      expect(found).toEqual(texts.map(digest).sort())
    })

    test('manifests are found by tag, by digest and by subject', async () => {
      await putManifest(metadata, 'old', { tags: ['v1'] })
      await putManifest(metadata, 'new', { tags: ['v1', 'v2'] })
      await putManifest(metadata, 'signature', { subject: digest('new') })
      await putManifest(metadata, 'other', { repository: 'other', tags: ['v1'], subject: digest('new') })
      const digests = async (filter: Parameters<typeof manifestsOf>[0], repository = REPOSITORY) =>
        (await manifestsOf(filter, ALL, repository)).map((manifest) => manifest.digest)
      expect(await digests({ tag: 'v1' })).toEqual([digest('new')])
      expect(await digests({ tag: 'v3' })).toEqual([])
      expect(await digests({ digest: digest('old') })).toEqual([digest('old')])
      expect(await digests({ digest: digest('other') })).toEqual([])
      expect(await digests({ subject: digest('new') })).toEqual([digest('signature')])
      expect(await digests({ tag: 'v1' }, 'other')).toEqual([digest('other')])
      expect(await digests({}, 'not/there')).toEqual([])
    })

    test('tags come with what they point to, page by page', async () => {
      for (const [index, name] of NAMES.entries()) {
        await putManifest(metadata, `image ${index % 3}`, { tags: [name], now: index })
      }
      await putManifest(metadata, 'elsewhere', { repository: 'other', tags: ['x'] })
      expect(await metadata.contents.tags(REPOSITORY, ALL)).toEqual(
        NAMES.map((name, index) => ({ name, digest: digest(`image ${index % 3}`), updatedAt: index })),
      )
      await expectPages(NAMES, async (page) => (await metadata.contents.tags(REPOSITORY, page)).map(({ name }) => name))
      expect(await metadata.contents.tags('not/there', ALL)).toEqual([])
    })

    test('moves of tags come oldest first, page by page, without deletions', async () => {
      await putManifest(metadata, 'one', { tags: ['v1'], now: 1 })
      await putManifest(metadata, 'two', { tags: ['v1', 'v2'], now: 2 })
      await putManifest(metadata, 'other', { repository: 'other', tags: ['v1'], now: 3 })
      await metadata.tags.delete(REPOSITORY, 'v2', { now: 4, actor: 'ann' })
      await putManifest(metadata, 'one', { tags: ['v1'], now: 5 })
      const all = await metadata.contents.moves(REPOSITORY, { limit: 10 })
      expect(all.map(({ tag, digest: to, at }) => [tag, to, at])).toEqual([
        ['v1', digest('one'), 1],
        ['v1', digest('two'), 2],
        ['v2', digest('two'), 2],
        ['v1', digest('one'), 5],
      ])
      expect(await metadata.contents.moves(REPOSITORY, { last: all[1]?.id, limit: 1 })).toEqual(all.slice(2, 3))
      expect(await metadata.contents.moves('not/there', { limit: 10 })).toEqual([])
    })

    test('blobs are those that are linked there and live, page by page', async () => {
      const seeds = Array.from({ length: 7 }, (_, index) => `layer ${index}`)
      for (const seed of seeds) await pushBlob(metadata, seed)
      await pushBlob(metadata, 'elsewhere', 'other')
      await pushBlob(metadata, 'collected')
      await opened().execute(`update blobs set state = 'deleting' where digest = '${digest('collected')}'`)
      await expectPages(seeds.map(digest).sort(), async (page) =>
        (await metadata.contents.blobs(REPOSITORY, {}, page)).map((blob) => blob.digest),
      )
      expect(await metadata.contents.blobs(REPOSITORY, { digest: digest('layer 3') }, ALL)).toEqual([
        { digest: digest('layer 3'), size: 10, key: 'key-of-layer 3', state: 'live' },
      ])
      expect(await metadata.contents.blobs(REPOSITORY, { digest: digest('elsewhere') }, ALL)).toEqual([])
      expect(await metadata.contents.blobs('not/there', {}, ALL)).toEqual([])
    })
  })
}
