import { beforeEach, describe, expect, test } from 'bun:test'
import { blobReference, digest, type Opened, refusal } from './examples.suite.ts'
import type { Amounts, Due, Metadata, QuotaLimits, QuotaSource } from './metadata.ts'
import { WAITING_ALLOWANCE } from './quota-over.ts'

const KIB = 1024
const by = (now: number) => ({ now, actor: 'ann' })
const limitsOf = (limits: Partial<QuotaLimits>): QuotaLimits => ({
  ...{ bytes: undefined, tags: undefined, repositories: undefined, ...limits },
})

/** What a quota counts, and when it refuses. A manifest of the text `m` has its text's bytes, a blob the size that is told. */
export function quotasSuite(opened: () => Opened): void {
  describe('quotas', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    async function set(prefix: string, limits: Partial<QuotaLimits>, source: QuotaSource = 'api') {
      await metadata.quotas.set({ prefix, source, limits: limitsOf(limits), now: 1 })
      await count()
    }
    async function count() {
      while (await metadata.quotas.count());
    }
    const commit = (seed: string, repository = 'team/app', size = KIB) =>
      metadata.blobs.commit({
        ...{ repository, digest: digest(seed), size, key: `key-of-${seed}`, upload: `upload-of-${seed}`, now: 1 },
      })
    const put = (
      text: string,
      blobs: readonly string[],
      more: { repository?: string; tags?: readonly string[] } = {},
    ) =>
      metadata.manifests.put({
        ...{ repository: more.repository ?? 'team/app', digest: digest(text), mediaType: 'text/m' },
        ...{ bytes: Buffer.from(text), tags: more.tags ?? [], subject: undefined, artifactType: undefined },
        ...{ references: blobs.map((blob) => blobReference(digest(blob))), annotations: undefined, ...by(5) },
      })
    /** Blobs and their manifest. */
    async function push(text: string, blobs: readonly string[], repository = 'team/app', tags: readonly string[] = []) {
      for (const blob of blobs) await commit(blob, repository)
      await put(text, blobs, { repository, tags })
    }
    const mount = (seed: string, from: string, to: string) =>
      metadata.blobs.mount({ digest: digest(seed), from: [from], to, now: 6 })
    const remove = (text: string, repository = 'team/app') => metadata.manifests.delete(repository, digest(text), by(7))

    async function used(prefix = 'team'): Promise<(Amounts & { waiting: number }) | undefined> {
      const row = (await metadata.quotas.list()).find((quota) => quota.prefix === prefix)
      return row && { ...row.used, waiting: row.waiting }
    }
    /** What every quota has counted is what the tables hold. */
    async function expectTrue(): Promise<void> {
      for (const { id, prefix, state } of await metadata.quotas.list()) {
        const found = await metadata.quotas.recount(id)
        if (found === undefined) throw new Error(`the quota of ${prefix} counts what is on its way elsewhere`)
        expect([prefix, state, found.stored]).toEqual([prefix, 'exact', found.counted])
      }
    }
    const denied = (denial: object) => ({
      name: 'MetadataError',
      fault: 'denied',
      denial: { kind: 'quota', ...denial },
    })

    describe('count', () => {
      beforeEach(() => set('team', {}))

      test('manifests, and each blob that they need once, however many repositories have it', async () => {
        await push('one', ['a', 'b'])
        expect(await used()).toEqual({ bytes: 3 + 2 * KIB, tags: 0, repositories: 1, waiting: 0 })
        await push('two', ['b', 'c'])
        await push('three', ['a'], 'team/other', ['v1', 'v2'])
        expect(await used()).toEqual({ bytes: 11 + 3 * KIB, tags: 2, repositories: 2, waiting: 0 })
        await expectTrue()
      })

      test('nothing of other repositories, those among them whose names only begin alike', async () => {
        for (const repository of ['teams/app', 'tea', 'other/team', 'team-x'])
          await push('one', ['a'], repository, ['v1'])
        expect(await used()).toEqual({ bytes: 0, tags: 0, repositories: 0, waiting: 0 })
        await push('one', ['a'], 'team', ['v1'])
        expect(await used()).toEqual({ bytes: 3 + KIB, tags: 1, repositories: 1, waiting: 0 })
        await expectTrue()
      })

      test('no blob that waits for its manifest, but tell of it', async () => {
        await commit('a')
        await commit('b')
        await mount('a', 'team/app', 'team/other')
        expect(await used()).toMatchObject({ bytes: 0, waiting: 2 * KIB })
        await put('one', ['a'])
        expect(await used()).toMatchObject({ bytes: 3 + KIB, waiting: KIB })
        await metadata.blobs.unlink('team/app', digest('b'), { now: 9 })
        expect(await used()).toMatchObject({ bytes: 3 + KIB, waiting: 0 })
      })

      test('a blob that waits in two repositories until it is in neither', async () => {
        await commit('a')
        await mount('a', 'team/app', 'team/other')
        await metadata.blobs.unlink('team/app', digest('a'), { now: 9 })
        expect(await used()).toMatchObject({ waiting: KIB })
        const due: Due = { now: 99, before: 99, causes: [] }
        for (const link of await metadata.collection.links(due, 9)) await metadata.collection.takeLink(link, due)
        expect(await used()).toMatchObject({ waiting: 0 })
      })

      test('less at once when a manifest or tag is deleted, and again what is restored', async () => {
        await push('one', ['a', 'b'], 'team/app', ['v1', 'v2'])
        await push('two', ['b'], 'team/other')
        await metadata.tags.delete('team/app', 'v2', by(6))
        expect(await used()).toEqual({ bytes: 6 + 2 * KIB, tags: 1, repositories: 2, waiting: 0 })
        await remove('one')
        expect(await used()).toEqual({ bytes: 3 + KIB, tags: 0, repositories: 1, waiting: 0 })
        await expectTrue()
        await set('team', { bytes: 1, tags: 0, repositories: 0 })
        expect((await metadata.trash.restore('team/app', digest('one'), by(8)))?.tags).toEqual(['v1'])
        expect(await used()).toEqual({ bytes: 6 + 2 * KIB, tags: 1, repositories: 2, waiting: 0 })
        await expectTrue()
      })

      test('what the collector takes no more', async () => {
        await push('one', ['a'])
        const due: Due = { now: 99, before: 99, causes: [] }
        for (const found of await metadata.collection.manifests(due, 9)) {
          await metadata.collection.takeManifest(found, due, { to: 'nowhere' })
        }
        expect(await used()).toEqual({ bytes: 0, tags: 0, repositories: 0, waiting: 0 })
        await expectTrue()
      })

      test('a blob that comes after the manifests that named it', async () => {
        const references = [blobReference(digest('late'), false)]
        for (const text of ['one', 'two']) {
          await metadata.manifests.put({
            ...{ repository: 'team/app', digest: digest(text), mediaType: 'text/m', bytes: Buffer.from(text) },
            ...{ tags: [], references, subject: undefined, artifactType: undefined, annotations: undefined, ...by(1) },
          })
        }
        expect(await used()).toMatchObject({ bytes: 6, waiting: 0 })
        await commit('late')
        expect(await used()).toMatchObject({ bytes: 6 + KIB, waiting: 0 })
        await remove('one')
        expect(await used()).toMatchObject({ bytes: 3 + KIB })
        await remove('two')
        expect(await used()).toMatchObject({ bytes: 0 })
        await expectTrue()
      })

      test('a repository under its new name alone, where there is room for it', async () => {
        await set('other', { bytes: 3 * KIB, tags: 1 })
        await set('', {})
        await push('one', ['a', 'b'], 'team/app', ['v1'])
        await push('two', ['b'], 'team/kept')
        await commit('late')
        await push('large', ['c', 'd', 'e'], 'team/large')
        const rename = (from: string, to: string) => metadata.repositories.rename(from, to, by(9))
        const all = await used('')
        expect(await rename('team/app', 'other/app')).toBe('renamed')
        expect(await used()).toEqual({ bytes: 8 + 4 * KIB, tags: 0, repositories: 2, waiting: 0 })
        expect(await used('other')).toEqual({ bytes: 3 + 2 * KIB, tags: 1, repositories: 1, waiting: 0 })
        expect(await refusal(rename('team/large', 'other/large'))).toMatchObject(denied({ prefix: 'other' }))
        expect(await used('')).toEqual(all)
        await expectTrue()
        expect(await rename('other/app', 'other/new')).toBe('renamed')
        expect(await rename('other/new', 'team/app')).toBe('renamed')
        expect(await used('other')).toEqual({ bytes: 0, tags: 0, repositories: 0, waiting: 0 })
        await push('three', ['f'], 'other/app')
        await expectTrue()
      })

      describe('a repository that gets another name in portions, between which everything may change,', () => {
        const rename = (from: string, to: string, most = 1) =>
          metadata.repositories.rename(from, to, { ...by(9), most })
        const texts = ['one', 'two', 'three', 'four', 'five']
        /** Calls until its answer is another one, with something after each. */
        async function renamed(from: string, to: string, meanwhile: (() => Promise<unknown>)[] = []) {
          const answers: string[] = []
          for (;;) {
            const answer = await rename(from, to)
            answers.push(answer)
            if (answer !== 'counting') return answers
            await meanwhile.shift()?.()
          }
        }

        beforeEach(async () => {
          for (const text of texts) await push(text, [text, 'base'], 'team/app', [text, `also-${text}`])
          await commit('late')
        })

        test('where it comes before it has the name, and where it was afterwards', async () => {
          await set('other', { bytes: 11 * KIB, tags: 20, repositories: 2 })
          await commit('there', 'other/x')
          await commit('there, too', 'other/x')
          const answers = await renamed('team/app', 'other/app', [
            () => push('six', ['six', 'base'], 'team/app', ['six']),
            () => remove('two'),
            async () => {
              await push('seven', ['one'], 'team/app', ['seven'])
              await metadata.tags.delete('team/app', 'also-one', by(9))
            },
            () => put('there', ['there'], { repository: 'other/x' }),
          ])
          expect(answers.length).toBeGreaterThan(5)
          expect(new Set(answers.slice(0, -1))).toEqual(new Set(['counting']))
          expect(answers.at(-1)).toBe('renamed')
          const there = { bytes: 29 + 7 * KIB, tags: 9, repositories: 2, waiting: KIB }
          expect(await used('other')).toEqual(there)
          // There is no room for what the other has by now.
          await commit('large', 'other/y', 3 * KIB)
          expect(await refusal(put('large', ['large'], { repository: 'other/y' }))).toMatchObject(
            denied({ prefix: 'other', resource: 'repositories' }),
          )
          expect(await metadata.quotas.isBehind()).toBe(true)
          await metadata.quotas.count(1)
          await push('eight', ['eight', 'base'], 'other/app')
          await remove('one', 'other/app')
          await metadata.quotas.count(1)
          await remove('eight', 'other/app')
          await push('nine', ['two'], 'team/app')
          while (await metadata.quotas.count(1));
          expect(await metadata.quotas.isBehind()).toBe(false)
          expect(await used()).toEqual({ bytes: 4 + KIB, tags: 0, repositories: 1, waiting: 0 })
          await expectTrue()
        })

        test('and back before the count has followed', async () => {
          await set('other', {})
          const before = await used()
          for (const [from, to] of [
            ['team/app', 'other/app'],
            ['other/app', 'team/new'],
            ['team/new', 'other/app'],
            ['other/app', 'team/app'],
          ] as const) {
            await renamed(from, to)
            await metadata.quotas.count(1)
          }
          await count()
          // What waits is counted where it is pushed.
          expect(await used()).toMatchObject({ ...before, waiting: expect.any(Number) })
          expect(await used('other')).toEqual({ bytes: 0, tags: 0, repositories: 0, waiting: 0 })
          await expectTrue()
        })

        test('leaves nothing where there is no room in the end, or a tag or the name is taken, or nobody goes on', async () => {
          await set('other', { bytes: 4 * KIB })
          const nothing = { bytes: 0, tags: 0, repositories: 0, waiting: 0 }
          const before = await used()
          const unchanged = async () => {
            await metadata.quotas.count(1)
            await count()
            expect([await used('other'), await used()]).toEqual([nothing, before])
            expect(await metadata.repositories.exists('team/app')).toBe(true)
            await expectTrue()
          }
          expect(await refusal(renamed('team/app', 'other/app'))).toMatchObject(
            denied({ prefix: 'other', resource: 'bytes', used: 0, allowed: 4 * KIB }),
          )
          await unchanged()
          expect(await rename('team/app', 'other/app')).toBe('counting')
          expect((await used('other'))?.bytes).toBeGreaterThan(0)
          const protections = [{ rule: 'all', tags: ['*'] }]
          expect(
            await refusal(metadata.repositories.rename('team/app', 'other/app', { ...by(9), protections })),
          ).toMatchObject({ denial: { kind: 'immutable' } })
          await unchanged()
          expect(await rename('team/app', 'other/app')).toBe('counting')
          await put('taken', [], { repository: 'other/app' })
          expect(await rename('team/app', 'other/app')).toBe('exists')
          await remove('taken', 'other/app')
          await unchanged()
          expect(await rename('team/app', 'other/new')).toBe('counting')
          await metadata.quotas.giveUpRenames()
          await unchanged()
        })
      })

      test('damaged bytes that are replaced with their new size', async () => {
        await push('one', ['a'])
        await metadata.blobs.commit({
          ...{ repository: 'team/app', digest: digest('a'), size: 3 * KIB, key: 'another', replaces: 'key-of-a' },
          ...{ upload: 'u', now: 9 },
        })
        expect(await used()).toMatchObject({ bytes: 3 + 3 * KIB })
        await expectTrue()
      })
    })

    describe('refuse', () => {
      test('a manifest that needs more than there is room for, and leave nothing of it', async () => {
        await set('team', { bytes: 2 * KIB + 10 })
        await push('one', ['a'])
        await commit('b')
        await put('two', ['a', 'b'])
        await commit('c', 'other')
        await mount('c', 'other', 'free/app')
        expect(await refusal(mount('c', 'other', 'team/app'))).toMatchObject(
          denied({ prefix: 'team', resource: 'bytes', used: 2 * KIB + 6, asked: KIB, allowed: 2 * KIB + 10 }),
        )
        expect(await refusal(put('three', ['a', 'b'], { tags: ['v1'] }))).toMatchObject(
          denied({ prefix: 'team', resource: 'bytes', used: 2 * KIB + 6, asked: 5, allowed: 2 * KIB + 10 }),
        )
        expect(await metadata.manifests.find('team/app', digest('three'))).toBeUndefined()
        expect(await used()).toEqual({ bytes: 2 * KIB + 6, tags: 0, repositories: 1, waiting: 0 })
        await expectTrue()
      })

      test('a blob alone that has no room, unless what is below the prefix has it', async () => {
        await set('team', { bytes: 2 * KIB })
        await push('one', ['a'])
        expect(await refusal(commit('b', 'team/other', KIB))).toMatchObject(
          denied({ resource: 'bytes', used: KIB + 3, asked: KIB, allowed: 2 * KIB }),
        )
        expect(await metadata.blobs.find('team/other', digest('b'))).toBeUndefined()
        expect(await commit('a', 'team/other')).toBe('key-of-a')
        expect(await used()).toMatchObject({ bytes: KIB + 3, waiting: 0 })
      })

      test('tags and repositories that are too many, but no move of a tag and no second manifest', async () => {
        await set('team', { tags: 1, repositories: 1 })
        await put('one', [], { tags: ['v1'] })
        expect(await put('two', [], { tags: ['v1'] })).toEqual({ stored: true })
        expect(await refusal(put('two', [], { tags: ['v2'] }))).toMatchObject(
          denied({ resource: 'tags', used: 1, asked: 1, allowed: 1 }),
        )
        expect(await refusal(put('one', [], { repository: 'team/other' }))).toMatchObject(
          denied({ resource: 'repositories', used: 1, asked: 1, allowed: 1 }),
        )
        expect(await used()).toEqual({ bytes: 6, tags: 1, repositories: 1, waiting: 0 })
        await expectTrue()
      })

      test('by each prefix that is over the repository', async () => {
        await set('team', { bytes: 3 * KIB })
        await set('team/app', { bytes: 2 * KIB })
        await set('', { bytes: 4 * KIB })
        await push('m', ['a'])
        expect(await refusal(push('n', ['b']))).toMatchObject(denied({ prefix: 'team/app', used: KIB + 1 }))
        await push('n', ['b'], 'team/other')
        expect(await refusal(push('o', ['c'], 'team/other'))).toMatchObject(
          denied({ prefix: 'team', used: 2 * KIB + 2 }),
        )
        await push('o', ['c'], 'free')
        expect(await refusal(push('p', ['d'], 'free'))).toMatchObject(denied({ prefix: '', used: 3 * KIB + 3 }))
        await expectTrue()
      })

      test('nothing that adds nothing, where more is used than a new limit allows', async () => {
        await push('one', ['a'], 'team/app', ['v1'])
        await set('team', { bytes: 1, tags: 0, repositories: 0 })
        expect(await put('one', ['a'], { tags: ['v1'] })).toEqual({ stored: true })
        expect(await commit('a')).toBe('key-of-a')
        expect((await remove('one'))?.tags).toEqual(['v1'])
        expect(await used()).toMatchObject({ bytes: 0, tags: 0, repositories: 0 })
      })

      test('uploads without end whose manifests never come', async () => {
        await set('team', { bytes: 10 * KIB })
        await commit('a', 'team/app', 6 * KIB)
        await commit('b', 'team/app', 6 * KIB)
        expect(await used()).toMatchObject({ bytes: 0, waiting: 12 * KIB })
        await opened().execute(`UPDATE quotas SET waiting = ${WAITING_ALLOWANCE + 9.5 * KIB}`)
        expect(await refusal(commit('c'))).toMatchObject(
          denied({
            ...{ resource: 'waiting', used: WAITING_ALLOWANCE + 9.5 * KIB, asked: KIB },
            allowed: WAITING_ALLOWANCE + 10 * KIB,
          }),
        )
      })
    })

    test('have limits that change, a source each, and go with all that they counted', async () => {
      await set('team', { bytes: 5 })
      await set('team', { tags: 7 })
      await metadata.quotas.configure([{ prefix: 'team', limits: limitsOf({ bytes: 9 }) }], 3)
      await metadata.quotas.configure([{ prefix: 'team', limits: limitsOf({ bytes: 9 }) }], 4)
      await count()
      const listed = async () =>
        (await metadata.quotas.list()).map(({ prefix, source, limits, createdAt, updatedAt, state }) => ({
          ...{ prefix, source, limits, createdAt, updatedAt, state },
        }))
      const own = { prefix: 'team', source: 'api', limits: limitsOf({ tags: 7 }), createdAt: 1, updatedAt: 1 }
      expect(await listed()).toEqual([
        {
          prefix: 'team',
          source: 'config',
          limits: limitsOf({ bytes: 9 }),
          createdAt: 3,
          updatedAt: 3,
          state: 'exact',
        },
        { ...own, source: 'api', state: 'exact' },
      ])
      await push('m', [])
      expect(await metadata.quotas.remove('team', 'config')).toBe(true)
      await metadata.quotas.configure([], 5)
      expect(await metadata.quotas.remove('team', 'config')).toBe(false)
      await count()
      expect(await listed()).toEqual([{ ...own, source: 'api', state: 'exact' }])
      await expectTrue()
      expect(await metadata.quotas.remove('team', 'api')).toBe(true)
      expect(await listed()).toEqual([])
      await count()
      await push('n', ['a'])
    })

    test('that come later count what was there, in portions between which everything may change', async () => {
      for (const repository of ['team/a', 'team/b', 'team', 'teams']) {
        for (const text of ['one', 'two', 'three', 'four']) await push(text, [text, 'base'], repository, [text])
      }
      await metadata.quotas.set({ prefix: 'team', source: 'api', limits: limitsOf({ bytes: 1 }), now: 1 })
      expect((await metadata.quotas.list())[0]).toMatchObject({ state: 'counting', used: { bytes: 0 } })
      // Nothing is refused meanwhile.
      await push('five', ['five', 'base'], 'team/a', ['five'])
      await metadata.quotas.count()
      await remove('one', 'team/a')
      await metadata.tags.delete('team/b', 'two', by(9))
      await push('six', ['five', 'six'], 'team/new', ['six'])
      await metadata.quotas.count()
      await remove('two', 'team/b')
      await push('seven', ['one'], 'team/a', ['seven'])
      await count()
      expect((await metadata.quotas.list())[0]?.state).toBe('exact')
      await expectTrue()
      expect(await refusal(push('eight', ['eight'], 'team/a'))).toMatchObject(denied({ prefix: 'team' }))
    })

    test('are counted anew when asked', async () => {
      await set('team', { bytes: 10 * KIB })
      await push('one', ['a'], 'team/app', ['v1'])
      await opened().execute('UPDATE quotas SET bytes = 7, tags = 9')
      const [wrong] = await metadata.quotas.list()
      expect(wrong && (await metadata.quotas.recount(wrong.id))).toEqual({
        stored: { bytes: 7, tags: 9, repositories: 1 },
        counted: { bytes: 3 + KIB, tags: 1, repositories: 1 },
      })
      expect(wrong && (await metadata.quotas.restart(wrong.id, 9))).toBe(true)
      await count()
      await expectTrue()
      expect(await metadata.quotas.list()).toMatchObject([{ limits: { bytes: 10 * KIB }, createdAt: 1, updatedAt: 9 }])
      expect(wrong && (await metadata.quotas.restart(wrong.id, 9))).toBe(false)
    })

    test('tell of a repository which are over it, and whether they have a blob', async () => {
      await set('team', { bytes: 9 * KIB })
      await set('team/app', { tags: 1 })
      await set('other', {})
      await push('one', ['a'], 'team/other')
      const over = await metadata.quotas.over('team/app', digest('a'))
      expect(over.map(({ prefix, hasBlob }) => [prefix, hasBlob])).toEqual([
        ['team', true],
        ['team/app', false],
      ])
      expect((await metadata.quotas.over('team/app', undefined)).map(({ hasBlob }) => hasBlob)).toEqual([false, false])
      expect(await metadata.quotas.over('free', digest('a'))).toEqual([])
    })

    test('with room for three of eight manifests that are put at once let three of them in', async () => {
      const texts = Array.from({ length: 8 }, (_, index) => `text ${index}`)
      await set('team', { bytes: 3 * (2 * KIB + 6) })
      await Promise.all(
        texts.flatMap((text, index) => [commit(text, `team/${index}`), commit(`c${text}`, `team/${index}`)]),
      )
      const outcomes = await Promise.allSettled(
        texts.map((text, index) => put(text, [text, `c${text}`], { repository: `team/${index}`, tags: ['v1'] })),
      )
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected')
          expect(outcome.reason).toMatchObject(denied({ prefix: 'team', resource: 'bytes' }))
      }
      expect(await used()).toMatchObject({ bytes: 3 * (2 * KIB + 6), tags: 3, repositories: 3 })
      await expectTrue()
    })

    test('hold whatever happens side by side, and count what there is', async () => {
      const random = generator(20_260_801)
      const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
      const repositories = ['team/a', 'team/b', 'team/b/c', 'other']
      const blobs = ['a', 'b', 'c', 'd', 'e', 'f']
      const limits = { bytes: 4 * KIB + 60, tags: 4, repositories: 3 }
      await set('team', limits)
      await set('', { bytes: 5 * KIB + 200 })
      const mayBeDenied = async (work: Promise<unknown>) => {
        await work.catch((error: unknown) =>
          expect(error).toMatchObject({ fault: 'denied', denial: { kind: 'quota' } }),
        )
      }
      const pushAny = async () => {
        const repository = pick(repositories)
        const chosen = [...new Set([pick(blobs), pick(blobs)])]
        for (const blob of chosen) await commit(blob, repository)
        await put(`m${Math.floor(random() * 8)}`, chosen, { repository, tags: [`t${Math.floor(random() * 3)}`] })
      }
      const due: Due = { now: 99, before: 99, causes: [] }
      const steps: (() => Promise<unknown>)[] = [
        pushAny,
        pushAny,
        pushAny,
        () => mount(pick(blobs), pick(repositories), pick(repositories)),
        () => remove(`m${Math.floor(random() * 8)}`, pick(repositories)),
        () => metadata.tags.delete(pick(repositories), `t${Math.floor(random() * 3)}`, by(9)),
        async () => {
          for (const link of await metadata.collection.links(due, 3)) await metadata.collection.takeLink(link, due)
        },
        async () => {
          const [row] = await metadata.trash.list({}, { limit: 1 })
          // What an administrator restores is not refused: only where it fits into what is asserted below.
          if (row?.repository === 'other' && random() < 0.2) await metadata.trash.restore('other', row.digest, by(9))
        },
        () => metadata.quotas.set({ prefix: 'team/b', source: 'api', limits: limitsOf({ tags: 2 }), now: 2 }),
        () => metadata.quotas.remove('team/b', 'api'),
        () => metadata.quotas.count(),
        () => metadata.repositories.rename(pick(repositories), pick(repositories), { ...by(9), most: 1 }),
        () => metadata.repositories.rename('team/b', 'other', { ...by(9), most: 1 }),
        () => metadata.quotas.giveUpRenames(),
      ]
      let accepted = 0
      for (let round = 0; round < 25; round++) {
        const batch = Array.from({ length: 6 }, () => pick(steps))
        await Promise.all(batch.map((step) => mayBeDenied(step().then(() => accepted++))))
        await metadata.quotas.giveUpRenames()
        await count()
        const team = await used()
        expect(team?.bytes).toBeLessThanOrEqual(limits.bytes)
        expect(team?.tags).toBeLessThanOrEqual(limits.tags)
        expect(team?.repositories).toBeLessThanOrEqual(limits.repositories)
        await expectTrue()
      }
      expect(accepted).toBeGreaterThan(50)
    })
  })
}

/** Numbers from 0 to 1 that are the same each time (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
