import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metadata } from '../metadata/metadata.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { digestOf } from '../oci/digest.ts'
import { NO_EVENTS } from './events.ts'
import { NOTHING_IMMUTABLE } from './immutable.ts'
import { createQuotas, type QuotaBook } from './quotas.ts'
import { createRepositories, type Repositories } from './repositories.ts'

const MANIFESTS = 60
const by = { actor: 'ann', force: false }

describe('another name of a repository that has more than quotas count at once', () => {
  let directory: string
  let metadata: Metadata
  let quotas: QuotaBook
  let repositories: Repositories
  let forgotten: string[]
  let portions: number

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-repositories-'))
    metadata = await openQuickly({ path: join(directory, 'berth.db'), now: () => 1 })
    forgotten = []
    portions = 0
    const { rename } = metadata.repositories
    metadata.repositories.rename = async (...names) => {
      portions++
      return await rename(...names)
    }
    quotas = open()
    const forgetRepository = (name: string) => forgotten.push(name)
    repositories = createRepositories({
      ...{ metadata, events: NO_EVENTS, immutable: NOTHING_IMMUTABLE, now: () => 9, newId: () => 'batch' },
      ...{
        manifests: { forget() {}, forgetRepository },
        blobs: { forgetRepository },
        uploads: { endAll: async () => 0 },
      },
      ...{ pulls: { flush: async () => {}, moved() {} }, onFreed() {}, onRenamed: () => void quotas.tend() },
    })
    const put = (index: number) => {
      const bytes = Buffer.from(`manifest ${index}`)
      return metadata.manifests.put({
        ...{ repository: 'team/app', digest: digestOf(bytes), mediaType: 'text/m', bytes, tags: [`t${index}`], now: 1 },
        ...{ references: [], subject: undefined, artifactType: undefined, annotations: undefined, actor: 'ann' },
      })
    }
    await Promise.all(Array.from({ length: MANIFESTS }, (_, index) => put(index)))
    await quotas.tend()
    await quotas.set('team', limits(undefined))
  })

  afterEach(async () => {
    await quotas.stop()
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  const open = () =>
    createQuotas({
      ...{ metadata, now: () => 9 },
      onFailure(error) {
        throw error
      },
    })
  const limits = (tags: number | undefined) => ({ bytes: undefined, tags, repositories: undefined })
  const counted = async (what: 'tags' | 'bytes') => {
    await quotas.tend()
    const rows = (await quotas.list()).map(({ prefix, used }): [string, number] => [prefix, used[what]])
    return Object.fromEntries(rows)
  }
  const tags = () => counted('tags')

  test('is there when it is counted below the new one, and then counted there alone', async () => {
    await quotas.set('other', limits(MANIFESTS))
    expect(await repositories.rename('team/app', 'other/app', by)).toBe('renamed')
    expect(portions).toBeGreaterThan(1)
    expect(forgotten).toEqual(['team/app', 'team/app'])
    expect(await tags()).toEqual({ team: 0, other: MANIFESTS })
    expect((await quotas.check(false)).map(({ isRight }) => isRight)).toEqual([true, true])
  })

  test('is refused where there is no room for all of it, and nothing is left of that', async () => {
    await quotas.set('other', limits(MANIFESTS - 1))
    const refused = await repositories.rename('team/app', 'other/app', by).catch((error: Error) => error.message)
    expect(refused).toContain('the quota of other')
    expect(portions).toBeGreaterThan(1)
    expect(forgotten).toEqual([])
    expect(await tags()).toEqual({ team: MANIFESTS, other: 0 })
  })

  test('that a crash cut off is given up by the next program', async () => {
    await quotas.set('other', limits(MANIFESTS))
    const change = { now: 9, actor: 'ann', most: MANIFESTS }
    const { team: bytes = 0 } = await counted('bytes')
    expect(await metadata.repositories.rename('team/app', 'other/app', change)).toBe('counting')
    expect(await counted('bytes')).toEqual({ team: bytes, other: bytes })
    await quotas.stop()
    quotas = open()
    expect(await counted('bytes')).toEqual({ team: bytes, other: 0 })
    expect(await tags()).toEqual({ team: MANIFESTS, other: 0 })
  })
})
