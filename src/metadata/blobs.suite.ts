import { beforeEach, describe, expect, test } from 'bun:test'
import {
  blobReference,
  digest,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
  refusal,
  upload,
} from './examples.suite.ts'
import type { BlobCommit, Metadata } from './metadata.ts'

export function blobsSuite(opened: () => Opened): void {
  describe('blobs', () => {
    const sum = digest('a layer')
    const commit = (more: Partial<BlobCommit> = {}): BlobCommit => ({
      repository: REPOSITORY,
      digest: sum,
      size: 10,
      key: 'first-key',
      upload: 'upload-1',
      now: 1,
      ...more,
    })
    const live = (key: string) => ({ digest: sum, size: 10, key, state: 'live' as const })
    const markDeleting = () => opened().execute(`UPDATE blobs SET state = 'deleting' WHERE digest = '${sum}'`)
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('a commit makes the row, links it in its repository alone and ends the upload', async () => {
      await metadata.uploads.start(upload())
      expect(await metadata.blobs.commit(commit())).toBe('first-key')
      expect(await metadata.blobs.find(REPOSITORY, sum)).toEqual(live('first-key'))
      expect(await metadata.blobs.locate(sum)).toEqual(live('first-key'))
      expect(await metadata.blobs.find('team/other', sum)).toBeUndefined()
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toBeUndefined()
    })

    test('an unknown blob is found nowhere', async () => {
      expect(await metadata.blobs.find(REPOSITORY, sum)).toBeUndefined()
      expect(await metadata.blobs.locate(sum)).toBeUndefined()
    })

    describe('a commit onto a live row', () => {
      beforeEach(async () => {
        await metadata.blobs.commit(commit({ repository: 'team/earlier', upload: 'earlier' }))
      })

      const rows: [string, Partial<BlobCommit>, string][] = [
        ['keeps the key of the row', { key: 'second-key' }, 'first-key'],
        ['keeps the key that it has itself', { key: 'first-key' }, 'first-key'],
        ['without bytes of its own takes the key of the row', { key: undefined }, 'first-key'],
        [
          'takes its own key when that of the row is replaced',
          { key: 'second-key', replaces: 'first-key' },
          'second-key',
        ],
        ['keeps the key when another one was replaced', { key: 'second-key', replaces: 'old-key' }, 'first-key'],
        ['keeps the key when it would replace it with nothing', { key: undefined, replaces: 'first-key' }, 'first-key'],
      ]
      test.each(rows)('%s', async (_, more, key) => {
        await metadata.uploads.start(upload())
        expect(await metadata.blobs.commit(commit(more))).toBe(key)
        expect(await metadata.blobs.find(REPOSITORY, sum)).toEqual(live(key))
        expect(await metadata.blobs.find('team/earlier', sum)).toEqual(live(key))
        expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toBeUndefined()
      })

      test('records the size of the bytes that replace damaged ones', async () => {
        await metadata.blobs.commit(commit({ key: 'second-key', replaces: 'first-key', size: 12 }))
        expect(await metadata.blobs.locate(sum)).toEqual({ ...live('second-key'), size: 12 })
      })
    })

    describe('a row that is being deleted', () => {
      beforeEach(async () => {
        await metadata.blobs.commit(commit({ repository: 'team/earlier', upload: 'earlier' }))
        await metadata.uploads.start(upload())
        await markDeleting()
      })

      test('is invisible in its repository, and can be located', async () => {
        expect(await metadata.blobs.find('team/earlier', sum)).toBeUndefined()
        expect(await metadata.blobs.locate(sum)).toEqual({ ...live('first-key'), state: 'deleting' })
      })

      test('is taken over under a fresh key', async () => {
        expect(await metadata.blobs.commit(commit({ key: 'second-key' }))).toBe('second-key')
        expect(await metadata.blobs.find(REPOSITORY, sum)).toEqual(live('second-key'))
      })

      test.each([
        ['the key that the collector has', 'first-key'],
        ['no bytes', undefined],
      ])('refuses a commit with %s, which changes nothing', async (_, key) => {
        expect(await metadata.blobs.commit(commit({ key }))).toBeUndefined()
        expect(await metadata.blobs.locate(sum)).toEqual({ ...live('first-key'), state: 'deleting' })
        expect(await metadata.repositories.exists(REPOSITORY)).toBe(false)
        expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload())
      })

      test('cannot be mounted', async () => {
        expect(await metadata.blobs.mount({ digest: sum, from: 'any', to: REPOSITORY, now: 1 })).toBe(false)
        expect(await metadata.repositories.exists(REPOSITORY)).toBe(false)
      })
    })

    test('a commit without bytes and without a row changes nothing', async () => {
      await metadata.uploads.start(upload())
      expect(await metadata.blobs.commit(commit({ key: undefined }))).toBeUndefined()
      expect(await metadata.blobs.locate(sum)).toBeUndefined()
      expect(await metadata.repositories.exists(REPOSITORY)).toBe(false)
      expect(await metadata.uploads.find(REPOSITORY, 'upload-1')).toEqual(upload())
    })

    test('commits of one digest that run side by side agree on one key', async () => {
      const keys = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          metadata.blobs.commit(
            commit({ key: `key-${index}`, upload: `upload-${index}`, repository: `team/r${index}` }),
          ),
        ),
      )
      const key = (await metadata.blobs.locate(sum))?.key
      expect(keys).toEqual(keys.map(() => key))
      for (let index = 0; index < 20; index++) expect(await metadata.blobs.find(`team/r${index}`, sum)).toBeDefined()
    })

    test('of two commits that both replace one damaged key, the second keeps the key of the first', async () => {
      await metadata.blobs.commit(commit())
      const keys = await Promise.all(
        ['a', 'b'].map((key) => metadata.blobs.commit(commit({ key, replaces: 'first-key', upload: key }))),
      )
      expect(keys[0]).toBe(keys[1])
      expect(['a', 'b']).toContain(keys[0] ?? '')
      expect((await metadata.blobs.locate(sum))?.key).toBe(keys[0])
    })

    describe('mount', () => {
      beforeEach(async () => {
        await metadata.blobs.commit(commit({ repository: 'team/source' }))
      })

      test.each([
        ['links a blob that a named repository has', ['team/none', 'team/source'], true],
        ['links a blob that any repository has', 'any' as const, true],
        ['does not link a blob that only other repositories have', ['team/none'], false],
        ['does not link when it may take from none', [], false],
        [
          'finds the source at the end of a very long list',
          [
            ...Array(1200)
              .keys()
              .map((n) => `r${n}`),
            'team/source',
          ],
          true,
        ],
      ])('%s', async (_, from, mounted) => {
        expect(await metadata.blobs.mount({ digest: sum, from, to: REPOSITORY, now: 1 })).toBe(mounted)
        expect((await metadata.blobs.find(REPOSITORY, sum)) !== undefined).toBe(mounted)
        expect(await metadata.repositories.exists(REPOSITORY)).toBe(mounted)
      })

      test('mounting where it is already changes nothing', async () => {
        expect(await metadata.blobs.mount({ digest: sum, from: 'any', to: 'team/source', now: 2 })).toBe(true)
        expect(await metadata.blobs.find('team/source', sum)).toEqual(live('first-key'))
      })

      test('a blob that is linked nowhere any more cannot be mounted', async () => {
        await metadata.blobs.unlink('team/source', sum, { now: 2 })
        expect(await metadata.blobs.mount({ digest: sum, from: 'any', to: REPOSITORY, now: 1 })).toBe(false)
      })
    })

    describe('unlink', () => {
      test('takes the link of one repository away, and the row stays', async () => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'a layer', 'team/other')
        expect(await metadata.blobs.unlink(REPOSITORY, sum, { now: 2 })).toBe('unlinked')
        expect(await metadata.blobs.find(REPOSITORY, sum)).toBeUndefined()
        expect(await metadata.blobs.find('team/other', sum)).toBeDefined()
        expect(await metadata.blobs.unlink(REPOSITORY, sum, { now: 2 })).toBe('unknown')
      })

      test('knows nothing of a repository that does not exist', async () => {
        expect(await metadata.blobs.unlink('team/none', sum, { now: 2 })).toBe('unknown')
      })

      test('is refused while a manifest of the repository needs the blob, and names the manifest', async () => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'a layer', 'team/other')
        await putManifest(metadata, 'image', { references: [blobReference(sum)] })
        expect(await metadata.blobs.unlink(REPOSITORY, sum, { now: 2 })).toEqual({ referencedBy: digest('image') })
        expect(await metadata.blobs.unlink('team/other', sum, { now: 2 })).toBe('unlinked')
        await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 2, actor: '' })
        expect(await metadata.blobs.unlink(REPOSITORY, sum, { now: 2 })).toBe('unlinked')
      })

      test.each(['commit', 'mount'] as const)('is refused when the %s came after the manifest', async (how) => {
        await pushBlob(metadata, 'a layer', 'team/other')
        await putManifest(metadata, 'image', { references: [blobReference(sum, false)] })
        if (how === 'commit') await metadata.blobs.commit(commit())
        else await metadata.blobs.mount({ digest: sum, from: 'any', to: REPOSITORY, now: 2 })
        expect(await metadata.blobs.unlink(REPOSITORY, sum, { now: 2 })).toEqual({ referencedBy: digest('image') })
      })

      test('beside a put of the manifest: either the manifest misses the blob, or the blob stays', async () => {
        for (let round = 0; round < 20; round++) {
          const layer = await pushBlob(metadata, `layer ${round}`)
          const text = `image ${round}`
          const calls = [
            () => metadata.blobs.unlink(REPOSITORY, layer, { now: 2 }),
            () => putManifest(metadata, text, { references: [blobReference(layer)] }),
          ]
          const [first, second] = await Promise.all((round % 2 === 0 ? calls : calls.reverse()).map((call) => call()))
          const [unlinked, put] = round % 2 === 0 ? [first, second] : [second, first]
          const manifest = await metadata.manifests.find(REPOSITORY, digest(text))
          const blob = await metadata.blobs.find(REPOSITORY, layer)
          expect({ manifest: manifest !== undefined, blob: blob !== undefined }).toEqual(
            unlinked === 'unlinked' ? { manifest: false, blob: false } : { manifest: true, blob: true },
          )
          expect(put).toEqual(
            unlinked === 'unlinked' ? { stored: false, missing: [blobReference(layer)] } : { stored: true },
          )
        }
      })
    })

    describe('the database itself refuses', () => {
      beforeEach(async () => {
        await pushBlob(metadata, 'a layer')
        await putManifest(metadata, 'image', { references: [blobReference(sum)], tags: ['v1'] })
      })

      test.each([
        ['to unlink a blob that a manifest needs', 'DELETE FROM repository_blobs'],
        ['to forget a blob that a repository links', 'DELETE FROM blobs'],
        ['to forget a manifest that a tag points to', 'DELETE FROM manifests'],
        ['to forget a repository that has anything', 'DELETE FROM repositories'],
      ])('%s', async (_, sql) => {
        expect(await refusal(opened().execute(sql))).toMatchObject({ message: expect.stringMatching(/foreign key/i) })
        expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toBeDefined()
        expect(await metadata.blobs.find(REPOSITORY, sum)).toBeDefined()
      })
    })
  })
}
