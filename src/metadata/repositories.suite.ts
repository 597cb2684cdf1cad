import { beforeEach, describe, expect, test } from 'bun:test'
import { happened } from './events.suite.ts'
import {
  blobReference,
  deleteRepository,
  digest,
  endDeletion,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
  refusal,
} from './examples.suite.ts'
import type { Metadata, TagProtection } from './metadata.ts'

const NEW = 'team/new'
const by = { now: 50, actor: 'ann' }
const DUE = { now: 10_000, before: 10_000, causes: [] } as const

/** Names of whole repositories. */
export function repositoriesSuite(opened: () => Opened): void {
  let metadata: Metadata

  beforeEach(() => {
    metadata = opened().metadata
  })

  const told = happened({ action: 'delete', tag: undefined, digest: undefined, mediaType: undefined })

  const listed = async (name = REPOSITORY) => ({
    exists: await metadata.repositories.exists(name),
    isListed: await metadata.repositories.isListed(name),
    tags: await metadata.tags.list(name, { limit: 100 }),
  })
  const UNKNOWN = { exists: false, isListed: false, tags: undefined }
  const events = async () =>
    (await metadata.events.waiting('hook', 10)).map(({ action, repository }) => [action, repository])

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
      await deleteRepository(metadata)
      expect(await rename()).toBe('unknown')
    })

    test('is not given while it is being deleted, nor that of one that is', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await putManifest(metadata, 'b', { tags: ['b'], repository: NEW })
      await metadata.deletions.begin(REPOSITORY, { ...by, batch: 'batch-1' })
      expect([await rename(), await rename(NEW, REPOSITORY)]).toEqual(['deleting', 'exists'])
      await metadata.deletions.callOff(REPOSITORY, 'batch-1', 60)
      expect(await rename(REPOSITORY, 'team/third')).toBe('renamed')
      await metadata.deletions.begin('team/third', { ...by, batch: 'batch-2' })
      await metadata.manifests.delete('team/third', digest('a'), by)
      const [buried] = await metadata.collection.trash(DUE.before, DUE.now, 1)
      if (buried === undefined) throw new Error('nothing is in the trash')
      await metadata.collection.purge(buried, DUE.now)
      expect(await rename(NEW, 'team/third')).toBe('exists')
      await endDeletion(metadata, 'batch-2')
      expect(await rename(NEW, 'team/third')).toBe('renamed')
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
