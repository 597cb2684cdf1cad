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
import type { Metadata, NewEvent, RetentionCounts, RetentionStep } from './metadata.ts'

const NOTHING: RetentionCounts = { repositories: 0, tags: 0, manifests: 0, bytes: 0, skipped: 0 }
const NAMES = ['image', 'other', 'index', 'child', 'sibling', 'signature', 'a layer', 'own layer']

/** What retention reads and deletes. `putManifest` happens at 1 unless told. */
export function retentionSuite(opened: () => Opened): void {
  describe('retention', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const nameOf = (of: Digest) => NAMES.find((name) => digest(name) === of) ?? of
    const step = (name: string, image: string, more: Partial<RetentionStep> = {}): RetentionStep => ({
      ...{ kind: 'tag', name, digest: digest(image), pushedAt: 1, mayEmpty: false },
      ...{ actor: 'retention:old', events: [], manifestEvents: [] },
      ...more,
    })
    const untagged = (image: string, more: Partial<RetentionStep> = {}) =>
      step(digest(image), image, { kind: 'manifest', ...more })
    const take = async (...steps: RetentionStep[]) => {
      const { outcomes, buried, freed, bytes } = await metadata.retention.take(REPOSITORY, steps, {
        now: 50,
        batch: 'b',
      })
      return { outcomes, buried: buried.map(nameOf).sort(), freed: freed.map(nameOf).sort(), bytes }
    }
    const tags = () => metadata.tags.list(REPOSITORY, { limit: 100 })
    const manifests = async () => (await metadata.manifests.list(REPOSITORY, { limit: 100 })).map(nameOf).sort()

    describe('lists', () => {
      test('tags by name, in pages, with what was seen of their image', async () => {
        await putManifest(metadata, 'image', { tags: ['b', 'a'], now: 5 })
        await putManifest(metadata, 'other', { tags: ['c'], now: 7 })
        const first = await metadata.retention.tags(REPOSITORY, { limit: 2 })
        const common = { digest: digest('image'), pushedAt: 5, expiry: undefined }
        const { manifestId = 0 } = first[0] ?? {}
        expect(first).toEqual([
          { name: 'a', manifestId, ...common },
          { name: 'b', manifestId, ...common },
        ])
        await metadata.retention.examined([
          { manifestId, digest: digest('image'), asked: 'x', after: 10, at: undefined },
          { manifestId: manifestId + 1000, digest: digest('image'), asked: 'x', after: 1, at: undefined },
        ])
        const seen = { manifestId, digest: digest('image'), asked: 'y', after: undefined, at: 20 }
        await metadata.retention.examined([seen])
        const all = [
          ...(await metadata.retention.tags(REPOSITORY, { limit: 1 })),
          ...(await metadata.retention.tags(REPOSITORY, { last: 'b', limit: 2 })),
        ]
        expect(all.map(({ name, pushedAt, expiry }) => ({ name, pushedAt, expiry }))).toEqual([
          { name: 'a', pushedAt: 5, expiry: { asked: 'y', after: undefined, at: 20 } },
          { name: 'c', pushedAt: 7, expiry: undefined },
        ])
        expect(await metadata.retention.tags('team/none', { limit: 2 })).toEqual([])
        expect(await metadata.retention.untagged('team/none', { limit: 2 })).toEqual({ manifests: [], next: undefined })
      })

      test('what was seen of an image is nothing that another one says, which may have its id', async () => {
        await putManifest(metadata, 'image', { tags: ['a'] })
        const [{ manifestId = 0 } = {}] = await metadata.retention.tags(REPOSITORY, { limit: 1 })
        await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 2, actor: '' })
        await putManifest(metadata, 'other', { tags: ['a'] })
        const seen = { manifestId, digest: digest('image'), asked: 'x', after: 10, at: undefined }
        await metadata.retention.examined([seen])
        expect(await metadata.retention.tags(REPOSITORY, { limit: 2 })).toMatchObject([
          { digest: digest('other'), expiry: undefined },
        ])
      })

      test('manifests that have no tag and that nothing needs, wherever a page ends', async () => {
        await putManifest(metadata, 'image', { now: 3 })
        await putManifest(metadata, 'other', { tags: ['v1'] })
        await putManifest(metadata, 'child')
        await putManifest(metadata, 'index', { tags: ['v2'], references: [manifestReference(digest('child'))] })
        await putManifest(metadata, 'signature', { subject: digest('other') })
        await putManifest(metadata, 'sibling', { subject: digest('gone'), now: 4 })
        for (const limit of [1, 2, 100]) {
          const found: string[] = []
          let last: string | undefined
          do {
            const page: Awaited<ReturnType<Metadata['retention']['untagged']>> = await metadata.retention.untagged(
              REPOSITORY,
              { last, limit },
            )
            found.push(...page.manifests.map((row) => `${nameOf(row.digest)} since ${row.pushedAt}`))
            last = page.next
          } while (last !== undefined)
          expect(found.sort()).toEqual(['image since 3', 'sibling since 4'])
        }
      })

      test('where manifests stand, and the blobs that they need', async () => {
        for (const blob of ['a layer', 'own layer']) await pushBlob(metadata, blob)
        await pushBlob(metadata, 'a layer', 'team/other')
        const [shared, own] = [blobReference(digest('a layer')), blobReference(digest('own layer'))]
        await putManifest(metadata, 'child', { references: [shared, own] })
        await putManifest(metadata, 'index', { tags: ['v1'], references: [manifestReference(digest('child'))] })
        await putManifest(metadata, 'signature', { subject: digest('index'), references: [own] })
        const [{ manifestId: index } = { manifestId: 0 }] = await metadata.retention.tags(REPOSITORY, { limit: 1 })
        const [root] = await metadata.retention.places([index, index + 1000])
        expect(root).toMatchObject({
          digest: digest('index'),
          size: 5,
          isTagged: true,
          parents: [],
          subject: undefined,
        })
        const below = await metadata.retention.places(root?.below ?? [])
        expect(below.map((row) => ({ ...row, id: 0, digest: nameOf(row.digest) }))).toEqual([
          { id: 0, digest: 'child', size: 5, isTagged: false, parents: [index], subject: undefined, below: [] },
          { id: 0, digest: 'signature', size: 9, isTagged: false, parents: [], subject: index, below: [] },
        ])
        const ids = below.map(({ id }) => id)
        const blobs = await metadata.retention.needed(ids)
        const byName = (rows: readonly { digest: Digest }[]): object[] =>
          rows.map((row) => ({ ...row, digest: nameOf(row.digest) })).sort((a, b) => (a.digest < b.digest ? -1 : 1))
        expect(byName(blobs)).toEqual([
          { digest: 'a layer', size: 10, manifests: 1 },
          { digest: 'own layer', size: 10, manifests: 2 },
        ])
        const held = [digest('a layer'), digest('own layer'), digest('none')]
        expect(byName(await metadata.retention.holders(REPOSITORY, held))).toEqual([
          { digest: 'a layer', manifests: 1, elsewhere: true },
          { digest: 'own layer', manifests: 2, elsewhere: false },
        ])
        expect(await metadata.retention.holders('team/none', held)).toEqual([])
      })
    })

    describe('takes', () => {
      test('a tag with its image, which the trash has, with who did it', async () => {
        for (const blob of ['a layer', 'own layer']) await pushBlob(metadata, blob)
        const [shared, own] = [blobReference(digest('a layer')), blobReference(digest('own layer'))]
        await putManifest(metadata, 'image', { tags: ['v1', 'v2'], references: [shared, own] })
        await putManifest(metadata, 'other', { tags: ['v3'], references: [shared] })
        expect(await take(step('v1', 'image'), step('v2', 'image'))).toEqual({
          ...{ outcomes: ['deleted', 'deleted'], buried: ['image'], freed: ['own layer'], bytes: 15 },
        })
        expect([await tags(), await manifests()]).toEqual([['v3'], ['other']])
        expect(await metadata.trash.find(REPOSITORY, digest('image'))).toMatchObject({
          ...{ tags: ['v1', 'v2'], reason: 'deleted', actor: 'retention:old', batch: 'b', deletedAt: 50 },
        })
        const [move] = await metadata.tags.history(REPOSITORY, 'v1', { limit: 1 })
        expect(move).toMatchObject({ from: digest('image'), to: undefined, actor: 'retention:old', at: 50 })
        expect(await metadata.trash.restoreBatch(REPOSITORY, 'b', { now: 60, actor: 'ann' })).toMatchObject({
          tags: ['v1', 'v2'],
        })
      })

      test('a tag alone where its image has another', async () => {
        await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
        expect(await take(step('v1', 'image'))).toEqual({ outcomes: ['deleted'], buried: [], freed: [], bytes: 0 })
        expect([await tags(), await manifests()]).toEqual([['v2'], ['image']])
        const [move] = await metadata.tags.history(REPOSITORY, 'v1', { limit: 1 })
        expect(move).toMatchObject({ to: undefined, actor: 'retention:old' })
      })

      test('an index with its children and referrers, but for those that something else needs', async () => {
        await putManifest(metadata, 'child')
        await putManifest(metadata, 'sibling')
        const [child, sibling] = [manifestReference(digest('child')), manifestReference(digest('sibling'))]
        await putManifest(metadata, 'index', { tags: ['v1'], references: [child, sibling] })
        await putManifest(metadata, 'other', { tags: ['v2'], references: [sibling] })
        await putManifest(metadata, 'signature', { subject: digest('index') })
        expect(await take(step('v1', 'index'))).toMatchObject({ buried: ['child', 'index', 'signature'], bytes: 19 })
        expect(await manifests()).toEqual(['other', 'sibling'])
        const back = await metadata.trash.restore(REPOSITORY, digest('index'), { now: 60, actor: 'ann' })
        expect(back?.digests.map(nameOf).sort()).toEqual(['child', 'index', 'signature'])
      })

      test.each([
        [
          'a child of an index',
          async () => {
            await putManifest(metadata, 'image', { tags: ['v1'] })
            await putManifest(metadata, 'index', { tags: ['v2'], references: [manifestReference(digest('image'))] })
          },
        ],
        [
          'what refers to a living subject',
          async () => {
            await putManifest(metadata, 'other', { tags: ['v2'] })
            await putManifest(metadata, 'image', { tags: ['v1'], subject: digest('other') })
          },
        ],
      ])('the tag of %s, and not the manifest', async (_, push) => {
        await push()
        expect(await take(step('v1', 'image'))).toMatchObject({ outcomes: ['deleted'], buried: [] })
        expect(await tags()).toEqual(['v2'])
        expect(await manifests()).toContain('image')
      })

      test.each([
        ['was pushed again', () => putManifest(metadata, 'image', { tags: ['v1'], now: 40 })],
        ['moved', () => putManifest(metadata, 'other', { tags: ['v1'] })],
        ['is gone', () => metadata.tags.delete(REPOSITORY, 'v1', { now: 40, actor: 'ann' })],
      ])('no tag that %s since', async (_, change) => {
        await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
        await change()
        const before = [await tags(), await manifests()]
        expect(await take(step('v1', 'image'))).toMatchObject({ outcomes: ['changed'], buried: [] })
        expect([await tags(), await manifests()]).toEqual(before)
      })

      test('not the last tag of a repository, unless that is said', async () => {
        await putManifest(metadata, 'image', { tags: ['v1'] })
        await putManifest(metadata, 'other', { tags: ['v2'], now: 2 })
        const steps = [step('v1', 'image'), step('v2', 'other', { pushedAt: 2 })] as const
        expect(await take(...steps)).toMatchObject({ outcomes: ['deleted', 'last'], buried: ['image'] })
        expect(await take(steps[1])).toMatchObject({ outcomes: ['last'] })
        expect(await take({ ...steps[1], mayEmpty: true })).toMatchObject({ outcomes: ['deleted'], buried: ['other'] })
        expect([await tags(), await manifests()]).toEqual([[], []])
      })

      test('manifests without a tag, not the last one of a repository, and none that was touched since', async () => {
        await putManifest(metadata, 'image')
        await putManifest(metadata, 'other')
        expect(await take(untagged('image', { pushedAt: 2 }))).toMatchObject({ outcomes: ['changed'] })
        expect(await take(untagged('image'), untagged('other'))).toMatchObject({
          ...{ outcomes: ['deleted', 'last'], buried: ['image'] },
        })
        await putManifest(metadata, 'index', { tags: ['v1'], references: [manifestReference(digest('other'))] })
        expect(await take(untagged('other', { mayEmpty: true }))).toMatchObject({ outcomes: ['changed'] })
        expect(await manifests()).toEqual(['index', 'other'])
      })

      test('and tells of it, each tag and the manifest', async () => {
        await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
        await putManifest(metadata, 'other', { tags: ['v3'] })
        const event = (id: string, tag?: string): NewEvent => ({
          ...{
            event: id,
            at: 50,
            action: 'delete',
            repository: REPOSITORY,
            tag,
            digest: undefined,
            mediaType: undefined,
          },
          ...{ detail: '{}', endpoints: ['hook'] },
        })
        await take(
          step('v1', 'image', { events: [event('1', 'v1')], manifestEvents: [event('3')] }),
          step('v2', 'image', { events: [event('2', 'v2')], manifestEvents: [event('3')] }),
          step('v9', 'image', { events: [event('4', 'v9')], manifestEvents: [event('5')] }),
        )
        const told = await metadata.events.waiting('hook', 10)
        expect(told.map((row) => row.event)).toEqual(['1', '2', '3'])
      })

      test('nothing of a repository that is not there', async () => {
        const change = { now: 50, batch: 'b' }
        expect(await metadata.retention.take('team/none', [step('v1', 'image')], change)).toEqual({
          ...{ outcomes: ['changed'], buried: [], freed: [], bytes: 0 },
        })
      })
    })

    test('rules are put in the place of those that one knows', async () => {
      expect(await metadata.retention.rules()).toEqual({ revision: 1, rules: [] })
      const rules = [
        { name: 'b', action: 'keep' as const, tags: ['v*'] },
        { name: 'a', action: 'delete' as const },
      ]
      expect(await metadata.retention.replaceRules(1, rules)).toBe(true)
      expect(await metadata.retention.replaceRules(1, [])).toBe(false)
      expect(await metadata.retention.rules()).toEqual({ revision: 2, rules })
    })

    describe('a run', () => {
      const begin = (now: number, more: { dueBefore?: number; cause?: 'asked' | 'schedule' } = {}) =>
        metadata.retention.begin({
          ...{ cause: more.cause ?? 'schedule', actor: 'ann', now, seenAfter: now - 10, dueBefore: more.dueBefore },
        })
      const idOf = (begun: Awaited<ReturnType<typeof begin>>) => (typeof begun === 'string' ? 0 : begun.id)

      test('is the only one, and is remembered', async () => {
        const [one, other] = await Promise.all([begin(100), begin(100)])
        expect([one, other].filter((each) => each === 'busy')).toHaveLength(1)
        const id = idOf(one) + idOf(other)
        const counts = { repositories: 1, tags: 2, manifests: 3, bytes: 4, skipped: 5 }
        await metadata.retention.progress(id, counts, 105)
        expect(await begin(115)).toBe('busy')
        await metadata.retention.end(id, { ...counts, tags: 9, state: 'done', error: undefined, now: 120 })
        expect(await metadata.retention.runs({ limit: 10 })).toEqual([
          {
            ...counts,
            ...{ tags: 9, id, cause: 'schedule', actor: 'ann', state: 'done' },
            ...{ startedAt: 100, endedAt: 120, error: undefined },
          },
        ])
        expect(await metadata.retention.runs({ before: id, limit: 10 })).toEqual([])
        expect(await metadata.retention.lastScheduled()).toMatchObject({ id })
      })

      test('that is scheduled waits for its time, one that is asked for does not', async () => {
        await metadata.retention.end(idOf(await begin(100)), { ...NOTHING, state: 'done', error: undefined, now: 101 })
        expect(await begin(150, { dueBefore: 99 })).toBe('early')
        const asked = idOf(await begin(150, { cause: 'asked' }))
        await metadata.retention.end(asked, { ...NOTHING, state: 'done', error: undefined, now: 151 })
        expect(idOf(await begin(200, { dueBefore: 100 }))).toBeGreaterThan(0)
      })

      test('goes on in no other after a crash, but is seen to have failed', async () => {
        const id = idOf(await begin(100))
        expect(idOf(await begin(111))).toBeGreaterThan(id)
        expect(await metadata.retention.runs({ limit: 2 })).toMatchObject([
          { state: 'running' },
          { id, state: 'failed', error: 'it was interrupted', endedAt: 111 },
        ])
      })
    })
  })
}
