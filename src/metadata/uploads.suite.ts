import { beforeEach, describe, expect, test } from 'bun:test'
import { digest, type Opened, REPOSITORY, refusal, upload } from './examples.suite.ts'
import type { Metadata } from './metadata.ts'

export function uploadsSuite(opened: () => Opened): void {
  describe('uploads', () => {
    let metadata: Metadata
    const progress = { size: 5, state: '{"parts":1}', digest: digest('so far'), bootId: 'boot-2', updatedAt: 2000 }

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('one that was started is found in its repository alone', async () => {
      await metadata.uploads.start(upload({ digest: digest('so far') }))
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload({ digest: digest('so far') }))
      expect(await metadata.uploads.find('team/other', 'upload-1')).toBeUndefined()
      expect(await metadata.uploads.find(REPOSITORY, 'upload-2')).toBeUndefined()
    })

    test('starting one does not make its repository exist', async () => {
      await metadata.uploads.start(upload())
      expect(await metadata.repositories.exists(REPOSITORY)).toBe(false)
    })

    test('an id is taken once', async () => {
      await metadata.uploads.start(upload())
      expect(await refusal(metadata.uploads.start(upload({ size: 7 })))).toMatchObject({
        name: 'MetadataError',
        fault: 'failed',
      })
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload())
    })

    test('progress is recorded from the size that the row has', async () => {
      await metadata.uploads.start(upload())
      expect(await metadata.uploads.advance('upload-1', 0, progress)).toBe(true)
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload(progress))
    })

    test('a digest that is not known any more is forgotten', async () => {
      await metadata.uploads.start(upload({ digest: digest('so far') }))
      await metadata.uploads.advance('upload-1', 0, { ...progress, digest: undefined })
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload({ ...progress, digest: undefined }))
    })

    test('progress from another size, or of no upload, changes nothing', async () => {
      await metadata.uploads.start(upload())
      expect(await metadata.uploads.advance('upload-1', 3, progress)).toBe(false)
      expect(await metadata.uploads.advance('upload-2', 0, progress)).toBe(false)
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload())
    })

    test('of requests that advance from one size side by side, one does', async () => {
      await metadata.uploads.start(upload())
      const done = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          metadata.uploads.advance('upload-1', 0, { ...progress, size: index + 1 }),
        ),
      )
      expect(done.filter((advanced) => advanced)).toHaveLength(1)
      expect((await metadata.uploads.find(REPOSITORY, 'upload-1'))?.size).toBe(done.indexOf(true) + 1)
    })

    test('sizes beyond 32 bits are kept', async () => {
      const size = 12 * 1024 ** 4
      await metadata.uploads.start(upload({ size }))
      expect(await metadata.uploads.advance('upload-1', size, { ...progress, size: size + 1 })).toBe(true)
      expect((await metadata.uploads.find(REPOSITORY, 'upload-1'))?.size).toBe(size + 1)
    })

    test('one is removed once', async () => {
      await metadata.uploads.start(upload())
      expect(await metadata.uploads.remove('upload-1')).toBe(true)
      expect(await metadata.uploads.remove('upload-1')).toBe(false)
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toBeUndefined()
    })

    test('those that have bytes are told in the order of their ids, a page at a time', async () => {
      for (const [id, size] of [
        ['c', 30],
        ['a', 20],
        ['none', 0],
        ['b', 10],
      ] as const) {
        await metadata.uploads.start(upload({ id, size, updatedAt: 7 }))
      }
      const told = (id: string, size: number) => ({ id, repository: REPOSITORY, size, updatedAt: 7 })
      expect(await metadata.uploads.underWay(undefined, 2)).toEqual([told('a', 20), told('b', 10)])
      expect(await metadata.uploads.underWay('b', 2)).toEqual([told('c', 30)])
    })

    test('they are counted up to a limit', async () => {
      expect(await metadata.uploads.count(2)).toBe(0)
      for (const id of ['a', 'b', 'c']) await metadata.uploads.start(upload({ id }))
      expect([
        await metadata.uploads.count(2),
        await metadata.uploads.count(3),
        await metadata.uploads.count(9),
      ]).toEqual([2, 3, 3])
    })

    test('stale ones come oldest first, a page at most, and none that was touched at the time itself', async () => {
      for (const [id, updatedAt] of [
        ['c', 30],
        ['a', 20],
        ['b', 10],
        ['d', 40],
      ] as const) {
        await metadata.uploads.start(upload({ id, updatedAt }))
      }
      const ids = async (before: number, limit: number) =>
        (await metadata.uploads.stale(before, limit)).map(({ id }) => id)
      expect(await ids(40, 10)).toEqual(['b', 'a', 'c'])
      expect(await ids(40, 2)).toEqual(['b', 'a'])
      expect(await ids(10, 10)).toEqual([])
      expect((await metadata.uploads.stale(11, 1))[0]).toEqual(upload({ id: 'b', updatedAt: 10 }))
    })
  })
}
