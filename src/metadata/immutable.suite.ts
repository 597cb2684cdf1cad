import { beforeEach, describe, expect, test } from 'bun:test'
import { digest, manifestReference, type Opened, putManifest, REPOSITORY, refusal } from './examples.suite.ts'
import type { ImmutableRuleRow, Metadata, TagProtection } from './metadata.ts'

const PROTECTIONS: readonly TagProtection[] = [
  { rule: 'others', tags: ['other-*'] },
  { rule: 'releases', tags: ['v*', '!*-rc*'] },
]
const by = (now: number) => ({ now, actor: 'ann', protections: PROTECTIONS })

/** Rules of immutable tags, and what happens to those who would move one. */
export function immutableSuite(opened: () => Opened): void {
  describe('immutable tags', () => {
    let metadata: Metadata

    beforeEach(async () => {
      metadata = opened().metadata
      await putManifest(metadata, 'first', { tags: ['v1', 'v1-rc1', 'latest'] })
    })

    const put = (text: string, tags: readonly string[]) =>
      metadata.manifests.put({
        ...{ repository: REPOSITORY, digest: digest(text), mediaType: 'text/m', bytes: Buffer.from(text) },
        ...{ tags, references: [], subject: undefined, artifactType: undefined, annotations: undefined },
        ...by(5),
      })
    const tagged = async () => {
      const names = (await metadata.tags.list(REPOSITORY, { limit: 100 })) ?? []
      const found = await Promise.all(names.map((name) => metadata.manifests.resolve(REPOSITORY, name)))
      return Object.fromEntries(names.map((name, index) => [name, nameOf(found[index]?.digest)]))
    }
    const nameOf = (of: string | undefined) => ['first', 'second', 'third'].find((name) => digest(name) === of)
    const ALL_FIRST = { latest: 'first', v1: 'first', 'v1-rc1': 'first' }
    const denial = (asked: string | undefined) => ({
      ...{ name: 'MetadataError', fault: 'denied' },
      denial: {
        ...{ kind: 'immutable', rule: 'releases', repository: REPOSITORY, tag: 'v1', digest: digest('first') },
        asked: asked === undefined ? undefined : digest(asked),
      },
    })

    test('stay where they are when another manifest is put, which leaves nothing', async () => {
      expect(await refusal(put('second', ['v1']))).toMatchObject(denial('second'))
      expect(await tagged()).toEqual(ALL_FIRST)
      expect(await metadata.manifests.find(REPOSITORY, digest('second'))).toBeUndefined()
      expect(await metadata.tags.history(REPOSITORY, 'v1', { limit: 9 })).toHaveLength(1)
    })

    test('hold up the other tags of the same request', async () => {
      expect(await refusal(put('second', ['latest', 'v1', 'v2']))).toMatchObject(denial('second'))
      expect(await tagged()).toEqual(ALL_FIRST)
    })

    test('may be put again with the same manifest, and made where there was none', async () => {
      expect(await put('first', ['v1'])).toEqual({ stored: true })
      expect(await put('second', ['v2'])).toEqual({ stored: true })
      expect(await tagged()).toEqual({ ...ALL_FIRST, v2: 'second' })
    })

    test('leave those alone that no rule speaks of, or that one takes out', async () => {
      expect(await put('second', ['latest', 'v1-rc1'])).toEqual({ stored: true })
      expect(await tagged()).toEqual({ latest: 'second', v1: 'first', 'v1-rc1': 'second' })
    })

    test('keep what their index names, at whatever distance, and only that', async () => {
      await putManifest(metadata, 'image')
      await putManifest(metadata, 'other')
      await putManifest(metadata, 'inner', { references: [manifestReference(digest('image'))] })
      const references = [manifestReference(digest('inner')), manifestReference(digest('image'))]
      await putManifest(metadata, 'outer', { references, tags: ['v2'] })
      await putManifest(metadata, 'loose', { references: [manifestReference(digest('other'))], tags: ['latest'] })
      for (const name of ['image', 'inner', 'outer']) {
        expect(await refusal(metadata.manifests.delete(REPOSITORY, digest(name), by(5)))).toMatchObject({
          ...{ fault: 'denied', denial: { kind: 'immutable', rule: 'releases', tag: 'v2', digest: digest('outer') } },
        })
      }
      expect(await metadata.manifests.delete(REPOSITORY, digest('other'), by(6))).toBeDefined()
      await metadata.tags.delete(REPOSITORY, 'v2', { now: 7, actor: 'root' })
      expect(await metadata.manifests.delete(REPOSITORY, digest('image'), by(8))).toBeDefined()
    })

    test('are deleted neither by name nor with their manifest', async () => {
      expect(await refusal(metadata.tags.delete(REPOSITORY, 'v1', by(5)))).toMatchObject(denial(undefined))
      expect(await refusal(metadata.manifests.delete(REPOSITORY, digest('first'), by(5)))).toMatchObject(
        denial(undefined),
      )
      expect(await tagged()).toEqual(ALL_FIRST)
      expect(await metadata.trash.list({}, { limit: 9 })).toEqual([])
      expect(await metadata.tags.delete(REPOSITORY, 'latest', by(6))).toBe(digest('first'))
      expect(await metadata.tags.delete(REPOSITORY, 'v9', by(6))).toBeUndefined()
      await metadata.tags.delete(REPOSITORY, 'v1', { now: 7, actor: 'root' })
      expect((await metadata.manifests.delete(REPOSITORY, digest('first'), by(8)))?.tags).toEqual(['v1-rc1'])
    })

    test('are not restored to another manifest', async () => {
      await put('second', [])
      const restore = (to: string, protections = PROTECTIONS) =>
        metadata.tags.restore(REPOSITORY, 'v1', digest(to), { now: 9, actor: 'root', protections })
      expect(await refusal(restore('second'))).toMatchObject(denial('second'))
      expect(await restore('first')).toEqual({ kind: 'restored', digest: digest('first'), from: undefined })
      expect(await restore('second', [])).toMatchObject({ kind: 'restored', from: digest('first') })
      expect(await tagged()).toEqual({ ...ALL_FIRST, v1: 'second' })
    })

    test('have one winner where two manifests are put at once', async () => {
      for (const round of [1, 2, 3, 4, 5]) {
        const outcomes = await Promise.allSettled(['second', 'third'].map((text) => put(text, [`v2.${round}`])))
        const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
        expect(refused).toMatchObject([{ fault: 'denied', denial: { rule: 'releases', tag: `v2.${round}` } }])
        const winner = outcomes[0]?.status === 'fulfilled' ? 'second' : 'third'
        expect((await tagged())[`v2.${round}`]).toBe(winner)
      }
    })

    test('have rules, which are listed by name, added once and removed', async () => {
      const rule = (name: string): ImmutableRuleRow => ({
        ...{ name, repositories: ['team/**', '!team/x'], tags: ['v*'], comment: 'é', createdAt: 3 },
      })
      const { immutable } = metadata
      expect(await immutable.list()).toEqual([])
      expect([await immutable.add(rule('b')), await immutable.add(rule('a'))]).toEqual([true, true])
      expect(await immutable.add({ ...rule('a'), tags: [] })).toBe(false)
      expect(await immutable.list()).toStrictEqual([rule('a'), rule('b')])
      expect([await immutable.remove('a'), await immutable.remove('a')]).toEqual([true, false])
      expect(await immutable.list()).toEqual([rule('b')])
    })
  })
}
