/** For tests only: the part of every storage adapter's contract that `berth verify` needs. */
import { describe, expect, test } from 'bun:test'
import { type Digest, digestOf } from '../oci/digest.ts'
import { content, expectObject, keysOf } from './storage.fixture.ts'
import type { Storage } from './storage.ts'

const MIB = 1024 * 1024
const nothing = async () => {}

export function inspectionSuite(
  storageNow: () => Storage,
  store: (id: string, bytes: Uint8Array, avoid?: string[]) => Promise<string>,
): void {
  const namesOf = async () => (await Array.fromAsync(storageNow().quarantine.list())).map(({ name }) => name)

  describe('hash', () => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      for (const size of [0, 1, 4095, 4096, MIB, MIB + 1, 3 * MIB + 777]) {
        test(`of ${size} bytes is that of all of them (${algorithm})`, async () => {
          const bytes = content(size, size + 3)
          const key = await store('hashed', bytes)
          let told = 0
          const hashed = await storageNow().hash(key, algorithm, async (count) => {
            told += count
          })
          expect(hashed).toEqual({ kind: 'hashed', digest: digestOf(bytes, algorithm), size })
          expect(told).toBe(size)
        })
      }
    }

    test('of several at once does not mix them', async () => {
      const all = [1, 2, 3, 4].map((seed) => content(2 * MIB + seed, seed))
      const keys: string[] = []
      for (const [index, bytes] of all.entries()) keys.push(await store(`at-once-${index}`, bytes))
      const hashed = await Promise.all(keys.map((key) => storageNow().hash(key, 'sha256', nothing)))
      expect(hashed).toEqual(
        all.map((bytes) => ({ kind: 'hashed' as const, digest: digestOf(bytes), size: bytes.byteLength })),
      )
    })

    test('ends with the error of whoever limits it, and leaves the object as it is', async () => {
      const bytes = content(3 * MIB, 5)
      const key = await store('stopped', bytes)
      const enough = new Error('enough')
      const outcome = await storageNow()
        .hash(key, 'sha256', async () => {
          throw enough
        })
        .catch((error: unknown) => error)
      expect(outcome).toBe(enough)
      await expectObject(storageNow(), key, bytes)
    })

    test('of nothing is nothing', async () => {
      const key = await store('gone', content(10, 6))
      await storageNow().delete(key)
      expect(await storageNow().hash(key, 'sha256', nothing)).toBeUndefined()
    })
  })

  test('objects are examined in the order of the keys, those that are gone among them', async () => {
    const [first, second] = [await store('one', content(10, 7)), await store('two', content(70_000, 8))]
    const gone = await store('three', content(11, 9))
    await storageNow().delete(gone)
    const whole = { isLink: false, isReadable: true }
    expect(await storageNow().examine([second, gone, first])).toEqual([
      { size: 70_000, ...whole },
      undefined,
      { size: 10, ...whole },
    ])
  })

  test('a survey of what only this program wrote has the objects, and no strangers', async () => {
    const keys = [await store('a', content(10, 10)), await store('b', content(11, 10))].sort()
    await storageNow().begin('unfinished')
    const found = await Array.fromAsync(storageNow().survey())
    expect(found.map((each) => (each.kind === 'object' ? each.key : `stranger ${each.path}`)).sort()).toEqual(keys)
  })

  describe('the quarantine', () => {
    const bytes = content(100_000, 11)
    const digest = digestOf(bytes)
    const named = (of: Digest, rest: string) => `${of.replace(':', '-')}.${rest}`

    test('takes an object out of the way, tells whose it was, and gives it back', async () => {
      const key = await store('damaged', bytes)
      const { quarantine } = storageNow()
      const name = named(digest, '20260102T030405Z')
      expect(await quarantine.put(key, digest, '20260102T030405Z')).toBe(name)
      expect(await storageNow().open(key)).toBeUndefined()
      expect(await keysOf(storageNow())).toEqual([])
      expect(await Array.fromAsync(quarantine.list())).toEqual([
        { name, digest, stamp: '20260102T030405Z', size: 100_000 },
      ])
      expect(await quarantine.hash(name, 'sha256', nothing)).toEqual({ kind: 'hashed', digest, size: 100_000 })
      expect(quarantine.place(name)).toEndWith(name)
      expect(await quarantine.restore(name, key)).toBe(true)
      await expectObject(storageNow(), key, bytes)
      expect(await namesOf()).toEqual([])
    })

    test('keeps several of one digest apart', async () => {
      const { quarantine } = storageNow()
      for (let round = 0; round < 3; round++) {
        await quarantine.put(await store(`again-${round}`, bytes), digest, 'now')
      }
      expect((await namesOf()).sort()).toEqual(['now', 'now-2', 'now-3'].map((rest) => named(digest, rest)))
    })

    test('tells of an object, an entry and a name that are not there', async () => {
      const key = await store('gone', bytes)
      await storageNow().delete(key)
      const { quarantine } = storageNow()
      expect(await quarantine.put(key, digest, 'now')).toBeUndefined()
      expect(await namesOf()).toEqual([])
      const name = named(digest, 'now')
      expect(await quarantine.hash(name, 'sha256', nothing)).toBeUndefined()
      expect(await quarantine.restore(name, key)).toBe(false)
      expect(await quarantine.remove(name)).toBe(false)
    })

    test('forgets what it is told to', async () => {
      const { quarantine } = storageNow()
      const name = (await quarantine.put(await store('old', bytes), digest, 'now')) ?? ''
      expect(await quarantine.remove(name)).toBe(true)
      expect(await namesOf()).toEqual([])
    })
  })
}
