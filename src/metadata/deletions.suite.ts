import { beforeEach, describe, expect, test } from 'bun:test'
import type { Digest } from '../oci/digest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { happened } from './events.suite.ts'
import {
  blobReference,
  deleteRepository,
  digest,
  endDeletion,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
  refusal,
  upload,
} from './examples.suite.ts'
import type { Metadata, TagProtection } from './metadata.ts'

const NEW = 'team/new'
const by = { now: 50, actor: 'ann' }
const BATCH = 'batch-1'

/** Whole repositories go, portion by portion, whoever is killed meanwhile. */
export function deletionsSuite(opened: () => Opened): void {
  let metadata: Metadata

  beforeEach(() => {
    metadata = opened().metadata
  })

  const told = happened({ action: 'delete', tag: undefined, digest: undefined, mediaType: undefined })
  const begin = (batch = BATCH, more: { protections?: readonly TagProtection[] } = {}) =>
    metadata.deletions.begin(REPOSITORY, { batch, events: [told], ...by, ...more })
  const advance = (limit: number, batch = BATCH) => metadata.deletions.advance(batch, { limit, now: 51 })
  /** Begins, and goes on to the end; `between` runs after each portion but the last. */
  async function remove(limit: number, between?: () => Promise<unknown>): Promise<Digest[][]> {
    const begun = await begin()
    if (begun === undefined) throw new Error('there is no repository')
    return await endDeletion(metadata, begun.batch, { limit, ...(between === undefined ? {} : { between }) })
  }
  const putIndex = (text: string, children: readonly string[], tags: readonly string[] = []) =>
    putManifest(metadata, text, {
      ...{ tags, references: children.map((child) => manifestReference(digest(child))) },
      mediaType: MEDIA_TYPES.ociIndex,
    })
  const listed = async (name = REPOSITORY) => ({
    exists: await metadata.repositories.exists(name),
    isListed: await metadata.repositories.isListed(name),
    tags: await metadata.tags.list(name, { limit: 100 }),
  })
  const UNKNOWN = { exists: false, isListed: false, tags: undefined }
  const living = async (name = REPOSITORY) => await metadata.manifests.list(name, { limit: 100 })
  const events = async () =>
    (await metadata.events.waiting('hook', 10)).map(({ action, repository }) => [action, repository])
  const inTrash = async () => await metadata.trash.list({ repository: REPOSITORY }, { limit: 100 })
  const sorted = (...texts: string[]) => texts.map(digest).sort()

  describe('the deletion of a repository', () => {
    test('takes all manifests with their tags, portion by portion, indexes before what they name', async () => {
      const texts = ['a', 'b', 'c', 'd', 'e']
      for (const text of texts) await putManifest(metadata, text, { tags: [text] })
      await putIndex('index', ['a', 'b'], ['index'])
      const seen: unknown[] = []
      const portions = await remove(2, async () => {
        seen.push((await metadata.tags.list(REPOSITORY, { limit: 100 }))?.length, await events())
      })
      const [one, two, three, four, five] = sorted(...texts)
      expect<unknown>(portions).toEqual([[digest('index')], [one, two], [three, four], [five]])
      expect(seen).toEqual([5, [], 3, [], 1, []])
      expect(await listed()).toEqual(UNKNOWN)
      expect(await events()).toEqual([['delete', REPOSITORY]])
      expect((await inTrash()).map(({ batch, actor, reason }) => [batch, actor, reason])).toEqual(
        Array(6).fill([BATCH, 'ann', 'deleted']),
      )
    })

    test('tells of each portion what went, and of all how many; the last one what is told', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await putManifest(metadata, 'a', { tags: ['a', 'b'], references: [blobReference(layer)] })
      await begin()
      const portion = { repository: REPOSITORY, digests: [], tags: [], freed: [], events: [] }
      const total = { manifests: 1, tags: 2 }
      expect(await advance(1)).toEqual({ ...portion, state: 'running', total: { manifests: 0, tags: 0 } })
      expect(await advance(1)).toEqual({
        ...{ ...portion, digests: [digest('a')], tags: ['a', 'b'], freed: [layer] },
        ...{ state: 'running', total },
      })
      expect(await advance(1)).toMatchObject({ ...portion, events: [{ action: 'delete' }], state: 'done', total })
      // Whoever carries it out beside another one hears of its end.
      expect(await advance(1)).toEqual({ ...portion, state: 'done', total })
      expect(await advance(1, 'another')).toBeUndefined()
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('is undone by one restoration', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await putManifest(metadata, 'a', { tags: ['a', 'b'], references: [blobReference(layer)] })
      await putManifest(metadata, 'untagged')
      await remove(10)
      expect(await metadata.trash.restoreBatch(NEW, BATCH, by)).toBeUndefined()
      const restored = await metadata.trash.restoreBatch(REPOSITORY, BATCH, by)
      expect(restored?.digests.toSorted()).toEqual(sorted('a', 'untagged'))
      expect(await listed()).toEqual({ exists: true, isListed: true, tags: ['a', 'b'] })
      expect(await metadata.blobs.unlink(REPOSITORY, layer, { now: 60 })).toEqual({ referencedBy: digest('a') })
    })

    test('knows the uploads that began before it', async () => {
      await metadata.uploads.start(upload({ id: 'early', startedAt: 10 }))
      await metadata.uploads.start(upload({ id: 'late', startedAt: 11 }))
      await metadata.uploads.start(upload({ id: 'elsewhere', startedAt: 10, repository: NEW }))
      expect((await metadata.uploads.of(REPOSITORY, 10, 5)).map(({ id }) => id)).toEqual(['early'])
    })

    test('of what is not there, or deleted already, is none', async () => {
      expect(await begin()).toBeUndefined()
      await putManifest(metadata, 'a', { tags: ['a'] })
      await remove(10)
      expect(await begin('batch-2')).toBeUndefined()
      expect(await events()).toHaveLength(1)
    })

    test('does not begin while a tag is protected', async () => {
      for (const text of ['a', 'v1']) await putManifest(metadata, text, { tags: [text] })
      const protections: TagProtection[] = [{ rule: 'releases', tags: ['v*'] }]
      expect(await refusal(begin(BATCH, { protections }))).toMatchObject({
        fault: 'denied',
        denial: { rule: 'releases', tag: 'v1' },
      })
      expect((await listed()).tags).toEqual(['a', 'v1'])
      expect(await metadata.deletions.unfinished(9)).toEqual([])
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
  })

  describe('the deletion of a repository leaves', () => {
    test('what is pushed after its beginning, wherever it stands by then', async () => {
      for (const text of ['a', 'b', 'c']) await putManifest(metadata, text, { tags: [text] })
      let pushes = 0
      await remove(1, () => putManifest(metadata, `late ${pushes}`, { tags: [`late-${pushes++}`] }))
      expect(await listed()).toEqual({
        ...{ exists: true, isListed: true },
        tags: Array.from({ length: pushes }, (_, index) => `late-${index}`),
      })
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('a push after its beginning, though an index that came last went first', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await putIndex('index', ['a'], ['index'])
      let pushes = 0
      await remove(1, () => putManifest(metadata, `late ${pushes}`, { tags: [`late-${pushes++}`] }))
      expect((await listed()).tags).toEqual(Array.from({ length: pushes }, (_, index) => `late-${index}`))
    })

    test('a push after its beginning, though the newest manifest of the whole registry is deleted meanwhile', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await putManifest(metadata, 'elsewhere', { repository: NEW })
      await begin()
      await metadata.manifests.delete(NEW, digest('elsewhere'), by)
      await putManifest(metadata, 'late', { tags: ['late'] })
      await endDeletion(metadata, BATCH)
      expect((await listed()).tags).toEqual(['late'])
    })

    test('what is pushed again after its beginning, with the tags that it gets; its earlier ones go', async () => {
      for (const text of ['a', 'b', 'c']) await putManifest(metadata, text, { tags: [text] })
      await begin()
      await putManifest(metadata, 'a')
      await putManifest(metadata, 'b', { tags: ['b', 'new'] })
      await endDeletion(metadata, BATCH, { limit: 1 })
      expect((await listed()).tags).toEqual(['b', 'new'])
      expect(await living()).toEqual(sorted('a', 'b'))
      expect(await metadata.tags.history(REPOSITORY, 'a', { limit: 1 })).toMatchObject([
        { to: undefined, actor: 'ann' },
      ])
      // It waits for the collector, as any manifest that has lost its last tag.
      const due = { now: 51, before: 51, causes: [] }
      expect(await metadata.collection.manifests(due, 9)).toMatchObject([{ digest: digest('a') }])
    })

    test('the children that an index which is pushed after its beginning would lack, at any distance', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await putManifest(metadata, 'child', { references: [blobReference(layer)], tags: ['early'] })
      await putManifest(metadata, 'other child')
      await putIndex('inner', ['child'])
      await begin()
      await putIndex('outer', ['inner'], ['late'])
      await endDeletion(metadata, BATCH, { limit: 1 })
      expect(await living()).toEqual(sorted('outer', 'inner', 'child'))
      expect((await listed()).tags).toEqual(['late'])
      expect(await metadata.blobs.unlink(REPOSITORY, layer, { now: 60 })).toEqual({ referencedBy: digest('child') })
    })

    const restorations: [string, () => Promise<unknown>, string[], string[]][] = [
      [
        'out of the trash',
        () => metadata.trash.restore(REPOSITORY, digest('old index'), by),
        ['old index', 'old'],
        ['gone'],
      ],
      ['by its tag', () => metadata.tags.restore(REPOSITORY, 'moved', undefined, by), ['old'], ['moved']],
      [
        'by its tag, out of the trash',
        () => metadata.tags.restore(REPOSITORY, 'gone', digest('old index'), by),
        ['old index', 'old'],
        ['gone'],
      ],
    ]
    test.each(restorations)('what is restored after its beginning, %s', async (_, restore, expected, tags) => {
      await putManifest(metadata, 'old', { tags: ['moved', 'early'] })
      await putManifest(metadata, 'new', { tags: ['moved'] })
      await putIndex('old index', ['old'], ['gone'])
      await metadata.manifests.delete(REPOSITORY, digest('old index'), by)
      await begin()
      await restore()
      await endDeletion(metadata, BATCH, { limit: 1 })
      expect(await living()).toEqual(sorted(...expected))
      expect((await listed()).tags).toEqual(tags)
    })

    test('nothing of an earlier one, whose survivors go with the next', async () => {
      await putManifest(metadata, 'a', { tags: ['a'] })
      await begin()
      await putManifest(metadata, 'late', { tags: ['late'] })
      await endDeletion(metadata, BATCH)
      expect((await listed()).tags).toEqual(['late'])
      await deleteRepository(metadata, { batch: 'batch-2' })
      expect(await listed()).toEqual(UNKNOWN)
    })
  })

  describe('the deletion of a repository that is left in its middle', () => {
    async function left(): Promise<void> {
      for (const text of ['a', 'b', 'c']) await putManifest(metadata, text, { tags: [text] })
      await begin()
      await advance(2)
      await advance(2)
    }

    test('is known, with what it took, until somebody ends it', async () => {
      await left()
      const row = { batch: BATCH, repository: REPOSITORY, beganAt: 50, seenAt: 51 }
      expect(await metadata.deletions.unfinished(9)).toEqual([row])
      expect(await inTrash()).toHaveLength(2)
      const again = (await opened().reopen?.()) ?? metadata
      metadata = again
      expect(await metadata.deletions.unfinished(9)).toEqual([row])
      await endDeletion(metadata, BATCH)
      expect(await metadata.deletions.unfinished(9)).toEqual([])
      expect(await listed()).toEqual(UNKNOWN)
      expect((await inTrash()).map(({ batch }) => batch)).toEqual([BATCH, BATCH, BATCH])
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('is begun anew by the next one, under its own batch: what came meanwhile goes, too', async () => {
      await left()
      await putManifest(metadata, 'a', { tags: ['again'] })
      expect(await begin('batch-2')).toEqual({ batch: BATCH })
      await putManifest(metadata, 'late', { tags: ['late'] })
      await endDeletion(metadata, BATCH)
      expect((await listed()).tags).toEqual(['late'])
      expect(new Set((await inTrash()).map(({ batch }) => batch))).toEqual(new Set([BATCH]))
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('is called off, once: what it took comes back, what it did not take stays', async () => {
      const callOff = (now: number, batch = BATCH) => metadata.deletions.callOff(REPOSITORY, batch, now)
      await left()
      expect([await metadata.deletions.callOff(NEW, BATCH, 60), await callOff(60), await callOff(61)]).toEqual([
        ...[false, true, false],
      ])
      expect(await advance(2)).toMatchObject({ state: 'undone', digests: [], total: { manifests: 2, tags: 2 } })
      expect((await listed()).tags).toHaveLength(1)
      await metadata.trash.restoreBatch(REPOSITORY, BATCH, by)
      expect(await listed()).toEqual({ exists: true, isListed: true, tags: ['a', 'b', 'c'] })
      expect([await metadata.deletions.unfinished(9), await events()]).toEqual([[], []])
      // It can be deleted as any other.
      await deleteRepository(metadata, { batch: 'batch-2' })
      expect(await listed()).toEqual(UNKNOWN)
      expect(await callOff(70, 'batch-2')).toBe(false)
      expect(await callOff(70, 'never was')).toBe(false)
    })

    test('is forgotten a week after its end', async () => {
      await left()
      await endDeletion(metadata, BATCH)
      const later = (days: number) => ({ actor: 'ann', now: 100 + days * 24 * 3_600_000 })
      for (const [days, state] of [
        [6, 'done'],
        [8, undefined],
      ] as const) {
        await putManifest(metadata, 'a', { repository: NEW })
        await metadata.deletions.begin(NEW, { batch: `batch of day ${days}`, ...later(days) })
        await metadata.deletions.callOff(NEW, `batch of day ${days}`, later(days).now)
        expect((await advance(2))?.state).toBe(state)
      }
    })

    test('is carried on by two at once: nothing goes twice, and both hear of its end', async () => {
      const texts = Array.from({ length: 12 }, (_, index) => `image ${index}`)
      for (const text of texts) await putManifest(metadata, text, { tags: [text.replace(' ', '-')] })
      await begin()
      const portions = (await Promise.all([1, 2].map((limit) => endDeletion(metadata, BATCH, { limit })))).flat(2)
      expect(portions.sort()).toEqual(sorted(...texts))
      expect(await inTrash()).toHaveLength(texts.length)
      expect(await events()).toEqual([['delete', REPOSITORY]])
    })

    test('beside pushes and its undoing: what was acknowledged after its beginning is there, whole', async () => {
      for (let round = 0; round < 6; round++) {
        const batch = `round ${round}`
        const texts = Array.from({ length: 6 }, (_, index) => `image ${index}`)
        for (const text of texts) await putManifest(metadata, text, { tags: [text.replace(' ', '-')] })
        await putIndex('index', ['image 0', 'image 1'], ['index'])
        await begin(batch)
        const pushed = async (text: string) => (await putManifest(metadata, text, { tags: ['pushed'] })).stored
        const putAll = async () => ((await putIndex('late', ['image 2', 'image 3'], ['late'])).stored ? ['late'] : [])
        const undone = round % 2 === 1
        const [one, all] = await Promise.all([
          pushed('image 5'),
          putAll(),
          endDeletion(metadata, batch, { limit: 2 }),
          ...(undone ? [metadata.deletions.callOff(REPOSITORY, batch, 60)] : []),
        ])
        const expected = [...(one ? ['image 5'] : []), ...all.flatMap((index) => [index, 'image 2', 'image 3'])]
        const there = await living()
        if (!undone) expect(there).toEqual(sorted(...expected))
        else for (const text of expected) expect(there).toContain(digest(text))
        await deleteRepository(metadata, { batch: `${batch}, the rest` })
      }
    })
  })
}
