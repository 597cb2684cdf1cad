import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digest, refusal, upload } from '../metadata/examples.suite.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { openSqlite } from '../metadata/sqlite.ts'
import { openMemory } from '../storage/memory.ts'
import { createQuotas, type QuotaBook } from './quotas.ts'
import { createTurns } from './turns.ts'
import { type Chunk, createUploads, type Uploads } from './uploads.ts'

const GIB = 1024 ** 3
const HOUR = 3_600_000
const TEAM = 'team/app'

describe('uploads under way below a quota of 100 bytes', () => {
  let directory: string
  let metadata: Metadata
  let quotas: QuotaBook
  let time: number

  beforeEach(async () => {
    directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'berth-open-uploads-'))
    metadata = await openSqlite({ path: join(directory, 'berth.db'), now: () => 1 })
    time = 1000
    quotas = open()
    await setQuota('team')
  })
  afterEach(async () => {
    await quotas.stop()
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  /** What a process knows that was just started. */
  function open(): QuotaBook {
    return createQuotas({
      ...{ metadata, now: () => time },
      onFailure(error) {
        throw error
      },
    })
  }
  const setQuota = (prefix: string, bytes = 100) =>
    quotas.set(prefix, { bytes, tags: undefined, repositories: undefined })
  const left = (id: string, size: number, repository = TEAM) =>
    metadata.uploads.start(upload({ id, repository, size, updatedAt: time }))
  /** What it has, or what its client is told. */
  const admit = async (id: string, size: number, repository = TEAM, of?: ReturnType<typeof digest>) => {
    try {
      return (await quotas.admit(repository, id, size, of)) === undefined ? 'no bound' : 'room'
    } catch (error) {
      return error as { code: string; message: string; detail: unknown }
    }
  }

  test('have together as much as that and 1 GiB; who is refused hears what is used, open and allowed', async () => {
    await left('one', GIB)
    await left('two', 40)
    expect(await admit('new', 60)).toBe('room')
    expect(await admit('more', 1)).toMatchObject({
      code: 'DENIED',
      message:
        'the quota of team takes no further uploads at the moment: those under way, and blobs without a manifest, have 1 GiB of 1 GiB, this one has 1 B, and images use 0 B',
      detail: {
        ...{ limit: 'quota', prefix: 'team', resource: 'uploads', used: 0 },
        ...{ open: GIB + 100, asked: 1, allowed: GIB + 100 },
      },
    })
  })

  test('of many at once exactly those have room that fit', async () => {
    await left('one', GIB + 5)
    const asked = await Promise.all(Array.from({ length: 10 }, (_, index) => admit(`upload-${index}`, 30)))
    expect(asked.filter((answer) => answer === 'room')).toHaveLength(3)
  })

  test('what has its room already is asked for no more, and what did not come of it is free again', async () => {
    await left('one', GIB)
    expect(await admit('new', 100)).toBe('room')
    expect(await admit('new', 100)).toBe('room')
    expect(await admit('other', 10)).toMatchObject({ code: 'DENIED' })
    quotas.uploaded(TEAM, 'new', 90)
    expect(await admit('other', 10)).toBe('room')
    quotas.uploaded(TEAM, 'one', 0)
    expect(await admit('third', 100)).toBe('room')
  })

  test('one that says nothing of its length is asked at each piece', async () => {
    await left('one', GIB)
    const room = await quotas.admit(TEAM, 'new', 0)
    expect([room?.grown(60), room?.grown(100)]).toEqual([undefined, undefined])
    expect(await admit('other', 1)).toMatchObject({ code: 'DENIED' })
    quotas.uploaded(TEAM, 'one', GIB - 10)
    quotas.uploaded(TEAM, 'new', 80)
    expect(await admit('other', 25)).toBe('room')
    expect(room?.grown(86)).toMatchObject({
      code: 'DENIED',
      detail: { resource: 'uploads', open: GIB + 15, asked: 86 },
    })
  })

  test('those of other prefixes do not count; those of all that are over it do', async () => {
    await left('other', 2 * GIB, 'teams/app')
    expect(await admit('new', 50)).toBe('room')
    expect(await admit('another', 50, 'teams/app')).toBe('no bound')
    await setQuota('', 1000)
    expect(await admit('third', 10)).toMatchObject({ code: 'DENIED', detail: { prefix: '', open: 2 * GIB } })
    expect(await admit('fourth', 10, 'elsewhere')).toMatchObject({ code: 'DENIED', detail: { prefix: '' } })
  })

  test('blobs that wait for their manifests are a part of it', async () => {
    await metadata.uploads.start(upload({ id: 'done', repository: TEAM }))
    const blob = { repository: TEAM, digest: digest('blob'), size: 80, upload: 'done', key: 'key', now: time }
    await metadata.blobs.commit(blob)
    await left('one', GIB)
    expect(await admit('new', 20)).toBe('room')
    expect(await admit('other', 1)).toMatchObject({ detail: { open: GIB + 100 } })
  })

  test('are known to the next process', async () => {
    await left('one', GIB + 90)
    quotas = open()
    expect(await admit('new', 11)).toMatchObject({ code: 'DENIED' })
    expect(await admit('new', 10)).toBe('room')
  })

  describe('whose clients', () => {
    let uploads: Uploads
    const chunk = (...sizes: number[]): Chunk => ({
      async *body() {
        for (const size of sizes) yield new Uint8Array(size)
      },
      start: undefined,
      length: undefined,
    })
    beforeEach(async () => {
      let ids = 0
      uploads = createUploads({
        ...{
          metadata,
          quotas,
          storage: openMemory({}),
          now: () => time,
          newId: () => `upload-${++ids}`,
          bootId: 'boot',
        },
        ...{ turns: createTurns(), onBlob: () => {} },
      })
      await left('left', GIB + 60)
    })
    const remaining = async () => (await metadata.uploads.underWay(undefined, 10)).map(({ id, size }) => [id, size])

    test('left them less than an hour ago keep them, and others are refused in the middle', async () => {
      const { id } = await uploads.start(TEAM)
      time += HOUR
      expect(await refusal(uploads.append(TEAM, id, chunk(30, 30)))).toMatchObject({ code: 'DENIED' })
      expect(await remaining()).toEqual([['left', GIB + 60]])
      const next = await uploads.start(TEAM)
      expect(await uploads.append(TEAM, next.id, chunk(30, 10))).toEqual({ id: next.id, size: 40 })
      expect(await refusal(uploads.append(TEAM, next.id, { ...chunk(1), length: 1 }))).toMatchObject({ code: 'DENIED' })
      expect(await remaining()).toEqual([['left', GIB + 60]])
    })

    test('left them longer ago lose them where there is no room, and only below that prefix', async () => {
      await left('elsewhere', GIB, 'other/app')
      const { id } = await uploads.start(TEAM)
      time += HOUR + 1
      expect(await uploads.append(TEAM, id, { ...chunk(90), length: 90 })).toEqual({ id, size: 90 })
      expect(await remaining()).toEqual([
        ['elsewhere', GIB],
        [id, 90],
      ])
    })

    test('cancel them, or bring them to their end, make room', async () => {
      const [first, second] = [await uploads.start(TEAM), await uploads.start(TEAM)]
      await uploads.append(TEAM, first.id, chunk(40))
      expect(await refusal(uploads.append(TEAM, second.id, chunk(1)))).toMatchObject({ code: 'DENIED' })
      await uploads.cancel(TEAM, first.id)
      const third = await uploads.start(TEAM)
      expect(await uploads.append(TEAM, third.id, chunk(40))).toMatchObject({ size: 40 })
    })
  })
})
