import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pushBlob, REPOSITORY } from '../metadata/examples.suite.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { openMemory } from '../storage/memory.ts'
import { createCollector } from './collect.ts'
import { createSnapshots, LEASE } from './snapshots.ts'

function open() {
  const clock = { now: 1000 }
  const files = new Set<string>()
  const errors: unknown[] = []
  const writing: PromiseWithResolvers<void>[] = []
  let ids = 0
  const snapshots = createSnapshots({
    pathOf: (id) => `/s/${id}`,
    write: async (path) => {
      const turn = Promise.withResolvers<void>()
      writing.push(turn)
      await turn.promise
      files.add(path)
    },
    remove: async (path) => void files.delete(path),
    onError: (error) => errors.push(error),
    now: () => clock.now,
    newId: () => `id${++ids}`,
  })
  return { snapshots, clock, files, errors, writing }
}

/** Whatever is settled has had its consequences. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

describe('a snapshot for a backup', () => {
  test('holds from before it is written until its end, when its file goes', async () => {
    const { snapshots, files, writing } = open()
    expect(snapshots.isHolding()).toBe(false)
    const begun = snapshots.begin()
    expect(begun).toEqual({ id: 'id1', state: 'writing', path: '/s/id1', at: 1000, problem: undefined })
    expect(snapshots.isHolding()).toBe(true)
    writing[0]?.resolve()
    await settled()
    expect([snapshots.find('id1')?.state, snapshots.isHolding(), [...files]]).toEqual(['ready', true, ['/s/id1']])
    expect(await snapshots.end('id1')).toBe(true)
    expect([snapshots.isHolding(), [...files], snapshots.find('id1')]).toEqual([false, [], undefined])
    expect(await snapshots.end('id1')).toBe(false)
  })

  test('ends when nobody asks for it any more, and lasts as long as somebody does', async () => {
    const { snapshots, clock, files, writing } = open()
    snapshots.begin()
    clock.now += LEASE + 1
    // Written for as long as it takes.
    expect(snapshots.isHolding()).toBe(true)
    writing[0]?.resolve()
    await settled()
    expect(snapshots.find('id1')).toBeUndefined()
    snapshots.begin()
    writing[1]?.resolve()
    await settled()
    for (let look = 0; look < 3; look++) {
      clock.now += LEASE
      expect(snapshots.find('id2')?.state).toBe('ready')
    }
    clock.now += LEASE + 1
    expect(snapshots.isHolding()).toBe(false)
    await settled()
    expect([...files]).toEqual([])
  })

  test('that cannot be written says why, and holds nothing', async () => {
    const { snapshots, errors, writing } = open()
    snapshots.begin()
    writing[0]?.reject(new Error('the disk is full'))
    await settled()
    expect([snapshots.find('id1')?.state, snapshots.find('id1')?.problem]).toEqual(['failed', 'the disk is full'])
    expect([snapshots.isHolding(), errors.length]).toEqual([false, 1])
  })

  test('is refused beside four others, and all end together', async () => {
    const { snapshots, files, writing } = open()
    const begun = Array.from({ length: 5 }, () => snapshots.begin()?.id)
    expect(begun).toEqual(['id1', 'id2', 'id3', 'id4', undefined])
    const stopped = snapshots.stop()
    for (const { resolve } of writing) resolve()
    await stopped
    expect([snapshots.isHolding(), [...files]]).toEqual([false, []])
  })

  test('keeps the collector from unlinking; it marks meanwhile, and unlinks afterwards', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'berth-hold-'))
    const metadata = await openQuickly({ path: join(folder, 'berth.db'), now: () => 1 })
    try {
      const deleted: string[] = []
      const storage = { ...openMemory(), delete: async (key: string) => deleted.push(key) > 0 }
      const held = { is: true }
      const collector = createCollector({
        metadata,
        storage,
        blobs: { collecting: (_, work) => work(), forget: () => {}, wasAskedFor: () => false },
        manifests: { collecting: (_repository, _digest, work) => work() },
        terms: () => ({ delay: 0, untagged: 'keep', window: 0, workers: 2 }),
        now: () => 10,
        isHeld: () => held.is,
      })
      const digest = await pushBlob(metadata, 'blob')
      const key = (await metadata.blobs.locate(digest))?.key
      await collector.cycle({ immediately: false, untagged: false })
      expect(await metadata.blobs.locate(digest)).toMatchObject({ state: 'deleting' })
      expect(await metadata.blobs.find(REPOSITORY, digest)).toBeUndefined()
      expect(await collector.relieve(async () => true)).toBe(0)
      expect(deleted).toEqual([])
      held.is = false
      await collector.cycle({ immediately: false, untagged: false })
      expect(deleted).toEqual([String(key)])
      expect(await metadata.blobs.locate(digest)).toBeUndefined()
    } finally {
      await metadata.close()
      rmSync(folder, { recursive: true })
    }
  })
})
