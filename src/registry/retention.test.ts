import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { blobReference, digest, manifestReference, pushBlob, putManifest } from '../metadata/examples.suite.ts'
import type { Metadata, TagProtection } from '../metadata/metadata.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { type RetentionRule, readRetentionRule } from '../oci/retention-rule.ts'
import { NO_EVENTS } from './events.ts'
import { createTraffic, type PaceClock, type Traffic } from './pace.ts'
import { createRetention, type RetentionEnd, type RetentionTotals } from './retention.ts'
import type { PlanItem } from './retention-plan.ts'
import { createPlanner } from './retention-plan.ts'
import { createRetentionRules } from './retention-rule-list.ts'

const DAY = 86_400_000
const NOW = 1000 * DAY
const TAGS = ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'v1', 'v2']

interface Image {
  pushed: number
  layers: number[]
  children: number[]
  subject: number | null
  tags: string[]
}

/** A repository of any shape, rules of any kind: what a plan says, and what a run then does. */
describe('retention', () => {
  let folder: string
  let metadata: Metadata
  let count = 0

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-retention-'))
    metadata = await openQuickly({ path: join(folder, 'berth.db'), now: () => 1 })
  })
  afterAll(async () => {
    await metadata.close()
    rmSync(folder, { recursive: true })
  })

  function retentionOf(
    rules: readonly RetentionRule[],
    protections: readonly TagProtection[] = [],
    beside: { traffic?: Traffic; clock?: PaceClock } = {},
  ) {
    const immutable = { of: () => protections }
    return createRetention({
      ...beside,
      ...{ metadata, immutable, events: NO_EVENTS, manifests: { forget() {} }, onFreed() {}, onEnd() {} },
      rules: createRetentionRules({ retention: metadata.retention, configured: () => rules }),
      planner: createPlanner({ metadata, immutable, expiries: { of: async () => new Map() }, now: () => NOW }),
      settings: () => ({ enabled: true, intervalMs: DAY, expiry: { enabled: false, names: [] } }),
      flushPulls: async () => {},
      isReadOnly: () => false,
      now: () => NOW,
      newId: () => `id-${count++}`,
    })
  }

  async function planOf(retention: ReturnType<typeof retentionOf>, repository: string) {
    const items: PlanItem[] = []
    let total: RetentionTotals | undefined
    for await (const line of retention.plan({ repositories: [repository], rule: undefined })) {
      if (line.kind === 'item') items.push(line.item)
      else total = line.total
    }
    if (total === undefined) throw new Error('a plan has a total')
    return { items, total }
  }

  async function run(retention: ReturnType<typeof retentionOf>, repository: string): Promise<RetentionEnd> {
    const begun = await retention.start({ repositories: [repository], rule: undefined }, 'asked', '')
    if (typeof begun === 'string') throw new Error(begun)
    return await begun.ended
  }

  const tagsOf = async (repository: string) => (await metadata.tags.list(repository, { limit: 100 })) ?? []
  const manifestsOf = (repository: string) => metadata.manifests.list(repository, { limit: 100 })

  /** Images with layers that some have in common; an index may have others as its children, a signature one as its subject. */
  const image = fc.record({
    pushed: fc.integer({ min: 0, max: 60 }),
    layers: fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 3 }),
    children: fc.uniqueArray(fc.nat(5), { maxLength: 2 }),
    subject: fc.option(fc.nat(5), { freq: 4 }),
    tags: fc.uniqueArray(fc.constantFrom(...TAGS), { maxLength: 3 }),
  })
  const patterns = fc.uniqueArray(fc.constantFrom('a*', 'b*', 'v*', '!a1', '!b*', '*1', '/[12]$/'), { maxLength: 2 })
  const rule = fc
    .record({
      action: fc.constantFrom('delete' as const, 'delete' as const, 'keep' as const),
      tags: patterns,
      state: fc.constantFrom('tagged' as const, 'untagged' as const, 'any' as const),
      rank: fc.option(fc.integer({ min: 1, max: 4 }), { freq: 1 }),
      age: fc.option(fc.constantFrom('5d', '20d', '40d'), { freq: 1 }),
      mayempty: fc.boolean(),
    })
    .map(({ action, tags, state, rank, age, mayempty }) => {
      const isDeletion = action === 'delete'
      const count = rank === null ? {} : isDeletion ? { beyondnewest: rank } : { newest: rank }
      return {
        ...{ action, state, repositories: ['**'], ...count },
        ...(state === 'tagged' ? { tags } : {}),
        ...(age === null ? {} : { olderthan: age }),
        ...(isDeletion && mayempty ? { mayempty } : {}),
      }
    })

  async function fill(repository: string, images: readonly Image[]): Promise<void> {
    for (const [index, { pushed, layers, children, subject, tags }] of images.entries()) {
      const blobs = layers.map((layer) => `${repository} layer ${layer}`)
      for (const blob of blobs) await pushBlob(metadata, blob, repository)
      const before = (other: number) => other < index
      await putManifest(metadata, `${repository} ${index}`, {
        ...{ repository, tags, now: NOW - pushed * DAY },
        references: [
          ...blobs.map((blob) => blobReference(digest(blob))),
          ...children.filter(before).map((child) => manifestReference(digest(`${repository} ${child}`))),
        ],
        ...(subject !== null && before(subject) ? { subject: digest(`${repository} ${subject}`) } : {}),
      })
    }
  }

  test('does what its plan says, leaves what is kept or immutable, and never empties a repository by itself', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(image, { minLength: 1, maxLength: 7 }),
        fc.array(rule, { minLength: 1, maxLength: 4 }),
        fc.option(fc.constantFrom('v*', '*2', 'a*')),
        async (images, written, frozen) => {
          const repository = `team/r${count++}`
          await fill(repository, images)
          const rules = written.map((each, index) => {
            const { rule, problems } = readRetentionRule({ ...each, name: `r${index}` })
            expect(problems).toEqual([])
            return rule
          })
          const retention = retentionOf(rules, frozen === null ? [] : [{ rule: 'frozen', tags: [frozen] }])
          const [tags, manifests] = [await tagsOf(repository), await manifestsOf(repository)]
          const { items, total } = await planOf(retention, repository)
          expect(await planOf(retention, repository)).toEqual({ items, total })
          // Tags first, each in the order of bytes.
          const places = items.map(({ kind, name }) => `${kind === 'tag' ? 0 : 1} ${name}`)
          expect(places).toEqual([...places].sort())
          expect([await tagsOf(repository), await manifestsOf(repository)]).toEqual([tags, manifests])

          const going = new Set(items.filter(({ action }) => action === 'delete').map(({ name }) => name))
          const end = await run(retention, repository)
          const [tagsLeft, manifestsLeft] = [await tagsOf(repository), await manifestsOf(repository)]
          expect(tagsLeft).toEqual(tags.filter((tag) => !going.has(tag)))
          expect(end).toMatchObject({ state: 'done', skipped: 0, tags: tags.length - tagsLeft.length })
          expect([end.manifests, end.bytes]).toEqual([total.manifests, total.bytes])
          expect(manifests.length - manifestsLeft.length).toBe(total.manifests)
          for (const { kind, name, action } of items) {
            if (action === 'keep') expect<readonly string[]>(kind === 'tag' ? tagsLeft : manifestsLeft).toContain(name)
          }
          for (const tag of tags) {
            if (frozen !== null && new Bun.Glob(frozen).match(tag)) expect(tagsLeft).toContain(tag)
          }
          const mayEmpty = rules.some(({ mayempty }) => mayempty)
          if (!mayEmpty && tags.length > 0) expect(tagsLeft).not.toEqual([])
          if (!mayEmpty) expect(manifestsLeft).not.toEqual([])
          // Everything that a tag stands for is whole: children are there as long as their index is.
          for (const item of (await planOf(retention, repository)).items) expect(item.action).toBe('keep')
          for (const [index, { children }] of images.entries()) {
            if (!manifestsLeft.includes(digest(`${repository} ${index}`))) continue
            for (const child of children) {
              if (child < index) expect(manifestsLeft).toContain(digest(`${repository} ${child}`))
            }
          }
        },
      ),
      { numRuns: 40, seed: 20_260_101 },
    )
  }, 240_000)

  test('tells of repositories in the order of their names, however they are asked for', async () => {
    const names = ['team/order-b', 'team/order-a', 'team/order-c']
    for (const repository of names) {
      // The newest comes first by its name, and none stays by itself.
      for (const [tag, age] of [
        ['x', 3],
        ['w', 2],
        ['y', 4],
      ] as const) {
        await putManifest(metadata, `${repository} ${tag}`, { repository, tags: [tag], now: NOW - age * DAY })
      }
    }
    const { rule } = readRetentionRule({ name: 'old', olderthan: '1d', action: 'delete' })
    const lines: string[] = []
    for await (const line of retentionOf([rule]).plan({ repositories: [...names, 'team/order-a'], rule: undefined })) {
      if (line.kind === 'item') lines.push(`${line.item.action} ${line.item.repository}:${line.item.name}`)
    }
    expect(lines).toEqual(
      [...names].sort().flatMap((name) => [`keep ${name}:w`, `delete ${name}:x`, `delete ${name}:y`]),
    )
  })

  test('leaves what was pushed since the plan was made', async () => {
    const repository = 'team/moving'
    for (const tag of ['a', 'b', 'c']) await putManifest(metadata, tag, { repository, tags: [tag], now: 1 })
    const { rule } = readRetentionRule({ name: 'old', olderthan: '1d', action: 'delete' })
    const retention = retentionOf([rule])
    const take = metadata.retention.take
    metadata.retention.take = async (...args) => {
      // Between the look and the deletion.
      await putManifest(metadata, 'a', { repository, tags: ['a'], now: NOW })
      return await take(...args)
    }
    const end = await run(retention, repository)
    metadata.retention.take = take
    expect(end).toMatchObject({ state: 'done', tags: 1, skipped: 1 })
    expect(await tagsOf(repository)).toEqual(['a', 'c'])
  })

  test('of two runs at a time is one, and a failure is remembered', async () => {
    const { rule } = readRetentionRule({ name: 'old', olderthan: '1d', action: 'delete' })
    const retention = retentionOf([rule])
    await putManifest(metadata, 'x', { repository: 'team/one', tags: ['a', 'b'], now: 1 })
    const wish = { repositories: ['team/one'], rule: undefined }
    const [first, second] = await Promise.all([retention.start(wish, 'asked', ''), retention.start(wish, 'asked', '')])
    expect([first, second].filter((each) => each === 'busy')).toHaveLength(1)
    for (const each of [first, second]) if (typeof each !== 'string') await each.ended
    const take = metadata.retention.tags
    metadata.retention.tags = () => Promise.reject(new Error('no disk'))
    const end = await run(retention, 'team/one')
    metadata.retention.tags = take
    expect(end.state).toBe('failed')
    expect((await retention.runs({ limit: 1 }))[0]).toMatchObject({ state: 'failed', error: 'no disk' })
  })

  describe('beside clients', () => {
    const repository = 'beside/clients'
    let rests: number[]
    let retention: ReturnType<typeof retentionOf>

    beforeAll(async () => {
      await putManifest(metadata, 'a manifest of many tags', {
        repository,
        tags: Array.from({ length: 251 }, (_, index) => `t${index}`),
      })
    })
    beforeEach(() => {
      rests = []
      let time = 0
      const traffic = createTraffic()
      traffic.pending = () => 1
      const clock: PaceClock = {
        // A look at a page takes a millisecond.
        elapsed: () => ++time,
        sleep: async (ms) => void rests.push(ms),
      }
      const { rule } = readRetentionRule({ name: 'none', tags: ['x*'], olderthan: '1d', action: 'delete' })
      retention = retentionOf([rule], [], { traffic, clock })
    })

    test.each([
      ['what happens by itself rests for nineteen times as long as it took', 'schedule', [19, 19]],
      ['what somebody waits for rests for three times as long', 'asked', [3, 3]],
    ] as [string, 'schedule' | 'asked', number[]][])('%s, after each page', async (_, cause, expected) => {
      const begun = await retention.start({ repositories: [repository], rule: undefined }, cause, '')
      if (typeof begun === 'string') throw new Error(begun)
      expect((await begun.ended).state).toBe('done')
      expect(rests).toEqual(expected)
    })

    test('a plan rests, too', async () => {
      expect((await planOf(retention, repository)).total).toMatchObject({ kept: 251 })
      // The first page is looked at twice: something on it stays.
      expect(rests).toEqual([3, 3, 3])
    })
  })
})
