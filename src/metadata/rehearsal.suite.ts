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
import type { Due, Metadata, Rehearsal, RehearsalPlan } from './metadata.ts'

const OTHER = 'team/other'
const WEEK = 7 * 24 * 3_600_000
const NOW = 100
const BLOBS = ['base', 'own', 'spare', 'deleted', 'signed', 'lonely', 'elsewhere']
const MANIFESTS = ['tagged', 'untagged', 'index', 'outer', 'child', 'signature', 'gone', 'gone index', 'gone child']

/** What a cycle would take is what one takes. */
export function rehearsalSuite(opened: () => Opened): void {
  describe('a rehearsal of a collection', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const named = (of: Digest) => [...BLOBS, ...MANIFESTS].find((name) => digest(name) === of) ?? of
    const needs = (...names: string[]) => names.map((name) => blobReference(digest(name)))
    const names = (...children: string[]) => children.map((name) => manifestReference(digest(name)))
    const remove = (name: string, now: number) =>
      metadata.manifests.delete(REPOSITORY, digest(name), { now, actor: 'ann' })

    /** Each kind of candidate, with what it has in common with others. */
    async function fill(): Promise<void> {
      for (const blob of BLOBS) await pushBlob(metadata, blob)
      for (const blob of ['base', 'elsewhere']) await pushBlob(metadata, blob, OTHER)
      await putManifest(metadata, 'tagged', { references: needs('base'), tags: ['v1'] })
      await putManifest(metadata, 'elsewhere tagged', {
        repository: OTHER,
        references: needs('elsewhere'),
        tags: ['v1'],
      })
      await putManifest(metadata, 'untagged', { references: needs('base', 'own') })
      await putManifest(metadata, 'child', { references: needs('base', 'spare') })
      await putManifest(metadata, 'index', { references: names('child', 'tagged') })
      await putManifest(metadata, 'outer', { references: names('index') })
      await putManifest(metadata, 'signature', { subject: digest('outer'), references: needs('signed') })
      await putManifest(metadata, 'gone', { references: needs('base', 'deleted'), tags: ['old'] })
      await putManifest(metadata, 'gone child', { references: needs('deleted') })
      await putManifest(metadata, 'gone index', { references: names('gone child') })
      await remove('gone', 20)
      await remove('gone child', 30)
      await remove('gone index', 40)
    }

    async function rehearse(plan: RehearsalPlan, limit = 1000): Promise<Rehearsal> {
      for (let step = 0; step < 100; step++) {
        const rehearsal = await metadata.collection.rehearse({ id: 'one', plan, limit })
        if (rehearsal !== undefined) return rehearsal
      }
      throw new Error('it does not end')
    }

    /** As a cycle does, until nothing moves any more. */
    async function perform({ trashBefore, manifests, links }: RehearsalPlan) {
      const { collection } = metadata
      const taken = { manifests: [] as Digest[], blobs: [] as Digest[] }
      const discard = (outcome: Awaited<ReturnType<typeof collection.purge>>) => {
        if (outcome.kind === 'taken') taken.blobs.push(...outcome.discarded.map((blob) => blob.digest))
        return outcome.kind === 'taken'
      }
      for (let moved = trashBefore !== undefined; moved; ) {
        moved = false
        for (const row of await collection.trash(trashBefore ?? 0, NOW, 2))
          if (discard(await collection.purge(row, NOW))) {
            taken.manifests.push(row.digest)
            moved = true
          }
      }
      for (let moved = manifests !== undefined; moved && manifests !== undefined; ) {
        moved = false
        for (const row of await collection.manifests(manifests.due, 2)) {
          const isTaken = discard(await collection.takeManifest(row, manifests.due, manifests.destination))
          if (isTaken) taken.manifests.push(row.digest)
          moved = true
        }
      }
      for (let moved = true; moved; ) {
        moved = false
        for (const row of await collection.links(links, 2)) {
          discard(await collection.takeLink(row, links))
          moved = true
        }
      }
      return taken
    }

    const due = (before: number, ...causes: Due['causes']): Due => ({ now: NOW, before, causes })
    const trash = { to: 'trash', from: 'since', window: WEEK } as const
    const plans: [string, RehearsalPlan, string[], string[]][] = [
      [
        'that finds nothing due',
        { trashBefore: 0, manifests: { due: due(0), destination: trash }, links: due(0) },
        [],
        [],
      ],
      [
        'that puts what waited long enough into the trash',
        { trashBefore: 0, manifests: { due: due(NOW), destination: trash }, links: due(NOW) },
        ['child', 'index', 'outer', 'signature', 'untagged'],
        ['lonely'],
      ],
      [
        'whose windows have ended',
        { trashBefore: NOW, manifests: { due: due(NOW), destination: { ...trash, window: 0 } }, links: due(NOW) },
        ['child', 'gone', 'gone child', 'gone index', 'index', 'outer', 'signature', 'untagged'],
        ['deleted', 'lonely', 'own', 'signed', 'spare'],
      ],
      [
        'in a hurry: what deletions freed',
        {
          trashBefore: NOW,
          manifests: { due: due(0, 'deleted'), destination: { to: 'nowhere' } },
          links: due(0, 'deleted'),
        },
        ['gone', 'gone child', 'gone index'],
        ['deleted'],
      ],
      [
        'that keeps untagged manifests',
        { trashBefore: 25, manifests: undefined, links: due(NOW) },
        ['gone'],
        ['lonely'],
      ],
      [
        'whose trash is due in part: an index keeps its child',
        { trashBefore: 35, manifests: undefined, links: due(NOW, 'deleted') },
        ['gone'],
        ['lonely'],
      ],
    ]
    test.each(plans)('%s', async (_, plan, manifests, blobs) => {
      await fill()
      const before = await metadata.collection.status()
      const rehearsal = await rehearse(plan)
      expect(await metadata.collection.status()).toEqual(before)
      expect([rehearsal.manifests.map((row) => named(row.digest)).sort(), rehearsal.complete]).toEqual([
        manifests,
        true,
      ])
      expect(rehearsal.blobs.map((row) => named(row.digest)).sort()).toEqual(blobs)
      const taken = await perform(plan)
      expect(taken.manifests.map(named).sort()).toEqual(manifests)
      expect(taken.blobs.map(named).sort()).toEqual(blobs)
    })

    test('in a hurry, what an index that was deleted meanwhile leaves is not in the rehearsal for good', async () => {
      await fill()
      await remove('outer', 60)
      const hurried = due(0, 'deleted')
      const plan: RehearsalPlan = {
        ...{ trashBefore: 50, links: hurried },
        manifests: { due: hurried, destination: { to: 'nowhere' } },
      }
      const rehearsal = await rehearse(plan)
      const all = ['child', 'gone', 'gone child', 'gone index', 'index', 'signature']
      expect(rehearsal.manifests.map((row) => named(row.digest)).sort()).toEqual(all)
      expect(rehearsal.blobs.map((row) => named(row.digest)).sort()).toEqual(['deleted'])
      const taken = await perform(plan)
      expect(taken.manifests.map(named).sort()).toEqual(all)
      expect(taken.blobs.map(named).sort()).toEqual(['deleted'])
    })

    test('says so where there are more candidates than it may look at', async () => {
      await fill()
      const plan: RehearsalPlan = { trashBefore: NOW, manifests: undefined, links: due(NOW) }
      expect((await rehearse(plan, 2)).complete).toBe(false)
    })

    test('is done in steps, between which others write', async () => {
      for (let index = 0; index < 60; index++) await pushBlob(metadata, `blob ${index}`)
      const plan: RehearsalPlan = { trashBefore: undefined, manifests: undefined, links: due(NOW) }
      const run = { id: 'long', plan, limit: 1000 }
      const steps: (number | undefined)[] = []
      do {
        const rehearsal = await metadata.collection.rehearse(run)
        // Someone needs it from now on, and it has been looked at, or not.
        if (steps.length === 0) await pushBlob(metadata, 'meanwhile', OTHER)
        steps.push(rehearsal?.blobs.length)
      } while (steps.at(-1) === undefined)
      expect(steps.length).toBeGreaterThan(4)
      expect(steps.at(-1)).toBe(60)
    })
  })
}
