import { beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { blobReference, digest, type Opened, pushBlob, putManifest, REPOSITORY, refusal } from './examples.suite.ts'
import type { EventRow, EventState, Metadata, NewEvent } from './metadata.ts'

/** An event for the endpoint `hook`. */
export function happened(event: Partial<NewEvent> = {}): NewEvent {
  return {
    event: '00000000-0000-4000-8000-000000000001',
    at: 1000,
    action: 'push',
    repository: REPOSITORY,
    tag: 'v1',
    digest: digest('image'),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    detail: '{"size":5}',
    endpoints: ['hook'],
    ...event,
  }
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export function eventsSuite(opened: () => Opened): void {
  describe('events', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const all = async (filter: Parameters<Metadata['events']['list']>[0] = {}) =>
      (await metadata.events.list(filter, { limit: 5000 })).reverse()
    const named = (count: number, more: (index: number) => Partial<NewEvent> = () => ({})) =>
      Array.from({ length: count }, (_, index) => happened({ event: `e${index}`, ...more(index) }))
    const names = (rows: readonly EventRow[]) => rows.map(({ event }) => event)
    const outcome = (row: EventRow, state: EventState, triedAt = 2000) => ({
      ...{ id: row.id, event: row.event, endpoint: row.endpoint },
      state,
      attempts: row.attempts + 1,
      triedAt,
      retryAt: undefined,
      result: '200 OK',
    })
    /** Appends one event, and gives it this state. */
    const add = async (event: string, state: EventState, more: { endpoint?: string; triedAt?: number } = {}) => {
      const { endpoint = 'hook', triedAt } = more
      await metadata.events.append([happened({ event, endpoints: [endpoint] })])
      const row = (await all()).at(-1)
      if (row === undefined) throw new Error('the event is not there')
      if (state !== 'waiting') await metadata.events.settle([outcome(row, state, triedAt)])
      return row.id
    }

    test('are held as they were, a row for each endpoint, under ids that grow', async () => {
      const whole = happened({ endpoints: ['b', 'a'], detail: '{"x":"ä \\"quoted\\"\\n"}' })
      const bare = happened({ event: 'e2', action: 'delete', tag: undefined, digest: undefined, mediaType: undefined })
      await metadata.events.append([whole, happened({ endpoints: [] }), bare])
      const rows = await all()
      const fresh = { state: 'waiting', attempts: 0, queuedAt: 1000, triedAt: undefined, retryAt: undefined } as const
      const { detail, endpoints: _, ...told } = whole
      const { detail: bareDetail, endpoints: __, ...toldBare } = bare
      expect(rows).toStrictEqual([
        { ...told, endpoint: 'b', ...fresh, result: '', id: rows[0]?.id ?? 0 },
        { ...told, endpoint: 'a', ...fresh, result: '', id: rows[1]?.id ?? 0 },
        { ...toldBare, endpoint: 'hook', ...fresh, result: '', id: rows[2]?.id ?? 0 },
      ])
      const ids = rows.map(({ id }) => id)
      expect(ids).toEqual([...new Set(ids)].sort((a, b) => a - b))
      expect(await metadata.events.find(ids[0] ?? 0)).toStrictEqual({ ...(rows[0] as EventRow), detail })
      expect(await metadata.events.find(ids[2] ?? 0)).toMatchObject({ detail: bareDetail })
      expect(await metadata.events.find(0)).toBeUndefined()
    })

    test('many at once keep their order', async () => {
      await metadata.events.append(named(1234))
      expect(names(await all())).toEqual(named(1234).map(({ event }) => event))
    })

    test('a queue is of one endpoint, in order, without what is done', async () => {
      await metadata.events.append(named(6, (index) => ({ endpoints: index === 3 ? ['other'] : ['hook', 'other'] })))
      const [first, second] = await metadata.events.waiting('hook', 2)
      if (first === undefined || second === undefined) throw new Error('nothing waits')
      expect(names([first, second])).toEqual(['e0', 'e1'])
      await metadata.events.settle([outcome(first, 'delivered'), outcome(second, 'dead')])
      expect(names(await metadata.events.waiting('hook', 10))).toEqual(['e2', 'e4', 'e5'])
      expect(names(await metadata.events.waiting('other', 10))).toEqual(['e0', 'e1', 'e2', 'e3', 'e4', 'e5'])
      expect(await metadata.events.waiting('nobody', 10)).toEqual([])
    })

    test('an attempt that failed leaves the event waiting, with what is known of it', async () => {
      await metadata.events.append([happened()])
      const [row] = await metadata.events.waiting('hook', 1)
      if (row === undefined) throw new Error('nothing waits')
      const failed = { state: 'waiting', attempts: 3, triedAt: 5000, retryAt: 6000, result: '503' } as const
      await metadata.events.settle([{ id: row.id, event: row.event, endpoint: row.endpoint, ...failed }])
      expect(await metadata.events.waiting('hook', 1)).toStrictEqual([{ ...row, ...failed }])
    })

    test('an attempt at what is not waiting any more changes nothing', async () => {
      const delivered = await add('e1', 'delivered')
      const before = await all()
      const of = { event: 'e1', endpoint: 'hook', attempts: 9, triedAt: 9, retryAt: 9, result: '' }
      await metadata.events.settle([
        { id: delivered, state: 'waiting', ...of },
        { id: delivered + 1, state: 'dead', ...of },
      ])
      expect(await all()).toStrictEqual(before)
    })

    test.each([
      ['another event', { event: 'e2' }],
      ['the same event of another endpoint', { event: 'e1', endpoints: ['other'] }],
    ])('an attempt at what was dropped meanwhile changes nothing for %s that may have its id', async (_, next) => {
      await metadata.events.append([happened({ event: 'e1' })])
      const [tried] = await metadata.events.waiting('hook', 1)
      if (tried === undefined) throw new Error('nothing waits')
      expect(await metadata.events.drop('hook', 10)).toBe(1)
      await metadata.events.append([happened(next)])
      const before = await all()
      await metadata.events.settle([outcome(tried, 'delivered')])
      expect(await all()).toStrictEqual(before)
    })

    test('what was queued too long ago is given up, in portions, in its own queue alone', async () => {
      await metadata.events.append(
        named(6, (index) => ({ at: index * 10, endpoints: index === 1 ? ['other'] : ['hook'] })),
      )
      const bury = () => metadata.events.bury({ endpoint: 'hook', queuedBefore: 40, result: 'too old', limit: 3 })
      expect([await bury(), await bury(), await bury()]).toEqual([3, 1, 0])
      expect(names(await metadata.events.waiting('hook', 9))).toEqual(['e5'])
      const dead = await all({ state: 'dead' })
      expect(names(dead)).toEqual(['e0', 'e2', 'e3', 'e4'])
      expect(new Set(dead.map(({ result }) => result))).toEqual(new Set(['too old']))
    })

    test('what was given up or delivered is queued again at its old place, as if it were new', async () => {
      const dead = await add('e1', 'dead')
      const delivered = await add('e2', 'delivered')
      const waiting = await add('e3', 'waiting')
      expect(await metadata.events.requeue([delivered, dead, waiting, waiting + 1], 7000)).toBe(2)
      const rows = await metadata.events.waiting('hook', 9)
      expect(
        rows.map(({ id, queuedAt, attempts, triedAt, result }) => [id, queuedAt, attempts, triedAt, result]),
      ).toEqual([
        [dead, 7000, 0, undefined, ''],
        [delivered, 7000, 0, undefined, ''],
        [waiting, 1000, 0, undefined, ''],
      ])
    })

    test('are counted by endpoint and state', async () => {
      await add('e1', 'dead')
      await add('e2', 'waiting')
      await add('e3', 'waiting')
      await add('e4', 'delivered', { endpoint: 'a' })
      expect(await metadata.events.counts()).toEqual([
        { endpoint: 'a', state: 'delivered', rows: 1 },
        { endpoint: 'hook', state: 'dead', rows: 1 },
        { endpoint: 'hook', state: 'waiting', rows: 2 },
      ])
    })

    test('a queue is dropped in portions, and nothing else', async () => {
      await metadata.events.append(named(5, (index) => ({ endpoints: index === 2 ? ['hook', 'other'] : ['hook'] })))
      await add('done', 'dead')
      const drop = () => metadata.events.drop('hook', 3)
      expect([await drop(), await drop(), await drop()]).toEqual([3, 2, 0])
      expect(names(await all())).toEqual(['e2', 'done'])
    })

    test.each<[string, Parameters<Metadata['events']['list']>[0]]>([
      ['all of them', {}],
      ['of an endpoint', { endpoint: 'a' }],
      ['of a state', { state: 'dead' }],
      ['of an endpoint and a state', { endpoint: 'a', state: 'waiting' }],
      ['of an endpoint that has none', { endpoint: 'x' }],
    ])('are listed newest first, page by page: %s', async (_, filter) => {
      await metadata.events.append(named(40, (index) => ({ endpoints: [index % 3 === 0 ? 'a' : 'b'] })))
      const made = await metadata.events.list({}, { limit: 100 })
      const ends = made.flatMap((row, index) => {
        const state = (['waiting', 'delivered', 'dead'] as const)[index % 4]
        return state === undefined || state === 'waiting' ? [] : [outcome(row, state)]
      })
      await metadata.events.settle(ends)
      const states = new Map(ends.map(({ id, state }) => [id, state]))
      const expected = made
        .filter((row) => filter.endpoint === undefined || row.endpoint === filter.endpoint)
        .filter((row) => filter.state === undefined || (states.get(row.id) ?? 'waiting') === filter.state)
        .map(({ id }) => id)
      for (const limit of [1, 4, 1000, 2000]) {
        const pages: number[] = []
        let before: number | undefined
        for (let turn = 0; turn <= expected.length; turn++) {
          const page = await metadata.events.list(filter, { before, limit })
          pages.push(...page.map(({ id }) => id))
          if (page.length < limit) break
          before = page.at(-1)?.id
        }
        expect(pages).toEqual(expected)
      }
    })

    test('of a state lose what is too old or too much, in portions, and nothing else', async () => {
      const times = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 10 })
      const before = fc.integer({ min: 0, max: 6 })
      const keep = fc.integer({ min: 0, max: 11 })
      await fc.assert(
        fc.asyncProperty(times, before, keep, fc.integer({ min: 1, max: 5 }), async (tried, before, keep, limit) => {
          for (const triedAt of tried) await add(`at ${triedAt}`, 'delivered', { triedAt })
          await add('given up', 'dead', { triedAt: 0 })
          await add('waits', 'waiting')
          const kept = tried.slice(keep === 0 ? tried.length : -keep).filter((at) => at >= before)
          let portions = 0
          for (;;) {
            const removed = await metadata.events.prune({ state: 'delivered', before, keep, limit })
            portions += removed
            if (removed < limit) break
          }
          const left = names(await all())
          await metadata.events.prune({ state: 'delivered', before: 99, keep: 0, limit: 1000 })
          await metadata.events.prune({ state: 'dead', before: 99, keep: 0, limit: 1000 })
          await metadata.events.drop('hook', 1000)
          expect(left).toEqual([...kept.map((at) => `at ${at}`), 'given up', 'waits'])
          expect(portions).toBe(tried.length - kept.length)
        }),
        { numRuns: 25, seed: 20_260_101 },
      )
    })

    describe('happen with the change that they tell of, or not at all', () => {
      const events = [happened()]

      test('a manifest that is put', async () => {
        await putManifest(metadata, 'image', { tags: ['v1'], events })
        expect(names(await all())).toEqual(events.map(({ event }) => event))
      })

      test('a manifest that lacks something is not told of', async () => {
        expect(
          await putManifest(metadata, 'image', { references: [blobReference(digest('layer'))], events }),
        ).toMatchObject({ stored: false })
        expect(await all()).toEqual([])
      })

      test('a manifest that is deleted, and each of its tags, in order', async () => {
        await putManifest(metadata, 'image', { tags: ['b', 'a'] })
        const deleted = happened({ action: 'delete', tag: undefined, mediaType: undefined })
        await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 5, actor: '', events: [deleted] })
        const rows = await all()
        expect(rows.map(({ digest, tag }) => [digest, tag])).toEqual([
          [digest('image'), undefined],
          [undefined, 'a'],
          [undefined, 'b'],
        ])
        expect(rows[0]?.event).toBe(deleted.event)
        expect(new Set(names(rows)).size).toBe(3)
        for (const id of names(rows)) expect(id).toMatch(UUID)
        await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 5, actor: '', events: [deleted] })
        expect(await all()).toHaveLength(3)
      })

      test('a tag that is deleted', async () => {
        await putManifest(metadata, 'image', { tags: ['a'] })
        await metadata.tags.delete(REPOSITORY, 'other', { now: 5, actor: '', events })
        expect(await all()).toEqual([])
        await metadata.tags.delete(REPOSITORY, 'a', { now: 5, actor: '', events })
        expect(await all()).toHaveLength(1)
      })

      test('a blob that is pushed', async () => {
        const commit = { repository: REPOSITORY, digest: digest('layer'), size: 1, upload: 'u', now: 1, events }
        expect(await metadata.blobs.commit({ ...commit, key: undefined })).toBeUndefined()
        expect(await all()).toEqual([])
        await metadata.blobs.commit({ ...commit, key: 'k' })
        await metadata.blobs.commit({ ...commit, key: undefined })
        expect(await all()).toHaveLength(2)
      })

      test('a blob that is mounted', async () => {
        const layer = await pushBlob(metadata, 'layer')
        await metadata.blobs.mount({ digest: layer, from: ['elsewhere'], to: 'b', now: 1, events })
        expect(await all()).toEqual([])
        await metadata.blobs.mount({ digest: layer, from: [REPOSITORY], to: 'b', now: 1, events })
        expect(await all()).toHaveLength(1)
      })

      test('a blob that is taken out of a repository', async () => {
        const layer = await pushBlob(metadata, 'layer')
        await putManifest(metadata, 'image', { references: [blobReference(layer)] })
        await metadata.blobs.unlink(REPOSITORY, layer, { now: 5, events })
        await metadata.blobs.unlink(REPOSITORY, digest('other'), { now: 5, events })
        expect(await all()).toEqual([])
        await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 1, actor: '' })
        await metadata.blobs.unlink(REPOSITORY, layer, { now: 5, events })
        expect(await all()).toHaveLength(1)
      })

      test('a change whose event cannot be written does not happen', async () => {
        const broken = [happened({ repository: null as unknown as string })]
        expect(await refusal(putManifest(metadata, 'image', { tags: ['v1'], events: broken }))).toMatchObject({
          name: 'MetadataError',
        })
        expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toBeUndefined()
        expect(await all()).toEqual([])
      })
    })
  })
}
