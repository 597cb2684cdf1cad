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
  referrersOf,
} from './examples.suite.ts'
import type { Metadata } from './metadata.ts'

const TYPE = 'application/vnd.oci.image.manifest.v1+json'

export function manifestsSuite(opened: () => Opened): void {
  describe('manifests', () => {
    let metadata: Metadata
    const stored = (text: string) => ({ digest: digest(text), mediaType: TYPE, bytes: new TextEncoder().encode(text) })

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('one that was put is found by digest and by each of its tags, verbatim', async () => {
      expect(await putManifest(metadata, 'image', { tags: ['v1', 'latest', 'v1'] })).toEqual({ stored: true })
      expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toEqual(stored('image'))
      expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toEqual(stored('image'))
      expect(await metadata.manifests.resolve(REPOSITORY, 'latest')).toEqual(stored('image'))
    })

    test('one is found in its repository alone', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      await putManifest(metadata, 'other', { repository: 'team/other' })
      expect(await metadata.manifests.find('team/other', digest('image'))).toBeUndefined()
      expect(await metadata.manifests.resolve('team/other', 'v1')).toBeUndefined()
      expect(await metadata.manifests.resolve(REPOSITORY, 'v2')).toBeUndefined()
    })

    test('bytes that are not text, and many of them, come back as they were', async () => {
      const bytes = Uint8Array.from({ length: 3_000_000 }, (_, index) => index * 7)
      const put = {
        repository: REPOSITORY,
        digest: digest('x'),
        mediaType: TYPE,
        tags: [],
        references: [],
        now: 1,
        actor: '',
      }
      await metadata.manifests.put({
        ...put,
        bytes,
        subject: undefined,
        artifactType: undefined,
        annotations: undefined,
      })
      const found = await metadata.manifests.find(REPOSITORY, digest('x'))
      expect(Buffer.compare(found?.bytes ?? new Uint8Array(), bytes)).toBe(0)
    })

    test('a put by digest alone makes no tag', async () => {
      await putManifest(metadata, 'image')
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toEqual([])
    })

    test('a tag moves to what was put last', async () => {
      await putManifest(metadata, 'old', { tags: ['v1', 'latest'] })
      await putManifest(metadata, 'new', { tags: ['latest'] })
      expect((await metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest('new'))
      expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(digest('old'))
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toEqual(['latest', 'v1'])
    })

    test('putting the same bytes again moves the tags and keeps everything else', async () => {
      const first = { subject: digest('s'), artifactType: 'text/a', annotations: { a: '1' } }
      await putManifest(metadata, 'image', { ...first, tags: ['v1'] })
      await putManifest(metadata, 'other', { tags: ['v2'] })
      const again = { subject: digest('t'), artifactType: 'text/b', annotations: { b: '2' }, mediaType: 'text/c' }
      expect(await putManifest(metadata, 'image', { ...again, tags: ['v2'], now: 9 })).toEqual({ stored: true })
      expect(await metadata.manifests.resolve(REPOSITORY, 'v2')).toEqual(stored('image'))
      expect(await referrersOf(metadata, REPOSITORY, digest('t'), undefined, { limit: 9 })).toEqual([])
      expect(await referrersOf(metadata, REPOSITORY, digest('s'), undefined, { limit: 9 })).toEqual([
        { mediaType: TYPE, digest: digest('image'), size: 5, artifactType: 'text/a', annotations: { a: '1' } },
      ])
    })

    test('required references that are not in the repository are all told, and nothing is stored', async () => {
      const here = await pushBlob(metadata, 'here')
      const elsewhere = await pushBlob(metadata, 'elsewhere', 'team/other')
      await putManifest(metadata, 'child elsewhere', { repository: 'team/other' })
      await putManifest(metadata, 'old', { tags: ['v1'] })
      const references = [
        manifestReference(digest('child elsewhere')),
        blobReference(here),
        blobReference(elsewhere),
        blobReference(digest('foreign'), false),
        blobReference(digest('nowhere')),
        manifestReference(digest('old')),
      ]
      expect(await putManifest(metadata, 'image', { references, tags: ['v1'] })).toEqual({
        stored: false,
        missing: [
          manifestReference(digest('child elsewhere')),
          blobReference(elsewhere),
          blobReference(digest('nowhere')),
        ],
      })
      expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toBeUndefined()
      expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(digest('old'))
    })

    test('what is named as a blob and as a manifest is there if it is there as either', async () => {
      const blob = await pushBlob(metadata, 'blob')
      await putManifest(metadata, 'child')
      const either = (of: Digest) => [blobReference(of), manifestReference(of, false)]
      const none = digest('nowhere')
      const references = [...either(blob), ...either(digest('child')), ...either(none)]
      expect(await putManifest(metadata, 'index', { references })).toEqual({
        ...{ stored: false, missing: [blobReference(none)] },
      })
      expect(await putManifest(metadata, 'index', { references: references.slice(0, 4) })).toEqual({ stored: true })
      expect(await metadata.blobs.unlink(REPOSITORY, blob, { now: 2 })).toEqual({ referencedBy: digest('index') })
      expect((await metadata.contents.manifests(REPOSITORY, {}, { limit: 9 })).manifests).toMatchObject(
        [digest('child'), digest('index')].sort().map((of) => ({ digest: of, isChild: of === digest('child') })),
      )
    })

    test('a put that stores nothing does not make its repository exist', async () => {
      const references = [blobReference(digest('nowhere'))]
      expect(await putManifest(metadata, 'image', { references })).toEqual({ stored: false, missing: references })
      expect(await metadata.repositories.exists(REPOSITORY)).toBe(false)
    })

    test('a required blob that is being deleted is missing', async () => {
      const layer = await pushBlob(metadata, 'layer')
      await opened().execute("UPDATE blobs SET state = 'deleting'")
      const references = [blobReference(layer)]
      expect(await putManifest(metadata, 'image', { references })).toEqual({ stored: false, missing: references })
    })

    test('the same blob may be referenced several times, and thousands may be', async () => {
      const layer = await pushBlob(metadata, 'layer')
      const many = Array.from({ length: 1300 }, (_, index) => blobReference(digest(`foreign ${index}`), false))
      const references = [blobReference(layer), ...many, blobReference(layer)]
      expect(await putManifest(metadata, 'image', { references })).toEqual({ stored: true })
      expect(await metadata.blobs.unlink(REPOSITORY, layer, { now: 2 })).toEqual({ referencedBy: digest('image') })
    })

    test('deleting one deletes every tag that points to it, and no other', async () => {
      await putManifest(metadata, 'image', { tags: ['v2', 'v10', 'Latest'] })
      await putManifest(metadata, 'other', { tags: ['v3'] })
      expect(await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 2, actor: '' })).toEqual({
        tags: ['Latest', 'v10', 'v2'],
        freed: [],
      })
      expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toBeUndefined()
      expect(await metadata.manifests.resolve(REPOSITORY, 'v2')).toBeUndefined()
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toEqual(['v3'])
      expect(await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 2, actor: '' })).toBeUndefined()
    })

    test('deleting what is not there, or is in another repository, is told', async () => {
      await putManifest(metadata, 'image')
      expect(await metadata.manifests.delete('team/none', digest('image'), { now: 2, actor: '' })).toBeUndefined()
      expect(await metadata.manifests.delete(REPOSITORY, digest('other'), { now: 2, actor: '' })).toBeUndefined()
    })

    test('a child of an index may be deleted', async () => {
      await putManifest(metadata, 'child')
      await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))] })
      expect(await metadata.manifests.delete(REPOSITORY, digest('child'), { now: 2, actor: '' })).toEqual({
        tags: [],
        freed: [],
      })
      expect(await metadata.manifests.find(REPOSITORY, digest('index'))).toBeDefined()
    })

    test('one that was deleted can be put again', async () => {
      const layer = await pushBlob(metadata, 'layer')
      const references = [blobReference(layer)]
      await putManifest(metadata, 'image', { tags: ['v1'], references })
      await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 2, actor: '' })
      expect(await putManifest(metadata, 'image', { tags: ['v1'], references })).toEqual({ stored: true })
      expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toEqual(stored('image'))
      expect(await metadata.blobs.unlink(REPOSITORY, layer, { now: 2 })).toEqual({ referencedBy: digest('image') })
    })

    test('puts to one tag side by side all store, and the tag has one of them', async () => {
      const texts = Array.from({ length: 20 }, (_, index) => `image ${index}`)
      const answers = await Promise.all(texts.map((text) => putManifest(metadata, text, { tags: ['latest'] })))
      expect(answers).toEqual(texts.map(() => ({ stored: true })))
      for (const text of texts) expect(await metadata.manifests.find(REPOSITORY, digest(text))).toEqual(stored(text))
      const winner = await metadata.manifests.resolve(REPOSITORY, 'latest')
      expect(texts.map((text) => digest(text))).toContain(winner?.digest ?? digest('none'))
    })

    test('puts of the same bytes side by side make one manifest', async () => {
      await Promise.all(
        Array.from({ length: 10 }, (_, index) => putManifest(metadata, 'image', { tags: [`t${index}`] })),
      )
      expect((await metadata.manifests.delete(REPOSITORY, digest('image'), { now: 2, actor: '' }))?.tags).toHaveLength(
        10,
      )
      expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toBeUndefined()
    })

    test('a read that begins after an acknowledged write never sees what was there before', async () => {
      for (let round = 0; round < 50; round++) {
        await putManifest(metadata, `image ${round}`, { tags: ['latest'] })
        expect((await metadata.manifests.resolve(REPOSITORY, 'latest'))?.digest).toBe(digest(`image ${round}`))
        await metadata.tags.delete(REPOSITORY, 'latest', { now: 1, actor: '' })
        expect(await metadata.manifests.resolve(REPOSITORY, 'latest')).toBeUndefined()
      }
    })
  })

  describe('tags', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('a repository that does not exist has no list', async () => {
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toBeUndefined()
    })

    test('deleting one takes it alone away and tells the digest that it had', async () => {
      await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
      expect(await metadata.tags.delete(REPOSITORY, 'v1', { now: 2, actor: '' })).toBe(digest('image'))
      expect(await metadata.tags.delete(REPOSITORY, 'v1', { now: 2, actor: '' })).toBeUndefined()
      expect(await metadata.tags.delete('team/none', 'v2', { now: 2, actor: '' })).toBeUndefined()
      expect(await metadata.tags.list(REPOSITORY, { limit: 10 })).toEqual(['v2'])
      expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toBeDefined()
    })

    test('of requests that delete one side by side, one does', async () => {
      await putManifest(metadata, 'image', { tags: ['v1'] })
      const done = await Promise.all(
        Array.from({ length: 5 }, () => metadata.tags.delete(REPOSITORY, 'v1', { now: 2, actor: '' })),
      )
      expect(done.filter((had) => had !== undefined)).toEqual([digest('image')])
    })
  })
}
