import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Metadata } from '../metadata/metadata.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { emptyMemory, type MemoryContent, openMemory } from '../storage/memory.ts'
import type { Storage } from '../storage/storage.ts'
import { createBlobs } from './blobs.ts'
import type { Finding } from './finding.ts'
import { createRate, StoppedError } from './rate.ts'
import { createScrub, type Scrub } from './scrub.ts'
import { createTurns } from './turns.ts'
import { createBlobChecks, stampOf, timeOfStamp } from './verify-blobs.ts'

const DAY = 24 * 3_600_000
const START = Date.parse('2026-01-02T03:04:05Z')
const TERMS = { every: 30 * DAY, rate: 1e12 }

describe('the scrub', () => {
  let directory: string
  let metadata: Metadata
  let content: MemoryContent
  let storage: Storage
  let scrub: Scrub
  let time: number
  let digests: Digest[]

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-scrub-'))
    metadata = await openQuickly({ path: join(directory, 'berth.db') })
    content = emptyMemory()
    storage = openMemory({ content })
    time = START
    digests = []
    for (let each = 0; each < 5; each++) {
      const bytes = new TextEncoder().encode(`blob ${each}`)
      const digest = digestOf(bytes)
      const key = digest.replace(':', '/')
      content.objects.set(key, { bytes, modified: new Date(0) })
      await metadata.blobs.commit({ repository: 'app', digest, size: bytes.byteLength, key, upload: 'u', now: 1 })
      digests.push(digest)
    }
    digests.sort()
    scrub = restart()
  })
  afterEach(async () => {
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  function restart(): Scrub {
    const now = () => time
    const blobs = createBlobs({ metadata, storage, now, turns: createTurns(), delay: () => 1000 })
    return createScrub({ metadata, storage, now, checks: createBlobChecks({ metadata, storage, blobs, now }) })
  }

  /** Scrubs, and ends after so many blobs. Tells what was hashed, found and completed. */
  async function run(stopAfter = Number.POSITIVE_INFINITY) {
    const controller = new AbortController()
    const heard = { blobs: 0, found: [] as Finding['kind'][], completed: 0, stopped: false }
    const events = {
      found: ({ kind }: Finding) => void heard.found.push(kind),
      blob() {
        if (++heard.blobs >= stopAfter) controller.abort()
      },
      completed: () => void heard.completed++,
    }
    await scrub.run(TERMS, events, controller.signal).catch((error: unknown) => {
      if (!(error instanceof StoppedError)) throw error
      heard.stopped = true
    })
    return heard
  }
  const rot = (digest: Digest | undefined) => {
    const key = digest?.replace(':', '/') ?? ''
    content.objects.set(key, { bytes: new TextEncoder().encode('rotten'), modified: new Date(0) })
  }

  test('hashes every blob once, and then rests until its time has come again', async () => {
    expect(await run()).toEqual({ blobs: 5, found: [], completed: 1, stopped: false })
    time += 29 * DAY
    expect(await run()).toEqual({ blobs: 0, found: [], completed: 0, stopped: false })
    time += DAY
    expect(await run()).toMatchObject({ blobs: 5, completed: 1 })
    expect(await metadata.verification.scrub()).toMatchObject({ startedAt: time, endedAt: time, blobs: 5, damaged: 0 })
  })

  test('goes on where it stopped, over a restart', async () => {
    expect(await run(2)).toMatchObject({ blobs: 2, completed: 0, stopped: true })
    expect(await metadata.verification.scrub()).toMatchObject({ last: digests[1], blobs: 2, endedAt: undefined })
    time += DAY
    scrub = restart()
    expect(await run()).toMatchObject({ blobs: 3, completed: 1 })
    expect(await metadata.verification.scrub()).toMatchObject({ startedAt: START, blobs: 5, endedAt: time })
  })

  test('puts damaged blobs aside, and counts each once', async () => {
    for (const damaged of [digests[0], digests[4]]) rot(damaged)
    expect(await run()).toMatchObject({ blobs: 5, found: ['blob-digest', 'blob-digest'], completed: 1 })
    expect(await metadata.verification.countDamaged()).toBe(2)
    expect(content.quarantine.size).toBe(2)
    time += 30 * DAY
    expect(await run()).toMatchObject({ blobs: 3, found: ['blob-damaged', 'blob-damaged'] })
    expect(await metadata.verification.scrub()).toMatchObject({ damaged: 0 })
  })

  test('begins again where a clock was ahead once', async () => {
    time += 1000 * DAY
    await run()
    time = START
    expect(await run()).toMatchObject({ blobs: 5, completed: 1 })
  })

  test('the quarantine forgets what is old, but nothing that is all there is of a blob', async () => {
    const [first, second] = digests
    for (const damaged of [first, second]) rot(damaged)
    await run()
    const key = `${first?.replace(':', '/')}.1`
    content.objects.set(key, { bytes: new Uint8Array(6), modified: new Date(0) })
    await metadata.blobs.commit({ repository: 'app', digest: first as Digest, size: 6, key, upload: 'u', now: 1 })
    expect(await scrub.expire(time - 1)).toBe(0)
    time += DAY
    expect(await scrub.expire(time)).toBe(1)
    expect([...content.quarantine.keys()]).toEqual([`${second?.replace(':', '-')}.20260102T030405Z`])
  })

  test('stamps are times', () => {
    expect(stampOf(START)).toBe('20260102T030405Z')
    expect(timeOfStamp('20260102T030405Z')).toBe(START)
    expect(timeOfStamp('now')).toBeUndefined()
    expect(timeOfStamp(undefined)).toBeUndefined()
  })
})

describe('the rate', () => {
  const open = (rate: number | undefined, signal = new AbortController().signal) => {
    let at = 0
    const slept: number[] = []
    const clock = {
      elapsed: () => at,
      async sleep(ms: number) {
        slept.push(ms)
        at += ms
      },
    }
    return { wait: createRate(rate, signal, clock), slept, pass: (ms: number) => (at += ms), now: () => at }
  }

  test('is kept over many reads, whatever each takes', async () => {
    const { wait, pass, now } = open(1_000_000)
    for (let read = 0; read < 20; read++) {
      pass(read)
      await wait(100_000)
    }
    expect(now()).toBeGreaterThanOrEqual(2_000 - 100)
    expect(now()).toBeLessThanOrEqual(2_000 + 100)
  })

  test('lets nobody make up for a long rest', async () => {
    const { wait, pass, now } = open(1_000_000)
    pass(60_000)
    await wait(1_000_000)
    expect(now()).toBe(60_900)
  })

  test('counts a small file for what finding it costs', async () => {
    const { wait, now } = open(16 * 1024)
    await wait(1)
    await wait(1)
    expect(now()).toBe(2_000)
  })

  test('sleeps in pieces, so that a stop is soon heard', async () => {
    const controller = new AbortController()
    const { wait, slept } = open(1000, controller.signal)
    const waiting = wait(1_000_000).catch((error: unknown) => error)
    controller.abort()
    expect(await waiting).toBeInstanceOf(StoppedError)
    expect(slept).toEqual([500])
  })

  test('without a limit nobody sleeps', async () => {
    const { wait, slept } = open(undefined)
    await wait(1e12)
    expect(slept).toEqual([])
  })
})
