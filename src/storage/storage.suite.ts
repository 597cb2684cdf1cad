/** For tests only: what every storage adapter must do, as `storage.ts` says it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Algorithm, type Digest, digestOf } from '../oci/digest.ts'
import { inspectionSuite } from './inspection.suite.ts'
import { body, content, expectFault, expectObject, keysOf, split } from './storage.fixture.ts'
import type { Appended, Storage, StoredUpload } from './storage.ts'

export interface StorageUnderTest {
  storage: Storage
  /** Closes the instance and opens a new one over the same bytes, as a new process would. */
  reopen(): Promise<Storage>
  /** Bytes that the upload has while it is appended to, and how far the reading of a body may run ahead of them. */
  stored(id: string): number
  readAhead: number
  /** Takes everything away. */
  dispose(): Promise<void>
}

const KIB = 1024
const MIB = 1024 * KIB
const SIZES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 20 * MIB]
const TIMEOUT = 120_000

export function storageSuite(name: string, open: () => Promise<StorageUnderTest>): void {
  describe(`${name} keeps the contract of storage`, () => {
    let under: StorageUnderTest
    let storage: Storage
    beforeEach(async () => {
      under = await open()
      storage = under.storage
    })
    afterEach(() => under.dispose())

    const append = (upload: StoredUpload, ...chunks: Uint8Array[]): Promise<Appended> =>
      storage.append(upload, body(chunks), 'sha256')

    /** An upload from its first byte to its object. */
    const store = async (id: string, bytes: Uint8Array, avoid: string[] = []): Promise<string> => {
      const { upload, digest } = await append(await storage.begin(id), bytes.slice())
      expect(digest).toBe(digestOf(bytes))
      return storage.seal(upload, digestOf(bytes), avoid)
    }

    describe('an upload', () => {
      for (const algorithm of ['sha256', 'sha512'] as const) {
        for (const size of SIZES) {
          test(`of ${size} bytes is read back as it came (${algorithm})`, async () => {
            const bytes = content(size, size + 1)
            const expected = digestOf(bytes, algorithm)
            const begun = await storage.begin('one')
            const appended = await storage.append(begun, body(split(bytes, 64 * KIB)), algorithm)
            expect(appended).toEqual({
              upload: { id: 'one', size, state: expect.any(String) },
              digest: expected,
              interrupted: undefined,
            })
            expect(await storage.sizeOf(appended.upload)).toBe(size)
            expect(await storage.digest(appended.upload, algorithm)).toBe(expected)
            await expectObject(storage, await storage.seal(appended.upload, expected, []), bytes)
          })
        }
      }

      test('that was only begun has no bytes and can be sealed', async () => {
        const upload = await storage.begin('empty')
        expect(upload).toEqual({ id: 'empty', size: 0, state: expect.any(String) })
        expect(await storage.sizeOf(upload)).toBe(0)
        expect(await storage.digest(upload, 'sha256')).toBe(digestOf(new Uint8Array(0)))
        await expectObject(storage, await storage.seal(upload, digestOf(new Uint8Array(0)), []), new Uint8Array(0))
      })

      test(
        'comes out the same in whatever chunks and appends it came, in however many instances',
        async () => {
          let count = 0
          const lengths = fc.array(fc.oneof(fc.nat(40), fc.nat(20_000), fc.nat(400_000)), { maxLength: 8 })
          const appends = fc.array(fc.record({ lengths, view: fc.boolean(), reopen: fc.boolean() }), { maxLength: 5 })
          const run = async (plan: { lengths: number[]; view: boolean; reopen: boolean }[], algorithm: Algorithm) => {
            const total = plan.flatMap((step) => step.lengths).reduce((sum, length) => sum + length, 0)
            // One byte more than is sent: no view of it owns the buffer, so it must be whole afterwards.
            const bytes = content(total + 1, ++count).subarray(0, total)
            const untouched = bytes.slice()
            let upload = await storage.begin(`random-${count}`)
            let covered = true
            for (const step of plan) {
              if (step.reopen) {
                storage = await under.reopen()
                covered = covered && upload.size === 0
              }
              const chunks: Uint8Array[] = []
              let { size } = upload
              covered = covered || size === 0
              for (const length of step.lengths) {
                chunks.push(step.view ? bytes.subarray(size, size + length) : bytes.slice(size, size + length))
                size += length
              }
              const appended = await storage.append(upload, body(chunks), algorithm)
              expect(appended.upload.size).toBe(size)
              expect(appended.digest).toBe(covered ? digestOf(bytes.subarray(0, size), algorithm) : undefined)
              upload = appended.upload
            }
            const digest = digestOf(untouched, algorithm)
            expect(await storage.digest(upload, algorithm)).toBe(digest)
            await expectObject(storage, await storage.seal(upload, digest, []), untouched)
            expect(bytes).toEqual(untouched)
          }
          const algorithms = fc.constantFrom<Algorithm>('sha256', 'sha512')
          await fc.assert(fc.asyncProperty(appends, algorithms, run), { numRuns: 40, seed: 20_260_101 })
        },
        TIMEOUT,
      )

      test('gathers bytes over appends that each end short of a part, and one that goes past it', async () => {
        const bytes = content(14 * MIB, 5)
        let upload = await storage.begin('parts')
        for (const [start, end] of [
          [0, 3],
          [3, 4],
          [4, 4],
          [4, 11],
          [11, 14],
        ] as const) {
          const appended = await append(upload, ...split(bytes.slice(start * MIB, end * MIB), 100_000))
          expect(appended.digest).toBe(digestOf(bytes.subarray(0, end * MIB)))
          upload = appended.upload
        }
        await expectObject(storage, await storage.seal(upload, digestOf(bytes), []), bytes)
      })

      test('leaves a buffer alone of which its chunks are parts', async () => {
        const bytes = content(3 * MIB, 6)
        const before = bytes.slice()
        const views = [bytes.subarray(0, MIB), bytes.subarray(MIB, MIB + 1), bytes.subarray(MIB + 1)]
        const { digest } = await append(await storage.begin('views'), ...views)
        expect(digest).toBe(digestOf(before))
        expect(bytes).toEqual(before)
      })

      test('goes on after a digest was asked', async () => {
        const bytes = content(12 * MIB, 7)
        const first = await append(await storage.begin('asked'), bytes.slice(0, 6 * MIB))
        expect(await storage.digest(first.upload, 'sha512')).toBe(digestOf(bytes.subarray(0, 6 * MIB), 'sha512'))
        const second = await append(first.upload, bytes.slice(6 * MIB))
        expect(second.digest).toBe(digestOf(bytes))
        expect(await storage.digest(second.upload, 'sha256')).toBe(digestOf(bytes))
        await expectObject(storage, await storage.seal(second.upload, digestOf(bytes), []), bytes)
      })

      test('whose algorithm changes has no running digest, and still the right one when asked', async () => {
        const bytes = content(300_000, 8)
        const first = await storage.append(await storage.begin('change'), body([bytes.slice(0, 100_000)]), 'sha256')
        const second = await storage.append(first.upload, body([bytes.slice(100_000)]), 'sha512')
        expect(second.digest).toBeUndefined()
        expect(await storage.digest(second.upload, 'sha512')).toBe(digestOf(bytes, 'sha512'))
      })

      test('is repeated from an older row, when the end of an append was never recorded', async () => {
        const bytes = content(8 * MIB, 9)
        const lost = content(7 * MIB, 10)
        const first = await append(await storage.begin('again'), bytes.slice(0, MIB))
        await append(first.upload, lost)
        const second = await append(first.upload, bytes.slice(MIB))
        expect(second.upload.size).toBe(bytes.byteLength)
        expect([digestOf(bytes), undefined]).toContain(second.digest)
        expect(await storage.digest(second.upload, 'sha256')).toBe(digestOf(bytes))
        await expectObject(storage, await storage.seal(second.upload, digestOf(bytes), []), bytes)
      })

      test('is sealed at its recorded size, when more came whose row was never written', async () => {
        const bytes = content(MIB, 11)
        const first = await append(await storage.begin('short'), bytes.slice())
        await append(first.upload, content(100, 12))
        await expectObject(storage, await storage.seal(first.upload, digestOf(bytes), []), bytes)
      })

      test('that has fewer bytes than recorded is neither added to nor sealed', async () => {
        const { upload } = await append(await storage.begin('fewer'), content(100, 13))
        const recorded = { ...upload, size: 101 }
        await expectFault(storage.append(recorded, body([content(1, 1)]), 'sha256'), 'failed')
        await expectFault(storage.seal(recorded, digestOf(content(101, 13)), []), 'failed')
        expect(await storage.sizeOf(recorded)).toBe(100)
      })
    })

    describe('a body that ends early', () => {
      for (const arrived of [0, 1, 5_000, 64 * KIB, MIB, 6 * MIB]) {
        test(`after ${arrived} bytes loses none of them, and the upload goes on`, async () => {
          const bytes = content(arrived + 200_000, 14)
          const reason = new Error('the client has gone')
          const chunks = split(bytes.slice(0, arrived), 30_000)
          const broken = await storage.append(await storage.begin('broken'), body(chunks, reason), 'sha256')
          expect(broken).toEqual({
            upload: { id: 'broken', size: arrived, state: expect.any(String) },
            digest: digestOf(bytes.subarray(0, arrived)),
            interrupted: reason,
          })
          expect(await storage.sizeOf(broken.upload)).toBe(arrived)
          const { upload, digest } = await append(broken.upload, bytes.slice(arrived))
          expect(digest).toBe(digestOf(bytes))
          await expectObject(storage, await storage.seal(upload, digestOf(bytes), []), bytes)
        })
      }

      test('is told from one that ends well, even if it gives no reason', async () => {
        const { interrupted } = await storage.append(await storage.begin('mute'), body([], undefined, true), 'sha256')
        expect(interrupted).toBeDefined()
      })

      test('goes on in a new instance, which does not know the digest until it reads the bytes', async () => {
        const bytes = content(7 * MIB, 15)
        const start = body(split(bytes.slice(0, 6 * MIB), 500_000), new Error('the machine stops'))
        const broken = await storage.append(await storage.begin('resumed'), start, 'sha256')
        storage = await under.reopen()
        expect(await storage.sizeOf(broken.upload)).toBe(6 * MIB)
        const rest = await append(broken.upload, bytes.slice(6 * MIB))
        expect(rest.digest).toBeUndefined()
        expect(await storage.digest(rest.upload, 'sha256')).toBe(digestOf(bytes))
        await expectObject(storage, await storage.seal(rest.upload, digestOf(bytes), []), bytes)
      })
    })

    describe('seal', () => {
      test('ends the upload', async () => {
        const { upload } = await append(await storage.begin('ended'), content(10, 16))
        await storage.seal(upload, digestOf(content(10, 16)), [])
        expect(await storage.sizeOf(upload)).toBeUndefined()
        await expectFault(storage.append(upload, body([content(1, 1)]), 'sha256'), 'failed')
        await expectFault(storage.seal(upload, digestOf(content(10, 16)), []), 'failed')
      })

      test('leaves an object that a new instance opens', async () => {
        const bytes = content(100_000, 17)
        const key = await store('kept', bytes)
        storage = await under.reopen()
        await expectObject(storage, key, bytes)
      })

      test('of equal bytes twice leaves both keys readable', async () => {
        const bytes = content(100_000, 18)
        const keys = [await store('first', bytes), await store('second', bytes)]
        for (const key of keys) await expectObject(storage, key, bytes)
      })

      test('of equal bytes many times at once leaves every key readable', async () => {
        const bytes = content(100_000, 19)
        const ids = Array.from({ length: 20 }, (_, index) => `equal-${index}`)
        const keys = await Promise.all(ids.map((id) => store(id, bytes)))
        for (const key of new Set(keys)) await expectObject(storage, key, bytes)
      })

      test('takes no key that is to be avoided, and leaves the objects there as they are', async () => {
        const bytes = content(1_000, 20)
        const keys: string[] = []
        for (const id of ['a', 'b', 'c']) keys.push(await store(id, bytes, keys.slice()))
        expect(new Set(keys).size).toBe(3)
        const [first = '', ...others] = keys
        expect(await storage.delete(first)).toBe(true)
        expect(await storage.open(first)).toBeUndefined()
        for (const key of others) await expectObject(storage, key, bytes)
      })
    })

    describe('abort', () => {
      test('leaves nothing of an upload, and is no error when repeated', async () => {
        const { upload } = await append(await storage.begin('aborted'), content(6 * MIB, 21))
        await storage.abort(upload)
        expect(await storage.sizeOf(upload)).toBeUndefined()
        expect(await keysOf(storage)).toEqual([])
        await expectFault(storage.append(upload, body([content(1, 1)]), 'sha256'), 'failed')
        await storage.abort(upload)
      })

      test('leaves nothing of an upload whose digest was asked', async () => {
        const { upload } = await append(await storage.begin('asked'), content(6 * MIB, 22))
        await storage.digest(upload, 'sha256')
        await storage.abort(upload)
        expect(await storage.sizeOf(upload)).toBeUndefined()
        expect(await keysOf(storage)).toEqual([])
      })

      test('of an upload that is sealed leaves the object', async () => {
        const bytes = content(1_000, 23)
        const { upload } = await append(await storage.begin('sealed'), bytes.slice())
        await storage.digest(upload, 'sha256')
        const key = await storage.seal(upload, digestOf(bytes), [])
        await storage.abort(upload)
        await expectObject(storage, key, bytes)
      })
    })

    describe('objects', () => {
      test('are listed with key, size and time, and uploads are not', async () => {
        const expected = new Map<string, number>()
        for (const size of [0, 1, 70_000]) expected.set(await store(`listed-${size}`, content(size, size)), size)
        await append(await storage.begin('unfinished'), content(10, 1))
        const found = new Map<string, number>()
        for await (const { key, digest, size, modified } of storage.list()) {
          expect(modified).toBeInstanceOf(Date)
          if (digest !== undefined) expect(digest).toBe(digestOf(content(size, size)))
          expect(found.has(key)).toBe(false)
          found.set(key, size)
        }
        expect(found).toEqual(expected)
      })

      test('are deleted once', async () => {
        const key = await store('gone', content(10, 24))
        const other = await store('stays', content(11, 24))
        expect(await storage.delete(key)).toBe(true)
        expect(await storage.open(key)).toBeUndefined()
        expect(await storage.delete(key)).toBe(false)
        expect(await keysOf(storage)).toEqual([other])
      })

      test('come back when the same bytes are pushed again', async () => {
        const bytes = content(10, 25)
        await storage.delete(await store('before', bytes))
        await expectObject(storage, await store('after', bytes), bytes)
      })

      test('are none in the beginning', async () => {
        expect(await keysOf(storage)).toEqual([])
      })
    })

    test('a storage that is well is found so', async () => {
      expect(await storage.check()).toBeUndefined()
    })

    inspectionSuite(() => storage, store)

    describe('many uploads', () => {
      test(
        'at once, in turns, do not mix',
        async () => {
          const run = async (index: number) => {
            const bytes = content(200_000 + index * 777, 100 + index)
            let upload = await storage.begin(`many-${index}`)
            let last: Digest | undefined
            for (let start = 0; start < bytes.byteLength; start += 90_000) {
              const appended = await append(upload, ...split(bytes.slice(start, start + 90_000), 7_000 + index))
              upload = appended.upload
              last = appended.digest
            }
            expect(last).toBe(digestOf(bytes))
            await expectObject(storage, await storage.seal(upload, digestOf(bytes), []), bytes)
          }
          await Promise.all(Array.from({ length: 40 }, (_, index) => run(index)))
        },
        TIMEOUT,
      )

      test('read their bodies no faster than they store them', async () => {
        const total = 64 * MIB
        let pulled = 0
        let ahead = 0
        const measured = async function* () {
          while (pulled < total) {
            ahead = Math.max(ahead, pulled - under.stored('steady'))
            pulled += 64 * KIB
            yield new Uint8Array(64 * KIB)
          }
        }
        const { upload } = await storage.append(await storage.begin('steady'), measured(), 'sha256')
        expect(upload.size).toBe(total)
        expect(ahead).toBeLessThanOrEqual(under.readAhead)
      })
    })
  })
}
