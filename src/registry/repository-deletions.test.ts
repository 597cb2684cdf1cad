import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digest, putManifest, upload } from '../metadata/examples.suite.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { NO_EVENTS } from './events.ts'
import { NOTHING_IMMUTABLE } from './immutable.ts'
import { createRepositories, type ResumedDeletion } from './repositories.ts'
import { createTrash } from './trash.ts'

const APP = 'team/app'
const IMAGES = Array.from({ length: 50 }, (_, index) => `image-${index}`)

describe('the deletion of a repository', () => {
  let directory: string
  let metadata: Metadata
  let time: number

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-repositories-'))
    metadata = await openQuickly({ path: join(directory, 'berth.db'), now: () => 1 })
    time = 1000
    for (const text of IMAGES) await putManifest(metadata, text, { repository: APP, tags: [text] })
  })
  afterEach(async () => {
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  /** One process; `before` runs before each portion of a deletion. */
  function open(before: () => Promise<void> = async () => {}) {
    const forgotten: string[] = []
    const ended: [string, number][] = []
    const now = () => time
    const manifests = {
      forget: (_: string, names: readonly string[]) => forgotten.push(...names),
      forgetRepository() {},
    }
    const deletions: Metadata['deletions'] = {
      ...metadata.deletions,
      async advance(batch, step) {
        await before()
        return await metadata.deletions.advance(batch, step)
      },
    }
    let ids = 0
    // Each portion takes as long as one should: 20 manifests.
    let ticks = 0
    const clock = () => (ticks += 40)
    const repositories = createRepositories({
      ...{ metadata: { ...metadata, deletions }, manifests, now, clock, newId: () => `batch-${++ids}` },
      ...{ immutable: NOTHING_IMMUTABLE, events: NO_EVENTS, pulls: { flush: async () => {}, moved() {} } },
      blobs: { forgetRepository() {} },
      uploads: {
        async endAll(name, startedBy) {
          ended.push([name, startedBy])
          return (await metadata.uploads.of(name, startedBy, 10)).length
        },
      },
      onFreed() {},
      onRenamed() {},
    })
    const trash = createTrash({ metadata, manifests, now })
    return { repositories, trash, forgotten, ended }
  }

  const by = { actor: 'ann', force: false }
  const tags = () => metadata.tags.list(APP, { limit: 100 })

  /** A process that ends in the middle of the deletion. */
  async function leave(): Promise<void> {
    let portions = 0
    const { repositories } = open(async () => {
      if (++portions === 3) throw new Error('killed')
    })
    await repositories.delete(APP, by).catch(() => {})
    expect((await tags())?.length).toBe(30)
  }

  const resumed = async (repositories: ReturnType<typeof open>['repositories'], idleMs = 0) =>
    await Array.fromAsync<ResumedDeletion>(repositories.resume({ idleMs }))

  test('that was left in its middle goes on in the next process, as what it was', async () => {
    await metadata.uploads.start(upload({ repository: APP, startedAt: 900 }))
    await leave()
    time = 2000
    const { repositories, forgotten, ended } = open()
    expect(await resumed(repositories)).toEqual([{ batch: 'batch-1', repository: APP, state: 'done', manifests: 50 }])
    expect(forgotten.sort()).toHaveLength(60)
    // Uploads that began before the deletion, not before its second half.
    expect(ended).toEqual([[APP, 1000]])
    expect(await tags()).toBeUndefined()
    const buried = await metadata.trash.list({}, { limit: 100 })
    expect(new Set(buried.map(({ batch, actor }) => `${batch} by ${actor}`))).toEqual(new Set(['batch-1 by ann']))
    expect(buried).toHaveLength(50)
    expect(await resumed(repositories)).toEqual([])
  })

  test('is left alone by whoever looks for such ones while somebody is at it', async () => {
    const found: ResumedDeletion[] = []
    const seen: ResumedDeletion[][] = []
    const { repositories } = open(async () => void seen.push(await resumed(repositories)))
    expect(await repositories.delete(APP, by)).toEqual({ batch: 'batch-1', manifests: 50, tags: 50, uploads: 0 })
    expect(seen.flat()).toEqual(found)
    await putManifest(metadata, 'more', { repository: APP, tags: ['more'] })
    // Another process is.
    await metadata.deletions.begin(APP, { batch: 'theirs', actor: 'eve', now: time })
    time += 59_999
    expect(await resumed(repositories, 60_000)).toEqual([])
    time += 1
    expect(await resumed(repositories, 60_000)).toMatchObject([{ batch: 'theirs', state: 'done' }])
  })

  test('that nobody is at does not wait for a clock that was set back', async () => {
    await leave()
    time -= 3_600_000
    expect(await resumed(open().repositories, 60_000)).toMatchObject([{ state: 'done' }])
  })

  test('that cannot go on holds up no other one', async () => {
    await leave()
    await putManifest(metadata, 'image', { repository: 'team/other' })
    await metadata.deletions.begin('team/other', { batch: 'other', actor: 'eve', now: time })
    let fails = true
    const { repositories } = open(async () => {
      if (!fails) return
      fails = false
      throw new Error('no disk')
    })
    const batches = (await resumed(repositories)).map(({ batch, state, error }) => [batch, state, error !== undefined])
    expect(batches).toEqual([
      ['batch-1', 'running', true],
      ['other', 'done', false],
    ])
    expect(await resumed(repositories)).toMatchObject([{ batch: 'batch-1', state: 'done' }])
  })

  test('stops between two portions with its program', async () => {
    await leave()
    const { repositories } = open()
    let asked = 0
    const stopping = repositories.resume({ idleMs: 0, isStopping: () => ++asked > 1 })
    expect(await Array.fromAsync(stopping)).toMatchObject([{ state: 'running' }])
    expect((await tags())?.length).toBe(10)
    expect(await resumed(repositories)).toMatchObject([{ state: 'done' }])
  })

  test('is one with the next one that is asked for', async () => {
    await leave()
    await putManifest(metadata, 'late', { repository: APP, tags: ['late'] })
    const { repositories } = open()
    expect(await repositories.delete(APP, by)).toEqual({ batch: 'batch-1', manifests: 51, tags: 51, uploads: 0 })
    expect(await tags()).toBeUndefined()
  })

  test('is called off by a restoration of its batch, by its own process or another one', async () => {
    let portions = 0
    const { repositories, trash } = open(async () => {
      if (++portions !== 3) return
      expect(await trash.restoreBatch('team/other', 'batch-1', 'eve')).toBeUndefined()
      expect((await trash.restoreBatch(APP, 'batch-1', 'eve'))?.tags).toHaveLength(20)
    })
    expect(await repositories.delete(APP, by)).toBe('undone')
    expect((await tags())?.length).toBe(50)
    expect(await resumed(repositories)).toEqual([])
  })

  test('can be called off before it has taken anything', async () => {
    await metadata.deletions.begin(APP, { batch: 'theirs', actor: 'eve', now: time })
    const { trash, repositories } = open()
    expect(await trash.restoreBatch(APP, 'theirs', 'eve')).toEqual({ digests: [], tags: [], taken: [] })
    expect(await trash.restoreBatch(APP, 'theirs', 'eve')).toBeUndefined()
    expect(await resumed(repositories)).toEqual([])
    expect(await metadata.manifests.find(APP, digest('image-0'))).toBeDefined()
  })
})
