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
} from './examples.suite.ts'
import type { Destination, Due, Metadata, TrashCandidate } from './metadata.ts'

const WEEK = 7 * 24 * 3_600_000
const NOWHERE: Destination = { to: 'nowhere' }
const LATE = 1_000_000
const NAMES = ['a layer', 'child', 'other child', 'index', 'outer', 'signature']

/** What the trash can still bring back keeps what it needs, however urgently a collection is wanted. */
export function trashHoldsSuite(opened: () => Opened): void {
  describe('what lies in the trash', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const nameOf = (of: Digest) => NAMES.find((name) => digest(name) === of) ?? of
    const deleteAt = (name: string, now: number) =>
      metadata.manifests.delete(REPOSITORY, digest(name), { now, actor: 'ann' })
    const hurried = (now: number): Due => ({ now, before: 0, causes: ['deleted'] })

    /** A child with a layer, in an index with a tag, in an outer index; and a signature of the index. */
    async function pushNested(): Promise<void> {
      await pushBlob(metadata, 'a layer')
      await putManifest(metadata, 'child', { references: [blobReference(digest('a layer'))] })
      await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))], tags: ['v1'] })
      await putManifest(metadata, 'outer', { references: [manifestReference(digest('index'))], tags: ['outer'] })
      await putManifest(metadata, 'signature', { subject: digest('index') })
    }

    async function takeManifests(now: number, destination = NOWHERE): Promise<string[]> {
      const taken: string[] = []
      for (let turn = 0; turn < 4; turn++) {
        for (const manifest of await metadata.collection.manifests(hurried(now), 100)) {
          const { kind } = await metadata.collection.takeManifest(manifest, hurried(now), destination)
          taken.push(`${nameOf(manifest.digest)}: ${kind}`)
        }
      }
      return taken
    }

    const candidates = async (before = LATE) => await metadata.collection.trash(before, LATE, 100)
    const names = (found: readonly TrashCandidate[]) => found.map((row) => nameOf(row.digest)).sort()
    const inTrash = async () => {
      const rows = await metadata.trash.list({ repository: REPOSITORY }, { limit: 100 })
      return rows.map((row) => `${nameOf(row.digest)} ${row.reason} ${row.deletedAt}`).sort()
    }
    const buried = async (name: string): Promise<TrashCandidate> => {
      const row = await metadata.trash.find(REPOSITORY, digest(name))
      if (row === undefined) throw new Error(`${name} is not in the trash`)
      return { kind: 'trash', id: row.id, repository: REPOSITORY, digest: row.digest, size: row.size, attempts: 0 }
    }
    const purge = async (name: string) => (await metadata.collection.purge(await buried(name), LATE)).kind

    test('takes its children and referrers along into the trash, where a cycle would let them go for good', async () => {
      await pushNested()
      await deleteAt('outer', 40)
      await deleteAt('index', 50)
      expect((await takeManifests(60)).sort()).toEqual(['child: taken', 'signature: taken'])
      expect(await inTrash()).toEqual([
        'child collected 50',
        'index deleted 50',
        'outer deleted 40',
        'signature collected 50',
      ])
      const restored = await metadata.trash.restore(REPOSITORY, digest('outer'), { now: 70, actor: 'eve' })
      expect(restored?.digests.map(nameOf).sort()).toEqual(['child', 'index', 'outer', 'signature'])
      expect(await metadata.blobs.find(REPOSITORY, digest('a layer'))).toBeDefined()
    })

    test('does so, too, where what hangs on it would have outlived its own window', async () => {
      await pushNested()
      await deleteAt('outer', 40)
      await deleteAt('index', 40)
      await takeManifests(50 + WEEK, { to: 'trash', from: 'since', window: 1 })
      expect(await inTrash()).toContain('child collected 40')
    })

    test('keeps nothing of another repository', async () => {
      await pushBlob(metadata, 'a layer', 'team/other')
      await putManifest(metadata, 'child', { repository: 'team/other' })
      await pushNested()
      await deleteAt('outer', 40)
      await deleteAt('index', 50)
      const due: Due = { now: 60, before: 60, causes: [] }
      const found = await metadata.collection.manifests(due, 100)
      const other = found.find(({ repository }) => repository === 'team/other')
      expect(other && (await metadata.collection.takeManifest(other, due, NOWHERE)).kind).toBe('taken')
      expect(await metadata.trash.find('team/other', digest('child'))).toBeUndefined()
    })

    test('keeps a child that was deleted before it until it goes itself', async () => {
      await pushNested()
      await deleteAt('child', 30)
      await deleteAt('index', 40)
      await deleteAt('outer', 50)
      expect(names(await candidates())).toEqual(['outer'])
      expect([await purge('child'), await purge('index')]).toEqual(['busy', 'busy'])
      expect(await purge('outer')).toBe('taken')
      expect(names(await candidates())).toEqual(['index'])
      expect(await purge('child')).toBe('busy')
      expect(await purge('index')).toBe('taken')
      expect(names(await candidates())).toEqual(['child'])
      expect(await purge('child')).toBe('taken')
      expect(await inTrash()).toEqual([])
    })

    test('keeps only the last burial of a child: older ones go', async () => {
      await putManifest(metadata, 'child')
      await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))] })
      await deleteAt('child', 10)
      await putManifest(metadata, 'child')
      await deleteAt('child', 20)
      await deleteAt('index', 30)
      const [older, ...more] = await candidates(29)
      expect([older?.digest, more]).toEqual([digest('child'), []])
      expect(older && (await metadata.collection.purge(older, LATE)).kind).toBe('taken')
      expect(await inTrash()).toEqual(['child deleted 20', 'index deleted 30'])
    })

    test('keeps no burial of a child that was pushed again, for that one stays with it', async () => {
      await putManifest(metadata, 'child')
      await putManifest(metadata, 'index', { references: [manifestReference(digest('child'))] })
      await deleteAt('child', 10)
      await deleteAt('index', 30)
      await putManifest(metadata, 'child', { now: 35 })
      expect(names(await candidates())).toEqual(['child', 'index'])
      expect(await purge('child')).toBe('taken')
      // The living one comes after it.
      const due: Due = { now: 60, before: 60, causes: [] }
      const [living] = await metadata.collection.manifests(due, 1)
      expect(living && (await metadata.collection.takeManifest(living, due, NOWHERE)).kind).toBe('taken')
      expect(await inTrash()).toEqual(['child collected 30', 'index deleted 30'])
    })

    test('comes back whole, whoever takes things out of the trash at the same moment', async () => {
      for (let round = 0; round < 12; round++) {
        await putManifest(metadata, 'child')
        await putManifest(metadata, 'other child')
        const references = ['child', 'other child'].map((name) => manifestReference(digest(name)))
        await putManifest(metadata, 'index', { references })
        await deleteAt('index', 50)
        await takeManifests(60)
        const rows = await Promise.all(['index', 'child', 'other child'].map(buried))
        const order = round % 2 === 0 ? rows : rows.toReversed()
        const purging = order.map(async (row) => (await metadata.collection.purge(row, LATE)).kind)
        const restored = await metadata.trash.restore(REPOSITORY, digest('index'), { now: 70, actor: 'eve' })
        const kinds = await Promise.all(purging)
        // Either it is back with all that it needs, or it was gone first, and nothing is back.
        expect(restored?.digests.map(nameOf).sort() ?? kinds.filter((kind) => kind === 'taken').length > 0).toEqual(
          restored === undefined ? true : ['child', 'index', 'other child'],
        )
        for (const name of ['index', 'child', 'other child']) {
          expect((await metadata.manifests.find(REPOSITORY, digest(name))) !== undefined).toBe(restored !== undefined)
          if (restored !== undefined) await deleteAt(name, 80)
        }
        for (let turn = 0; turn < 3; turn++) {
          for (const row of await candidates()) await metadata.collection.purge(row, LATE)
        }
        expect(await inTrash()).toEqual([])
      }
    })

    describe('what remains of a manifest', () => {
      const remains = async (name: string, repository = REPOSITORY) => {
        const found = await metadata.collection.remains(repository, digest(name))
        return (
          found && {
            burials: found.burials.map(({ trash, reason, batch, deletedAt }) => {
              expect(trash).toEqual({ ...trash, kind: 'trash', repository, digest: digest(name), attempts: 0 })
              return [reason, batch, deletedAt]
            }),
            manifest: found.manifest && [found.manifest.repository, nameOf(found.manifest.digest)],
            freedAt: found.freedAt,
            dependants: found.dependants.map(nameOf).sort(),
          }
        )
      }
      const there = (name: string) => [REPOSITORY, name]

      test('while nothing was deleted: itself, its children and referrers', async () => {
        await pushNested()
        const settled = { burials: [], freedAt: undefined }
        expect(await remains('index')).toEqual({
          ...{ ...settled, manifest: there('index'), dependants: ['child', 'signature'] },
        })
        expect(await remains('child')).toEqual({ ...settled, manifest: there('child'), dependants: [] })
      })

      test('is not freed where nothing ever needed it, or a push moved its tag', async () => {
        await putManifest(metadata, 'child', { now: 5 })
        await putManifest(metadata, 'index', { tags: ['v1'] })
        await putManifest(metadata, 'outer', { tags: ['v1'], now: 6 })
        expect((await remains('child'))?.freedAt).toBeUndefined()
        expect(await remains('index')).toEqual({
          ...{ burials: [], manifest: there('index'), freedAt: undefined, dependants: [] },
        })
      })

      test('after its last tag: when that was deleted', async () => {
        await pushNested()
        await metadata.tags.delete(REPOSITORY, 'outer', { now: 30, actor: 'ann' })
        expect(await remains('outer')).toEqual({
          ...{ burials: [], manifest: there('outer'), freedAt: 30, dependants: ['index'] },
        })
      })

      test('after its deletion: its burials, and those that it freed at the same time', async () => {
        await pushNested()
        await deleteAt('outer', 40)
        await metadata.manifests.delete(REPOSITORY, digest('index'), { now: 50, actor: 'ann', batch: 'all' })
        const gone = { manifest: undefined, freedAt: undefined }
        expect(await remains('index')).toEqual({
          ...{ ...gone, burials: [['deleted', 'all', 50]], dependants: ['child', 'signature'] },
        })
        expect([(await remains('child'))?.freedAt, (await remains('signature'))?.freedAt]).toEqual([50, 50])
        await takeManifests(60)
        expect(await remains('signature')).toEqual({ ...gone, burials: [['collected', undefined, 50]], dependants: [] })
        expect((await remains('index'))?.dependants).toEqual(['child', 'signature'])
      })

      test('after two deletions: the newest first, and that it was pushed again', async () => {
        for (const now of [10, 20]) {
          await putManifest(metadata, 'child', { now })
          await deleteAt('child', now + 5)
        }
        await putManifest(metadata, 'child', { now: 30 })
        expect(await remains('child')).toEqual({
          burials: [
            ['deleted', undefined, 25],
            ['deleted', undefined, 15],
          ],
          ...{ manifest: there('child'), freedAt: undefined, dependants: [] },
        })
      })

      test('is nothing elsewhere', async () => {
        await pushNested()
        await putManifest(metadata, 'child', { repository: 'team/other' })
        await deleteAt('outer', 40)
        expect([await remains('outer', 'team/other'), await remains('outer', 'team/none')]).toEqual([
          undefined,
          undefined,
        ])
      })
    })
  })
}
