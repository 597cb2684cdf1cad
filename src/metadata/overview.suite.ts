import { beforeEach, describe, expect, test } from 'bun:test'
import {
  blobReference,
  deleteRepository,
  digest,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
} from './examples.suite.ts'
import { NAMES } from './lists.suite.ts'
import type { Metadata } from './metadata.ts'

/** Lists for people. Blobs have 10 bytes each, manifests as many as their texts have characters. */
export function overviewSuite(opened: () => Opened): void {
  let metadata: Metadata

  beforeEach(() => {
    metadata = opened().metadata
  })

  const tags = async (last?: string, limit = 100) => await metadata.overview.tags(REPOSITORY, { last, limit })
  const by = { now: 50, actor: 'ann' }
  const repositories = async (last?: string, limit = 100, among?: string[]) =>
    await metadata.overview.repositories({ last, limit }, among)

  describe('the overview of tags', () => {
    test('says size, push and pulls of each; what an index and its children share counts once', async () => {
      for (const seed of ['base', 'one', 'two']) await pushBlob(metadata, seed)
      const of = (...seeds: string[]) => seeds.map((seed) => blobReference(digest(seed)))
      await putManifest(metadata, 'first', { tags: ['v1'], references: of('base', 'one'), now: 5, actor: 'kim' })
      await putManifest(metadata, 'second', { references: of('base', 'two') })
      const children = ['first', 'second', 'missing'].map((text) => manifestReference(digest(text), false))
      await putManifest(metadata, 'the index', { tags: ['all'], references: children, now: 7, mediaType: 'text/i' })
      await metadata.pulls.add([
        { repository: REPOSITORY, tag: 'v1', digest: digest('first'), pulls: 2, lastAt: 9 },
        { repository: REPOSITORY, tag: undefined, digest: digest('first'), pulls: 1, lastAt: 11 },
      ])
      const mediaType = 'application/vnd.oci.image.manifest.v1+json'
      expect(await tags()).toEqual([
        {
          ...{ name: 'all', digest: digest('the index'), mediaType: 'text/i', size: 30 + 9 + 5 + 6 },
          ...{ pushedAt: 7, pushedBy: '', pulls: 0, lastPullAt: undefined },
        },
        {
          ...{ name: 'v1', digest: digest('first'), mediaType, size: 20 + 5 },
          ...{ pushedAt: 5, pushedBy: 'kim', pulls: 2, lastPullAt: 9 },
        },
      ])
    })

    test('comes in pages, in byte order', async () => {
      await putManifest(metadata, 'image', { tags: NAMES })
      expect((await tags())?.map(({ name }) => name)).toEqual(NAMES)
      expect((await tags(NAMES[2], 3))?.map(({ name }) => name)).toEqual(NAMES.slice(3, 6))
      expect(await tags(NAMES.at(-1))).toEqual([])
    })

    test('tells who moved a tag last, and when', async () => {
      await putManifest(metadata, 'one', { tags: ['v1'], now: 1, actor: 'kim' })
      await putManifest(metadata, 'two', { tags: ['v1'], now: 2, actor: 'max' })
      expect(await tags()).toMatchObject([{ digest: digest('two'), pushedAt: 2, pushedBy: 'max' }])
    })

    test('is none of a repository that is not there', async () => {
      expect(await tags()).toBeUndefined()
      await putManifest(metadata, 'one', { tags: ['v1'] })
      await deleteRepository(metadata)
      expect(await tags()).toBeUndefined()
    })
  })

  describe('the overview of repositories', () => {
    test('says tags, bytes, the last change and pulls of each that has a manifest', async () => {
      await pushBlob(metadata, 'layer')
      await pushBlob(metadata, 'config')
      await pushBlob(metadata, 'layer', 'only/blobs')
      await putManifest(metadata, 'one', { tags: ['v1', 'v2'], now: 5 })
      await putManifest(metadata, 'two', { repository: 'other', now: 6 })
      const pull = { repository: REPOSITORY, tag: 'v1', digest: digest('one') }
      await metadata.pulls.add([{ ...pull, pulls: 2, lastAt: 9 }])
      await metadata.pulls.add([{ ...pull, pulls: 1, lastAt: 8 }])
      await metadata.tags.delete(REPOSITORY, 'v2', by)
      expect(await repositories()).toEqual({
        repositories: [
          {
            ...{ name: 'other', createdAt: 6, updatedAt: undefined, tags: 0, blobs: 0, bytes: 0, complete: true },
            ...{ pulls: 0, lastPullAt: undefined },
          },
          {
            ...{ name: REPOSITORY, createdAt: 1, updatedAt: 50, tags: 1, blobs: 2, bytes: 20, complete: true },
            ...{ pulls: 3, lastPullAt: 9 },
          },
        ],
        more: false,
      })
    })

    test('comes in pages, of all or of those that may be seen', async () => {
      const names = ['a', 'a/b', 'b', 'c']
      for (const repository of names) await putManifest(metadata, 'image', { repository })
      const page = async (...wanted: Parameters<typeof repositories>) => {
        const found = await repositories(...wanted)
        return [found.repositories.map(({ name }) => name), found.more]
      }
      expect(await page(undefined, 3)).toEqual([['a', 'a/b', 'b'], true])
      expect(await page('b', 3)).toEqual([['c'], false])
      expect(await page(undefined, 1, ['c', 'nothing', 'a/b'])).toEqual([['a/b'], true])
      expect(await page('a/b', 1, ['c', 'nothing', 'a/b'])).toEqual([['c'], false])
      expect(await page(undefined, 9, [])).toEqual([[], false])
    })
  })
}
