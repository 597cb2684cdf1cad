import { beforeEach, describe, expect, test } from 'bun:test'
import { digest, manifestReference, type Opened, putManifest, REPOSITORY } from './examples.suite.ts'
import type { Metadata, PullTally } from './metadata.ts'

const DUE = { now: 100, before: 100, causes: [] } as const

function tally(text: string, row: Partial<PullTally> = {}): PullTally {
  return { repository: REPOSITORY, tag: undefined, digest: digest(text), pulls: 1, lastAt: 10, ...row }
}

export function pullsSuite(opened: () => Opened): void {
  let metadata: Metadata

  beforeEach(() => {
    metadata = opened().metadata
  })

  const change = { now: 50, actor: 'ann' }
  /** Of the tags v1 to v3 and the manifests `image`, `other` and `child`. */
  async function counted(repository = REPOSITORY) {
    const names = new Map(['image', 'other', 'child'].map((text) => [digest(text), text]))
    const tags = await metadata.pulls.ofTags(repository, ['v3', 'v2', 'v1'])
    const manifests = await metadata.pulls.ofManifests(repository, [...names.keys()])
    expect(tags.map(({ tag }) => tag)).toEqual(tags.map(({ tag }) => tag).sort())
    return Object.fromEntries([
      ...tags.map(({ tag, pulls, lastAt }) => [tag, [pulls, lastAt]]),
      ...manifests.map((row) => [names.get(row.digest), [row.pulls, row.lastAt]]),
    ])
  }

  describe('pulls', () => {
    test('are none before the first', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      expect(await counted()).toEqual({})
      expect(await counted('nobody/knows')).toEqual({})
      expect(await metadata.pulls.ofTags(REPOSITORY, [])).toEqual([])
    })

    test('by tag count for the tag and its manifest, by digest for the manifest alone', async () => {
      await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
      await metadata.pulls.add([tally('image', { tag: 'v1', pulls: 2, lastAt: 11 }), tally('image', { lastAt: 12 })])
      expect(await counted()).toEqual({ v1: [2, 11], image: [3, 12] })
    })

    test('are of one repository', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      await putManifest(metadata, 'image', { tags: ['v1'], repository: 'team/other' })
      await metadata.pulls.add([tally('image', { tag: 'v1', repository: 'team/other' }), tally('image', { pulls: 5 })])
      expect(await counted()).toEqual({ image: [5, 10] })
      expect(await counted('team/other')).toEqual({ v1: [1, 10], image: [1, 10] })
    })

    test('add up, whoever writes them, and the last is the latest of all', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      const portions = Array.from({ length: 8 }, (_, index) => [
        tally('image', { tag: 'v1', pulls: 2, lastAt: 20 - index }),
        tally('image', { lastAt: 5 + index }),
      ])
      await Promise.all(portions.map((portion) => metadata.pulls.add(portion)))
      expect(await counted()).toEqual({ v1: [16, 20], image: [24, 20] })
    })

    test('stay with a tag that moves, and are begun anew by one that is deleted and pushed again', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      await metadata.pulls.add([tally('image', { tag: 'v1', pulls: 4 })])
      await putManifest(metadata, 'other', { tags: ['v1'] })
      await metadata.pulls.add([tally('other', { tag: 'v1' })])
      expect(await counted()).toEqual({ v1: [5, 10], image: [4, 10], other: [1, 10] })
      await metadata.tags.delete(REPOSITORY, 'v1', change)
      expect(await counted()).toEqual({ image: [4, 10], other: [1, 10] })
      await putManifest(metadata, 'other', { tags: ['v1'] })
      expect(await counted()).toEqual({ image: [4, 10], other: [1, 10] })
    })

    test('of what was deleted meanwhile are left out', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      await putManifest(metadata, 'other', { tags: ['v2'] })
      await metadata.manifests.delete(REPOSITORY, digest('image'), change)
      await metadata.pulls.add([
        tally('image', { tag: 'v1' }),
        tally('other', { tag: 'v2' }),
        tally('image', { tag: 'v1', repository: 'nobody/knows' }),
      ])
      expect(await counted()).toEqual({ v2: [1, 10], other: [1, 10] })
      await putManifest(metadata, 'image', { tags: ['v1'] })
      expect(await counted()).toEqual({ v2: [1, 10], other: [1, 10] })
    })

    test('come back with what is restored from the trash, with those of its tags that nobody took', async () => {
      await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
      await metadata.pulls.add([tally('image', { tag: 'v1', pulls: 3 }), tally('image', { tag: 'v2' })])
      await metadata.manifests.delete(REPOSITORY, digest('image'), change)
      expect(await counted()).toEqual({})
      await putManifest(metadata, 'other', { tags: ['v2'] })
      await metadata.pulls.add([tally('other', { tag: 'v2', pulls: 7, lastAt: 60 })])
      expect(await metadata.trash.restore(REPOSITORY, digest('image'), change)).toMatchObject({ taken: ['v2'] })
      expect(await counted()).toEqual({ v1: [3, 10], v2: [7, 60], image: [4, 10], other: [7, 60] })
    })

    test('come back with a tag that is pointed to its manifest in the trash', async () => {
      await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
      await metadata.pulls.add([tally('image', { tag: 'v1', pulls: 3 }), tally('image', { tag: 'v2' })])
      await metadata.manifests.delete(REPOSITORY, digest('image'), change)
      await metadata.tags.restore(REPOSITORY, 'v1', undefined, change)
      expect(await counted()).toEqual({ v1: [3, 10], image: [4, 10] })
    })

    test('come back with all that the deletion of a repository took, whose tags are on an index and on its child', async () => {
      const batch = 'batch-1'
      await putManifest(metadata, 'child', { tags: ['v2'] })
      await putManifest(metadata, 'image', { tags: ['v1'], references: [manifestReference(digest('child'))] })
      await metadata.pulls.add([tally('image', { tag: 'v1', pulls: 3 }), tally('child', { tag: 'v2', pulls: 2 })])
      const before = await counted()
      for (const first of ['image', 'child']) {
        const second = first === 'image' ? 'child' : 'image'
        for (const text of [first, second])
          await metadata.manifests.delete(REPOSITORY, digest(text), { ...change, batch })
        const restored = await metadata.trash.restoreBatch(REPOSITORY, batch, change)
        expect(restored?.tags.toSorted()).toEqual(['v1', 'v2'])
        expect(await metadata.trash.restoreBatch(REPOSITORY, batch, change)).toBeUndefined()
        expect(await metadata.tags.list(REPOSITORY, { limit: 9 })).toEqual(['v1', 'v2'])
        expect(await counted()).toEqual(before)
      }
    })

    test('of an older deletion of a child do not bring back its tags', async () => {
      await putManifest(metadata, 'child', { tags: ['v2'] })
      await putManifest(metadata, 'image', { tags: ['v1'], references: [manifestReference(digest('child'))] })
      await metadata.manifests.delete(REPOSITORY, digest('child'), change)
      await metadata.manifests.delete(REPOSITORY, digest('image'), { ...change, batch: 'batch-1' })
      await metadata.trash.restore(REPOSITORY, digest('image'), change)
      expect(await metadata.manifests.find(REPOSITORY, digest('child'))).toBeDefined()
      expect(await metadata.tags.list(REPOSITORY, { limit: 9 })).toEqual(['v1'])
    })

    test('are forgotten with what leaves the trash for good', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      await metadata.pulls.add([tally('image', { tag: 'v1' })])
      await metadata.manifests.delete(REPOSITORY, digest('image'), change)
      const [buried] = await metadata.collection.trash(DUE.before, DUE.now, 1)
      if (buried === undefined) throw new Error('nothing is in the trash')
      expect(await metadata.collection.purge(buried, DUE.now)).toMatchObject({ kind: 'taken' })
      await putManifest(metadata, 'image', { tags: ['v1'] })
      expect(await counted()).toEqual({})
    })

    test('are counted since a time that is known', async () => {
      expect(await metadata.pulls.since()).toBe(1)
    })
  })
}
