import { beforeEach, describe, expect, test } from 'bun:test'
import type { Digest } from '../oci/digest.ts'
import {
  blobReference,
  deleteRepository,
  digest,
  manifestReference,
  type Opened,
  pushBlob,
  putManifest,
  REPOSITORY,
} from './examples.suite.ts'
import type { Destination, Due, Metadata, Outcome } from './metadata.ts'

const WEEK = 7 * 24 * 3_600_000
const by = (now: number, actor = 'ann') => ({ now, actor })
const waited = (before: number): Due => ({ now: before, before, causes: [] })
const TO_TRASH: Destination = { to: 'trash', from: 'since', window: WEEK }
const NOWHERE: Destination = { to: 'nowhere' }

/** The steps of the collector, each on its own. Times are small numbers: `pushBlob` and `putManifest` happen at 1. */
export function collectionSuite(opened: () => Opened): void {
  describe('collection', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    async function takeLinks(due: Due): Promise<string[]> {
      const taken: string[] = []
      for (const link of await metadata.collection.links(due, 100)) {
        taken.push(
          `${link.repository} ${nameOf(link.digest)}: ${wordOf(await metadata.collection.takeLink(link, due))}`,
        )
      }
      return taken.sort()
    }

    async function takeManifests(due: Due, destination: Destination): Promise<string[]> {
      const taken: string[] = []
      for (const manifest of await metadata.collection.manifests(due, 100)) {
        const outcome = await metadata.collection.takeManifest(manifest, due, destination)
        taken.push(`${nameOf(manifest.digest)}: ${wordOf(outcome)}`)
      }
      return taken.sort()
    }

    const NAMES = 'a layer,other layer,config,image,index,child,signature,new image,old image'.split(',')
    const nameOf = (of: Digest) => NAMES.find((name) => digest(name) === of) ?? of
    const wordOf = (outcome: Outcome) =>
      outcome.kind === 'taken' && outcome.discarded.length > 0
        ? `taken, discards ${outcome.discarded.map((blob) => nameOf(blob.digest)).join(' ')}`
        : outcome.kind

    describe('a link', () => {
      test('that no manifest needs goes when its delay has passed, not sooner', async () => {
        await pushBlob(metadata, 'a layer')
        expect(await takeLinks(waited(0))).toEqual([])
        expect(await takeLinks(waited(1))).toEqual([`${REPOSITORY} a layer: taken, discards a layer`])
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeUndefined()
        expect((await metadata.blobs.locate(digest('a layer')))?.state).toBe('deleting')
      })

      test('of a blob that another repository needs goes alone', async () => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'a layer', 'team/other')
        await putManifest(metadata, 'image', { references: [blobReference(digest('a layer'))], tags: ['v1'] })
        expect(await takeLinks(waited(1))).toEqual(['team/other a layer: taken'])
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeDefined()
        expect(await metadata.blobs.find('team/other', digest('a layer'))).toBeUndefined()
      })

      test('that a manifest needs is no candidate', async () => {
        await pushBlob(metadata, 'a layer')
        await putManifest(metadata, 'image', { references: [blobReference(digest('a layer'))] })
        expect(await metadata.blobs.review(REPOSITORY, digest('a layer'))).toEqual({ kind: 'settled' })
        expect(await takeLinks(waited(1_000))).toEqual([])
      })

      test('that a manifest came to need after it was found is kept', async () => {
        await pushBlob(metadata, 'a layer')
        const [link] = await metadata.collection.links(waited(1), 1)
        await putManifest(metadata, 'image', { references: [blobReference(digest('a layer'))] })
        expect(link && (await metadata.collection.takeLink(link, waited(1)))).toEqual({ kind: 'kept' })
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeDefined()
      })

      const touches: [string, (metadata: Metadata) => Promise<unknown>][] = [
        ['asked for', ({ blobs }) => blobs.touch(REPOSITORY, digest('a layer'), 50)],
        [
          'uploaded',
          ({ blobs }) =>
            blobs.commit({
              ...{ repository: REPOSITORY, digest: digest('a layer'), size: 10, upload: 'again' },
              ...{ key: undefined, now: 50 },
            }),
        ],
        [
          'mounted',
          ({ blobs }) => blobs.mount({ digest: digest('a layer'), from: [REPOSITORY], to: REPOSITORY, now: 50 }),
        ],
      ]
      test.each(touches)('that was %s after it was found waits anew', async (_, touch) => {
        await pushBlob(metadata, 'a layer')
        const [link] = await metadata.collection.links(waited(1), 1)
        await touch(metadata)
        expect(link && (await metadata.collection.takeLink(link, waited(1)))).toEqual({ kind: 'kept' })
        expect(await takeLinks(waited(49))).toEqual([])
        expect(await takeLinks(waited(50))).toEqual([`${REPOSITORY} a layer: taken, discards a layer`])
      })

      test.each(touches)('that a deletion freed goes at once when asked, unless it was %s since', async (_, touch) => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'other layer')
        const references = [blobReference(digest('a layer')), blobReference(digest('other layer'))]
        await putManifest(metadata, 'image', { references })
        const deleted = await metadata.manifests.delete(REPOSITORY, digest('image'), by(40))
        expect(deleted?.freed.map(nameOf).sort()).toEqual(['a layer', 'other layer'])
        await touch(metadata)
        expect(await takeLinks({ now: 60, before: 0, causes: ['deleted'] })).toEqual([
          `${REPOSITORY} other layer: taken`,
        ])
      })

      test('cannot be touched any more when it is gone', async () => {
        await pushBlob(metadata, 'a layer')
        await takeLinks(waited(1))
        expect(await metadata.blobs.touch(REPOSITORY, digest('a layer'), 5)).toBe(false)
        expect(await metadata.blobs.review(REPOSITORY, digest('a layer'))).toBeUndefined()
        expect(await metadata.blobs.touch('team/none', digest('a layer'), 5)).toBe(false)
      })

      test('that is needed can be touched, which changes nothing', async () => {
        await pushBlob(metadata, 'a layer')
        await putManifest(metadata, 'image', { references: [blobReference(digest('a layer'))] })
        expect(await metadata.blobs.touch(REPOSITORY, digest('a layer'), 5)).toBe(true)
        expect(await metadata.blobs.review(REPOSITORY, digest('a layer'))).toEqual({ kind: 'settled' })
      })

      test('waits again when the last of several manifests goes', async () => {
        await pushBlob(metadata, 'a layer')
        await putManifest(metadata, 'image', { references: [blobReference(digest('a layer'))] })
        await putManifest(metadata, 'new image', { references: [blobReference(digest('a layer'))] })
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(10))
        expect(await metadata.blobs.review(REPOSITORY, digest('a layer'))).toEqual({ kind: 'settled' })
        await metadata.manifests.delete(REPOSITORY, digest('new image'), by(20))
        expect(await metadata.blobs.review(REPOSITORY, digest('a layer'))).toEqual({
          kind: 'waiting',
          since: 20,
          cause: 'deleted',
        })
      })

      test('that was put off is no candidate until then', async () => {
        await pushBlob(metadata, 'a layer')
        const [link] = await metadata.collection.links(waited(1), 1)
        if (link !== undefined) await metadata.collection.postpone(link, 100)
        expect(await metadata.collection.links(waited(99), 1)).toEqual([])
        expect(await metadata.collection.links(waited(100), 1)).toMatchObject([{ attempts: 1 }])
      })
    })

    describe('bytes', () => {
      const object = async () => {
        const [first] = await metadata.collection.objects(1_000_000, 10)
        if (first === undefined) throw new Error('nothing is to be unlinked')
        return first
      }

      test('that are discarded keep their key from everybody until they are unlinked', async () => {
        await pushBlob(metadata, 'a layer')
        await takeLinks(waited(1))
        expect(await metadata.blobs.discarded(digest('a layer'))).toEqual(['key-of-a layer'])
        const again = { repository: REPOSITORY, digest: digest('a layer'), size: 10, upload: 'u', now: 9 }
        expect(await metadata.blobs.commit({ ...again, key: 'key-of-a layer' })).toBeUndefined()
        expect(await metadata.blobs.commit({ ...again, key: undefined })).toBeUndefined()
        await metadata.collection.forget(await object())
        expect(await metadata.blobs.locate(digest('a layer'))).toBeUndefined()
        expect(await metadata.blobs.discarded(digest('a layer'))).toEqual([])
        expect(await metadata.blobs.commit({ ...again, key: 'key-of-a layer' })).toBe('key-of-a layer')
        expect((await metadata.collection.status()).collected.blob).toEqual({ count: 1, bytes: 10 })
      })

      test('of a blob that was pushed meanwhile under another key go, and the blob stays', async () => {
        await pushBlob(metadata, 'a layer')
        await takeLinks(waited(1))
        const again = { repository: REPOSITORY, digest: digest('a layer'), size: 10, upload: 'u', now: 9 }
        expect(await metadata.blobs.commit({ ...again, key: 'fresh' })).toBe('fresh')
        // Nor can bytes be under that key that anybody may rely on.
        expect(await metadata.blobs.commit({ ...again, key: 'key-of-a layer' })).toBeUndefined()
        await metadata.collection.forget(await object())
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toMatchObject({ key: 'fresh', state: 'live' })
        expect(await metadata.collection.objects(1_000_000, 10)).toEqual([])
      })

      test('that a push replaced, for they were damaged, are discarded', async () => {
        await pushBlob(metadata, 'a layer')
        const again = { repository: REPOSITORY, digest: digest('a layer'), size: 10, upload: 'u', now: 9 }
        await metadata.blobs.commit({ ...again, key: 'whole', replaces: 'key-of-a layer' })
        expect(await object()).toMatchObject({ key: 'key-of-a layer' })
        await metadata.collection.forget(await object())
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toMatchObject({ key: 'whole' })
        expect((await metadata.collection.status()).collected.copy).toEqual({ count: 1, bytes: 10 })
      })

      test('go when the last repository lets go of the blob', async () => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'a layer', 'team/other')
        await metadata.blobs.unlink(REPOSITORY, digest('a layer'), { now: 5 })
        expect(await metadata.collection.objects(5, 10)).toEqual([])
        await metadata.blobs.unlink('team/other', digest('a layer'), { now: 6 })
        expect(await metadata.collection.objects(6, 10)).toMatchObject([{ key: 'key-of-a layer', size: 10 }])
      })

      test('that no row names are strays, and are claimed unless a push came first', async () => {
        await pushBlob(metadata, 'a layer')
        const stray = { key: 'stray', digest: digest('other layer'), size: 7 }
        const copy = { key: 'copy', digest: digest('a layer'), size: 7 }
        const known = { key: 'key-of-a layer', digest: digest('a layer'), size: 10 }
        expect((await metadata.collection.strays([stray, copy, known])).sort()).toEqual(['copy', 'stray'])
        expect(await metadata.collection.claim(known, 5)).toBe(false)
        expect(await metadata.collection.claim(copy, 5)).toBe(true)
        expect(await metadata.collection.claim(stray, 5)).toBe(true)
        const late = { repository: REPOSITORY, size: 7, upload: 'u', now: 6 }
        expect(await metadata.blobs.commit({ ...late, digest: stray.digest, key: 'stray' })).toBeUndefined()
        expect(await metadata.collection.strays([stray, copy])).toEqual([])
        for (const each of await metadata.collection.objects(5, 10)) await metadata.collection.forget(each)
        expect(await metadata.blobs.locate(stray.digest)).toBeUndefined()
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toMatchObject({ key: 'key-of-a layer' })
        expect(await metadata.blobs.commit({ ...late, digest: stray.digest, key: 'stray' })).toBe('stray')
      })
    })

    test('a link that was uploaded or mounted since its manifest waits is freed by no deletion', async () => {
      const seeds = ['a layer', 'other layer', 'config']
      for (const seed of seeds) await pushBlob(metadata, seed)
      const references = seeds.map((seed) => blobReference(digest(seed)))
      await putManifest(metadata, 'image', { references, tags: ['v1'], now: 5 })
      await metadata.tags.delete(REPOSITORY, 'v1', by(10))
      await metadata.blobs.mount({ digest: digest('a layer'), from: [REPOSITORY], to: REPOSITORY, now: 11 })
      const again = { repository: REPOSITORY, digest: digest('other layer'), size: 10, key: undefined, upload: 'again' }
      await metadata.blobs.commit({ ...again, now: 12 })
      expect(await takeManifests(waited(20), NOWHERE)).toEqual(['image: taken'])
      const inHurry: Due = { now: 20, before: -1, causes: ['deleted'] }
      expect(await takeLinks(inHurry)).toEqual(['team/app config: taken, discards config'])
      expect(await takeLinks(waited(19))).toEqual([])
      expect(await takeLinks(waited(20))).toEqual([
        'team/app a layer: taken, discards a layer',
        'team/app other layer: taken, discards other layer',
      ])
    })

    describe('a manifest', () => {
      test('that never had a tag waits from its push on, and from each one that follows', async () => {
        await putManifest(metadata, 'image')
        expect(await takeManifests(waited(0), NOWHERE)).toEqual([])
        await putManifest(metadata, 'image', { now: 10 })
        expect(await takeManifests(waited(9), NOWHERE)).toEqual([])
        expect(await takeManifests(waited(10), NOWHERE)).toEqual(['image: taken'])
        expect(await metadata.manifests.find(REPOSITORY, digest('image'))).toBeUndefined()
      })

      test('whose tag goes to another one waits from then on; the other does not', async () => {
        await putManifest(metadata, 'old image', { tags: ['v1'] })
        await putManifest(metadata, 'new image', { tags: ['v1'], now: 20 })
        expect(await takeManifests(waited(19), NOWHERE)).toEqual([])
        expect(await takeManifests(waited(20), NOWHERE)).toEqual(['old image: taken'])
        expect(await takeManifests(waited(1000), NOWHERE)).toEqual([])
      })

      test('with a second tag does not wait when it loses one', async () => {
        await putManifest(metadata, 'image', { tags: ['v1', 'v2'] })
        await metadata.tags.delete(REPOSITORY, 'v1', by(5))
        expect(await takeManifests(waited(1000), NOWHERE)).toEqual([])
        await metadata.tags.delete(REPOSITORY, 'v2', by(6))
        expect(await takeManifests(waited(6), NOWHERE)).toEqual(['image: taken'])
      })

      test('that is a child of an index, or refers to what is there, stays for as long', async () => {
        await putManifest(metadata, 'child')
        await putManifest(metadata, 'signature', { subject: digest('index') })
        await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))], tags: ['v1'] })
        // Pushed once more by its digest, it is looked at as well.
        await putManifest(metadata, 'child', { now: 2 })
        expect(await takeManifests(waited(1000), NOWHERE)).toEqual(['child: kept', 'signature: kept'])
        expect(await takeManifests(waited(1000), NOWHERE)).toEqual([])
        await metadata.tags.delete(REPOSITORY, 'v1', by(10))
        expect(await takeManifests(waited(1000), NOWHERE)).toEqual(['index: taken'])
        // They waited with it.
        expect(await takeManifests(waited(10), NOWHERE)).toEqual(['child: taken', 'signature: taken'])
      })

      test('that was pushed again by itself does not go with its index', async () => {
        await putManifest(metadata, 'child')
        await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))] })
        await putManifest(metadata, 'child', { now: 50 })
        expect(await takeManifests(waited(10), NOWHERE)).toEqual(['index: taken'])
        expect(await takeManifests(waited(49), NOWHERE)).toEqual([])
        expect(await takeManifests(waited(50), NOWHERE)).toEqual(['child: taken'])
      })

      test('that was pushed again after it was found is kept', async () => {
        await putManifest(metadata, 'image')
        const [found] = await metadata.collection.manifests(waited(1), 1)
        await putManifest(metadata, 'image', { now: 2 })
        expect(found && (await metadata.collection.takeManifest(found, waited(1), NOWHERE))).toEqual({ kind: 'kept' })
        expect(await takeManifests(waited(2), NOWHERE)).toEqual(['image: taken'])
      })

      test('that may have the id of one that was found, and is gone, is kept', async () => {
        await putManifest(metadata, 'image')
        const [found] = await metadata.collection.manifests(waited(1), 1)
        if (found === undefined) throw new Error('there is no candidate')
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(1))
        await putManifest(metadata, 'new image')
        expect(await metadata.collection.takeManifest(found, waited(1), NOWHERE)).toEqual({ kind: 'kept' })
        await metadata.collection.postpone(found, 1000)
        expect(await metadata.collection.manifests(waited(1), 10)).toMatchObject([
          { digest: digest('new image'), attempts: 0 },
        ])
      })

      test('that may have the id of one that was found, in a repository of another name, is kept', async () => {
        await putManifest(metadata, 'image')
        const [found] = await metadata.collection.manifests(waited(1), 1)
        if (found === undefined) throw new Error('there is no candidate')
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(1))
        await putManifest(metadata, 'image', { repository: 'team/other' })
        expect(await metadata.collection.takeManifest(found, waited(1), NOWHERE)).toEqual({ kind: 'kept' })
        expect(await metadata.manifests.find('team/other', digest('image'))).toBeDefined()
      })

      test('that got a tag after it was found is kept', async () => {
        await putManifest(metadata, 'image')
        const [found] = await metadata.collection.manifests(waited(1), 1)
        await putManifest(metadata, 'image', { tags: ['v1'], now: 2 })
        expect(found && (await metadata.collection.takeManifest(found, waited(1), NOWHERE))).toEqual({ kind: 'kept' })
        expect(await metadata.manifests.resolve(REPOSITORY, 'v1')).toBeDefined()
      })

      test('that is taken lies in the trash for what is left of the window', async () => {
        await putManifest(metadata, 'image', { now: 1 })
        await putManifest(metadata, 'new image', { now: 50 })
        const due = { now: WEEK + 40, before: 60, causes: [] }
        expect(await takeManifests(due, TO_TRASH)).toEqual(['image: taken', 'new image: taken'])
        expect(await metadata.trash.list({}, { limit: 10 })).toMatchObject([
          { digest: digest('new image'), reason: 'collected', deletedAt: 50 },
        ])
      })
    })

    describe('the trash', () => {
      const image = async (text = 'image', more = {}) => {
        await pushBlob(metadata, 'a layer')
        await putManifest(metadata, text, {
          references: [blobReference(digest('a layer'))],
          tags: ['v1', 'v2'],
          ...more,
        })
      }
      const candidate = async () => {
        const [found] = await metadata.collection.trash(100, 100, 1)
        if (found === undefined) throw new Error('nothing is in the trash')
        return found
      }
      const contents = async () =>
        (await metadata.trash.list({}, { limit: 10 })).map(({ digest: of, tags, actor }) => [nameOf(of), tags, actor])

      test('holds the blobs of what is in it, and gives it back with its tags', async () => {
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(10))
        expect(await contents()).toEqual([['image', ['v1', 'v2'], 'ann']])
        expect(await takeLinks(waited(10))).toEqual([`${REPOSITORY} a layer: taken`])
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeUndefined()
        expect(await metadata.trash.restore(REPOSITORY, digest('image'), by(20))).toEqual({
          digests: [digest('image')],
          tags: ['v1', 'v2'],
          taken: [],
        })
        expect((await metadata.manifests.resolve(REPOSITORY, 'v2'))?.digest).toBe(digest('image'))
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeDefined()
        expect(await metadata.blobs.unlink(REPOSITORY, digest('a layer'), { now: 21 })).toEqual({
          referencedBy: digest('image'),
        })
        expect(await metadata.repositories.list({ limit: 10 })).toEqual([REPOSITORY])
        expect(await contents()).toEqual([])
        expect(await takeLinks(waited(1000))).toEqual([])
      })

      test('tags that are more than a statement takes all go, and come back unless another image has them', async () => {
        const tags = Array.from({ length: 1100 }, (_, index) => `t${String(index).padStart(4, '0')}`)
        await putManifest(metadata, 'image', { tags })
        expect((await metadata.manifests.delete(REPOSITORY, digest('image'), by(10)))?.tags).toEqual(tags)
        await putManifest(metadata, 'image', { tags: ['t0001', 'own'], now: 11 })
        await putManifest(metadata, 'other', { tags: ['t0000', 't0700'], now: 11 })
        const isTaken = (tag: string) => ['t0000', 't0001', 't0700'].includes(tag)
        const restored = await metadata.trash.restore(REPOSITORY, digest('image'), by(20))
        expect(restored).toMatchObject({
          tags: tags.filter((tag) => !isTaken(tag)),
          taken: tags.filter(isTaken),
        })
        expect(await metadata.tags.list(REPOSITORY, { limit: 2000 })).toEqual(['own', ...tags])
        const moves = (await metadata.tags.history(REPOSITORY, undefined, { limit: 5000 })).toReversed()
        const at = (time: number) => moves.filter((move) => move.at === time)
        const move = { actor: 'ann', from: digest('image'), to: undefined }
        expect(at(10).map(({ id: _, ...row }) => row)).toEqual(tags.map((tag) => ({ ...move, tag, at: 10 })))
        const back = { ...move, from: undefined, to: digest('image') }
        expect(at(20).map(({ id: _, ...row }) => row)).toEqual(
          tags.filter((tag) => !isTaken(tag)).map((tag) => ({ ...back, tag, at: 20 })),
        )
      })

      test('leaves tags alone that went to another manifest meanwhile', async () => {
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(10))
        await putManifest(metadata, 'new image', { tags: ['v2'] })
        expect(await metadata.trash.restore(REPOSITORY, digest('image'), by(20))).toMatchObject({
          tags: ['v1'],
          taken: ['v2'],
        })
        expect((await metadata.manifests.resolve(REPOSITORY, 'v2'))?.digest).toBe(digest('new image'))
      })

      test('gives an index back with its children, and with referrers that were collected, not with deleted ones', async () => {
        await putManifest(metadata, 'child')
        await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))], tags: ['v1'] })
        await putManifest(metadata, 'signature', { subject: digest('index') })
        await putManifest(metadata, 'old image', { subject: digest('index') })
        await metadata.manifests.delete(REPOSITORY, digest('old image'), by(9))
        await metadata.manifests.delete(REPOSITORY, digest('index'), by(10))
        expect(await takeManifests({ now: 20, before: 10, causes: [] }, TO_TRASH)).toEqual([
          'child: taken',
          'signature: taken',
        ])
        const restored = await metadata.trash.restore(REPOSITORY, digest('index'), by(30))
        expect(restored?.digests.map(nameOf).sort()).toEqual(['child', 'index', 'signature'])
        expect(await contents()).toEqual([['old image', [], 'ann']])
        expect(await takeManifests(waited(1000), NOWHERE)).toEqual(['child: kept', 'signature: kept'])
      })

      test('is emptied for good, and then only does the blob go', async () => {
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(10))
        await takeLinks(waited(10))
        expect(await metadata.collection.objects(1000, 10)).toEqual([])
        expect(await metadata.collection.trash(9, 100, 10)).toEqual([])
        const [buried] = await metadata.collection.trash(10, 100, 10)
        expect(buried && wordOf(await metadata.collection.purge(buried, 100))).toBe('taken, discards a layer')
        expect(buried && wordOf(await metadata.collection.purge(buried, 100))).toBe('kept')
        expect(await metadata.trash.restore(REPOSITORY, digest('image'), by(110))).toBeUndefined()
        expect(await metadata.collection.objects(1000, 10)).toHaveLength(1)
      })

      test.each([
        ['was purged', async () => void (await metadata.collection.purge(await candidate(), 100))],
        ['was restored', () => metadata.trash.restore(REPOSITORY, digest('image'), by(20))],
        ['was restored with its batch', () => metadata.trash.restoreBatch(REPOSITORY, 'batch-1', by(20))],
      ])('never gives the id of what %s to anything else', async (_, leave) => {
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), { ...by(10), batch: 'batch-1' })
        const before = await candidate()
        await leave()
        await image('new image')
        await metadata.manifests.delete(REPOSITORY, digest('new image'), by(30))
        expect((await candidate()).id).toBeGreaterThan(before.id)
        expect(await metadata.collection.purge(before, 100)).toEqual({ kind: 'kept' })
        expect(await metadata.collection.buried(before.id)).toBeUndefined()
        await metadata.collection.postpone(before, 1000)
        expect((await candidate()).digest).toBe(digest('new image'))
      })

      test('numbers what one deletion took in the order of digests', async () => {
        const texts = ['image', 'new image', 'old image', 'child', 'index']
        for (const text of texts) await putManifest(metadata, text)
        await deleteRepository(metadata)
        const rows = await metadata.trash.list({}, { limit: 10 })
        expect(rows.map((row) => row.digest)).toEqual(texts.map(digest).sort().reverse())
      })

      test('with the same manifest twice holds the blob until both are gone', async () => {
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(10))
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(20))
        await takeLinks(waited(20))
        const words: string[] = []
        for (const buried of await metadata.collection.trash(20, 100, 10)) {
          words.push(wordOf(await metadata.collection.purge(buried, 100)))
        }
        expect(words).toEqual(['taken', 'taken, discards a layer'])
      })

      test('gives a batch back together', async () => {
        await putManifest(metadata, 'image', { tags: ['v1'] })
        await putManifest(metadata, 'new image', { tags: ['v2'] })
        await putManifest(metadata, 'old image')
        for (const name of ['image', 'new image']) {
          await metadata.manifests.delete(REPOSITORY, digest(name), { ...by(10), batch: 'b1' })
        }
        await metadata.manifests.delete(REPOSITORY, digest('old image'), by(10))
        const restored = await metadata.trash.restoreBatch(REPOSITORY, 'b1', by(20))
        expect(restored?.digests.map(nameOf).sort()).toEqual(['image', 'new image'])
        expect(restored?.tags.sort()).toEqual(['v1', 'v2'])
        expect(await metadata.trash.restoreBatch(REPOSITORY, 'b1', by(20))).toBeUndefined()
        expect((await contents()).map(([name]) => name)).toEqual(['old image'])
      })

      test('lets a client delete a blob that only it still needs', async () => {
        await image()
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(10))
        expect(await metadata.blobs.unlink(REPOSITORY, digest('a layer'), { now: 11 })).toBe('unlinked')
        expect((await metadata.blobs.locate(digest('a layer')))?.state).toBe('live')
        expect(await metadata.trash.restore(REPOSITORY, digest('image'), by(20))).toBeDefined()
        expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeDefined()
      })

      test('knows nothing of what was never deleted', async () => {
        await image()
        expect(await metadata.trash.restore(REPOSITORY, digest('image'), by(20))).toBeUndefined()
        expect(await metadata.trash.restore('team/none', digest('image'), by(20))).toBeUndefined()
        expect(await metadata.trash.find(REPOSITORY, digest('image'))).toBeUndefined()
      })
    })

    describe('the history of a tag', () => {
      const moves = async (tag?: string) =>
        (await metadata.tags.history(REPOSITORY, tag, { limit: 10 })).map((move) => [
          move.tag,
          move.from && nameOf(move.from),
          move.to && nameOf(move.to),
          move.actor,
          move.at,
        ])

      test('has each move with who made it, the newest first, and nothing for a push that moves nothing', async () => {
        await putManifest(metadata, 'old image', { tags: ['v1', 'v2'], actor: 'ann', now: 1 })
        await putManifest(metadata, 'old image', { tags: ['v1'], actor: 'bob', now: 2 })
        await putManifest(metadata, 'new image', { tags: ['v1'], actor: 'bob', now: 3 })
        await metadata.tags.delete(REPOSITORY, 'v1', by(4, 'eve'))
        await metadata.manifests.delete(REPOSITORY, digest('old image'), by(5, 'eve'))
        expect(await moves('v1')).toEqual([
          ['v1', 'new image', undefined, 'eve', 4],
          ['v1', 'old image', 'new image', 'bob', 3],
          ['v1', undefined, 'old image', 'ann', 1],
        ])
        expect(await moves()).toHaveLength(5)
        expect(await moves('v3')).toEqual([])
        const [first] = await metadata.tags.history(REPOSITORY, 'v1', { limit: 1 })
        expect(await metadata.tags.history(REPOSITORY, 'v1', { before: first?.id, limit: 10 })).toHaveLength(2)
      })

      test('leads the tag back, and forth again', async () => {
        await putManifest(metadata, 'old image', { tags: ['v1'] })
        await putManifest(metadata, 'new image', { tags: ['v1'], now: 2 })
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(3))).toEqual({
          kind: 'restored',
          digest: digest('old image'),
          from: digest('new image'),
        })
        expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(digest('old image'))
        await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(4))
        expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(digest('new image'))
        expect(await moves('v1')).toHaveLength(4)
      })

      test('leads a tag that was deleted and pushed anew to where it was before, through deletions of either kind', async () => {
        await putManifest(metadata, 'old image', { tags: ['v1'] })
        await metadata.tags.delete(REPOSITORY, 'v1', by(2))
        await putManifest(metadata, 'new image', { tags: ['v1'], now: 3 })
        const back = { kind: 'restored', digest: digest('old image'), from: digest('new image') } as const
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(4))).toEqual(back)
        await metadata.manifests.delete(REPOSITORY, digest('old image'), by(5))
        await putManifest(metadata, 'old image', { tags: ['v1'], now: 6 })
        // It is where it was; before that it was elsewhere.
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(7))).toMatchObject({
          kind: 'restored',
          digest: digest('new image'),
        })
      })

      test('brings a manifest back from the trash', async () => {
        await putManifest(metadata, 'image', { tags: ['v1'] })
        await metadata.manifests.delete(REPOSITORY, digest('image'), by(3))
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(4))).toMatchObject({ kind: 'restored' })
        expect((await metadata.manifests.resolve(REPOSITORY, 'v1'))?.digest).toBe(digest('image'))
      })

      test('says what is gone, and what never was', async () => {
        await putManifest(metadata, 'image', { tags: ['v1'] })
        const never = { kind: 'unknown', digest: undefined } as const
        expect(await metadata.tags.restore(REPOSITORY, 'v2', undefined, by(2))).toEqual(never)
        expect(await metadata.tags.restore('team/none', 'v1', undefined, by(2))).toEqual(never)
        const only = { kind: 'unknown', digest: digest('image') } as const
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(2))).toEqual(only)
        await metadata.tags.delete(REPOSITORY, 'v1', by(2))
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(2))).toMatchObject({ kind: 'restored' })
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(2))).toEqual(only)
        await metadata.tags.delete(REPOSITORY, 'v1', by(3))
        await takeManifests(waited(3), NOWHERE)
        expect(await metadata.tags.restore(REPOSITORY, 'v1', undefined, by(4))).toEqual({
          kind: 'gone',
          digest: digest('image'),
        })
      })
    })

    describe('questions', () => {
      test('what there is: queues, garbage, the trash, uploads, and what was collected', async () => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'other layer')
        await pushBlob(metadata, 'config')
        await putManifest(metadata, 'image', { references: [blobReference(digest('a layer'))], tags: ['v1'] })
        await putManifest(metadata, 'old image', { references: [blobReference(digest('config'))] })
        await metadata.manifests.delete(REPOSITORY, digest('old image'), by(7))
        await metadata.collection.count('upload', { count: 1, bytes: 5 })
        await metadata.collection.count('upload', { count: 2, bytes: 6 })
        expect(await metadata.collection.status()).toEqual({
          links: 2,
          manifests: 0,
          trash: { count: 1, bytes: 'old image'.length, oldest: 7 },
          discarded: { count: 0, bytes: 0 },
          failing: 0,
          uploads: { count: 0, bytes: 0, oldest: undefined },
          collected: {
            blob: { count: 0, bytes: 0 },
            copy: { count: 0, bytes: 0 },
            manifest: { count: 0, bytes: 0 },
            upload: { count: 3, bytes: 11 },
          },
        })
      })

      test('why a blob is kept: from a tag down', async () => {
        await pushBlob(metadata, 'a layer')
        await pushBlob(metadata, 'a layer', 'team/other')
        await putManifest(metadata, 'child', { references: [blobReference(digest('a layer'))] })
        await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))], tags: ['v1'] })
        await putManifest(metadata, 'signature', { subject: digest('index') })
        const found = await metadata.collection.why(digest('a layer'), 10)
        expect(found.blob).toEqual({ size: 10, state: 'live', repositories: 2 })
        expect(found.keepers).toEqual([
          {
            repository: REPOSITORY,
            tag: 'v1',
            path: [digest('index'), digest('child'), digest('a layer')],
            waitsSince: undefined,
          },
        ])
        expect(found.reviews).toEqual([{ repository: 'team/other', since: 1, cause: 'unused' }])
        expect((await metadata.collection.why(digest('signature'), 10)).keepers).toMatchObject([
          { tag: 'v1', path: [digest('index'), digest('signature')] },
        ])
        expect(await metadata.collection.why(digest('nothing'), 10)).toEqual({
          ...{ blob: undefined, keepers: [], reviews: [], trash: [], discarded: [] },
        })
      })
    })
  })
}
