import { beforeEach, describe, expect, test } from 'bun:test'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { happened } from './events.suite.ts'
import {
  blobReference,
  digest,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
  refusal,
  upload,
} from './examples.suite.ts'
import type { DeletionProgress, Metadata, TagProtection } from './metadata.ts'

const NEW = 'team/new'
const by = { now: 50, actor: 'ann' }
const DUE = { now: 10_000, before: 10_000, causes: [] } as const

/** Whole repositories: their deletion and their names. */
export function repositoriesSuite(opened: () => Opened): void {
  let metadata: Metadata

  beforeEach(() => {
    metadata = opened().metadata
  })

  const told = happened({ action: 'delete', tag: undefined, digest: undefined, mediaType: undefined })

  /** Deletes to the end; `between` runs after each portion but the last. */
  async function remove(limit: number, between: () => Promise<unknown> = async () => {}): Promise<string[][]> {
    const portions: string[][] = []
    let progress: DeletionProgress | undefined
    do {
      const portion = await metadata.repositories.delete(REPOSITORY, {
        ...{ batch: 'batch-1', progress, limit, events: [told] },
        ...by,
      })
      if (portion === undefined) throw new Error('there is no repository')
      portions.push(portion.digests)
      progress = portion.progress
      if (progress !== undefined) await between()
    } while (progress !== undefined)
    return portions
  }

  const listed = async (name = REPOSITORY) => ({
    exists: await metadata.repositories.exists(name),
    isListed: await metadata.repositories.isListed(name),
    tags: await metadata.tags.list(name, { limit: 100 }),
  })
  const UNKNOWN = { exists: false, isListed: false, tags: undefined }
  const events = async () =>
    (await metadata.events.waiting('hook', 10)).map(({ action, repository }) => [action, repository])

  describe('the deletion of a repository', () => {
    test('takes all manifests with their tags, portion by portion, indexes before what they name', async () => {
      const texts = ['a', 'b', 'c', 'd', 'e']
      for (const text of texts) await putManifest(metadata, text, { tags: [text] })
      const references = [manifestReference(digest('a')), manifestReference(digest('b'))]
      await putManifest(metadata, 'index', { tags: ['index'], references, mediaType: MEDIA_TYPES.ociIndex })
      const sorted = texts.map(digest).sort()
      const seen: unknown[] = []
      const portions = await remove(2, async () => {
        seen.push((await metadata.tags.list(REPOSITORY, { limit: 100 }))?.length, await events())
      })
      expect(portions).toEqual([[digest('index')], sorted.slice(0, 2), sorted.slice(2, 4), sorted.slice(4)])
      expect(seen).toEqual([5, [], 3, [], 1, []])
      expect(await listed()).toEqual(UNKNOWN)
      expect(await events()).toEqual([['delete', REPOSITORY]])
      const trash = await metadata.trash.list({ repository: REPOSITORY }, { limit: 100 })
      expect(trash.map(({ batch, actor, reason }) => [batch, actor, reason])).toEqual(
        Array(6).fill(['batch-1', 'ann', 'deleted']),
      )
    })

    test('is undone by one restoration', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await putManifest(metadata, 'a', { tags: ['a', 'b'], references: [blobReference(layer)] })
      await putManifest(metadata, 'untagged')
      await remove(10)
      const restored = await metadata.trash.restoreBatch('batch-1', by)
      expect(restored?.digests.toSorted()).toEqual([digest('a'), digest('untagged')].sort())
      expect(await listed()).toEqual({ exists: true, isListed: true, tags: ['a', 'b'] })
      expect(await metadata.blobs.unlink(REPOSITORY, layer, { now: 60 })).toEqual({ referencedBy: digest('a') })
    })

    test('leaves what is pushed after its beginning', async () => {
      for (const text of ['a', 'b', 'c']) await putManifest(metadata, text, { tags: [text] })
      let pushes = 0
      await remove(1, () => putManifest(metadata, `late ${pushes}`, { tags: [`late-${pushes++}`] }))
      expect((await listed()).isListed).toBe(true)
      expect((await listed()).tags).toEqual(Array.from({ length: pushes }, (_, index) => `late-${index}`))
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('leaves a push after its beginning, though an index that came last went first', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      const references = [manifestReference(digest('a'))]
      await putManifest(metadata, 'index', { tags: ['index'], references, mediaType: MEDIA_TYPES.ociIndex })
      let pushes = 0
      await remove(1, () => putManifest(metadata, `late ${pushes}`, { tags: [`late-${pushes++}`] }))
      expect((await listed()).tags).toEqual(Array.from({ length: pushes }, (_, index) => `late-${index}`))
    })

    test.each([
      ['a blob', () => pushBlob(metadata, 'layer'), { exists: true, isListed: false, tags: [] }],
      [
        'a manifest',
        () => putManifest(metadata, 'new', { tags: ['new'] }),
        { exists: true, isListed: true, tags: ['new'] },
      ],
    ])('is over with the push of %s', async (_, push, expected) => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await remove(10)
      await push()
      expect(await listed()).toEqual(expected)
    })

    test('of what is not there, or deleted already, is none', async () => {
      const wanted = { batch: 'batch-2', progress: undefined, limit: 10, events: [told], ...by }
      expect(await metadata.repositories.delete(REPOSITORY, wanted)).toBeUndefined()
      await putManifest(metadata, 'a', { tags: ['a'] })
      await remove(10)
      expect(await metadata.repositories.delete(REPOSITORY, wanted)).toBeUndefined()
      expect(await events()).toHaveLength(1)
    })

    test('does not begin while a tag is protected', async () => {
      for (const text of ['a', 'v1']) await putManifest(metadata, text, { tags: [text] })
      const protections: TagProtection[] = [{ rule: 'releases', tags: ['v*'] }]
      const wanted = { batch: 'batch-2', progress: undefined, limit: 1, protections, ...by }
      expect(await refusal(metadata.repositories.delete(REPOSITORY, wanted))).toMatchObject({
        fault: 'denied',
        denial: { rule: 'releases', tag: 'v1' },
      })
      expect((await listed()).tags).toEqual(['a', 'v1'])
    })

    test('knows the uploads that began before it', async () => {
      await metadata.uploads.start(upload({ id: 'early', startedAt: 10 }))
      await metadata.uploads.start(upload({ id: 'late', startedAt: 11 }))
      await metadata.uploads.start(upload({ id: 'elsewhere', startedAt: 10, repository: NEW }))
      expect((await metadata.uploads.of(REPOSITORY, 10, 5)).map(({ id }) => id)).toEqual(['early'])
    })
  })

  describe('another name of a repository', () => {
    const rename = (from = REPOSITORY, to = NEW) => metadata.repositories.rename(from, to, { ...by, events: [told] })

    test('is that of its manifests, tags, blobs, trash, history and pulls; the old one is unknown', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await putManifest(metadata, 'a', { tags: ['a'], references: [blobReference(layer)] })
      await putManifest(metadata, 'b', { tags: ['b'] })
      await metadata.pulls.add([{ repository: REPOSITORY, tag: 'a', digest: digest('a'), pulls: 3, lastAt: 9 }])
      await metadata.manifests.delete(REPOSITORY, digest('b'), by)
      expect(await rename()).toBe('renamed')
      expect(await listed()).toEqual(UNKNOWN)
      expect(await metadata.manifests.resolve(REPOSITORY, 'a')).toBeUndefined()
      expect(await metadata.blobs.find(REPOSITORY, layer)).toBeUndefined()
      expect(await listed(NEW)).toEqual({ exists: true, isListed: true, tags: ['a'] })
      expect((await metadata.manifests.resolve(NEW, 'a'))?.digest).toBe(digest('a'))
      expect((await metadata.blobs.find(NEW, layer))?.key).toBe('key-of-layer')
      expect(await metadata.pulls.ofTags(NEW, ['a'])).toEqual([{ tag: 'a', pulls: 3, lastAt: 9 }])
      expect(await metadata.tags.history(NEW, undefined, { limit: 9 })).toHaveLength(3)
      expect(await metadata.trash.restore(NEW, digest('b'), by)).toMatchObject({ tags: ['b'] })
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('may be taken back, and the old one be given to another', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await putManifest(metadata, 'b', { tags: ['b'], repository: NEW })
      expect([await rename(NEW, 'swap'), await rename(), await rename('swap', REPOSITORY)]).toEqual(
        Array(3).fill('renamed'),
      )
      expect([(await listed()).tags, (await listed(NEW)).tags]).toEqual([['b'], ['a']])
    })

    test('leaves the old one to whoever pushes there, with nothing of what it had', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await rename()
      expect(await putManifest(metadata, 'a', { references: [blobReference(layer)] })).toMatchObject({ stored: false })
      await pushBlob(metadata, 'layer')
      expect(await putManifest(metadata, 'a', { tags: ['a'], references: [blobReference(layer)] })).toEqual({
        stored: true,
      })
      expect([(await listed()).tags, (await listed(NEW)).tags]).toEqual([['a'], []])
    })

    test('is not given where it is taken, or where there is nothing', async () => {
      expect(await rename()).toBe('unknown')
      await putManifest(metadata, 'a', { tags: ['a'] })
      await putManifest(metadata, 'b', { tags: ['b'], repository: NEW })
      expect(await rename()).toBe('exists')
      expect(await rename(REPOSITORY, REPOSITORY)).toBe('exists')
      await metadata.manifests.delete(NEW, digest('b'), by)
      expect(await rename()).toBe('in-trash')
      const [buried] = await metadata.collection.trash(DUE.before, DUE.now, 1)
      if (buried === undefined) throw new Error('nothing is in the trash')
      await metadata.collection.purge(buried, DUE.now)
      const layer = await pushBlob(metadata, 'layer', NEW)
      expect(await rename()).toBe('in-use')
      expect(await events()).toEqual([])
      await metadata.blobs.unlink(NEW, layer, { now: 60 })
      expect(await rename()).toBe('renamed')
      expect((await metadata.tags.history(NEW, undefined, { limit: 9 })).map(({ tag }) => tag)).toEqual(['a'])
    })

    test('is not given to one that was deleted', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await remove(10)
      expect(await rename()).toBe('unknown')
    })

    test('is not given while a tag is protected', async () => {
      await putManifest(metadata, 'v1', { tags: ['v1'] })
      const protections: TagProtection[] = [{ rule: 'releases', tags: ['v*'] }]
      expect(await refusal(metadata.repositories.rename(REPOSITORY, NEW, { ...by, protections }))).toMatchObject({
        denial: { rule: 'releases', tag: 'v1' },
      })
      expect(await listed(NEW)).toEqual(UNKNOWN)
    })

    test('keeps the collector from a manifest that it found by the old one', async () => {
      await putManifest(metadata, 'a')
      const [found] = await metadata.collection.manifests(DUE, 1)
      if (found === undefined) throw new Error('there is no candidate')
      await rename()
      const nowhere = { to: 'nowhere' } as const
      expect(await metadata.collection.takeManifest(found, DUE, nowhere)).toEqual({ kind: 'busy' })
      expect(await metadata.collection.takeManifest({ ...found, repository: NEW }, DUE, nowhere)).toMatchObject({
        kind: 'taken',
      })
    })

    test('beside pushes: each is in one of the two, whole', async () => {
      for (let round = 0; round < 5; round++) {
        const [from, to] = [`race/old-${round}`, `race/new-${round}`]
        await pushBlob(metadata, 'layer', from)
        const push = async (text: string) => {
          await pushBlob(metadata, `layer-${text}`, from)
          const references = [blobReference(digest(`layer-${text}`)), blobReference(digest('layer'))]
          return await putManifest(metadata, text, { repository: from, tags: [text], references })
        }
        const texts = ['1', '2', '3', '4']
        const [renamed, ...stored] = await Promise.all([rename(from, to), ...texts.map(push)])
        expect(renamed).toBe('renamed')
        for (const [index, text] of texts.entries()) {
          const places = await Promise.all([from, to].map((name) => metadata.manifests.resolve(name, text)))
          expect(places.filter((place) => place !== undefined)).toHaveLength(stored[index]?.stored ? 1 : 0)
          const place = places[0] === undefined ? to : from
          if (stored[index]?.stored) expect(await metadata.blobs.find(place, digest(`layer-${text}`))).toBeDefined()
        }
      }
    })
  })
}
