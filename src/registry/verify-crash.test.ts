import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
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
import { createTurns } from './turns.ts'
import { createUploads } from './uploads.ts'
import { createBlobChecks } from './verify-blobs.ts'

/** A quarantine and a return from it, with a crash before any of their steps: what changes rows and bytes. */

const bytes = new TextEncoder().encode('a blob, as it should be')
const bad = new TextEncoder().encode('a blob, as it shoulD be')
const digest = digestOf(bytes)

class Crash extends Error {}

/** Fails at the step of that number, and at all that come after it. */
function crashing(metadata: Metadata, storage: Storage, at: number): { metadata: Metadata; storage: Storage } {
  let steps = 0
  const step =
    <A extends unknown[], R>(method: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (steps++ >= at) throw new Crash(`step ${at}`)
      return await method(...args)
    }
  const { verification } = metadata
  const { quarantine } = storage
  return {
    metadata: {
      ...metadata,
      verification: { ...verification, damage: step(verification.damage), revive: step(verification.revive) },
    },
    storage: {
      ...storage,
      quarantine: { ...quarantine, put: step(quarantine.put), restore: step(quarantine.restore) },
    },
  }
}

function program(metadata: Metadata, storage: Storage) {
  const turns = createTurns()
  const now = () => 1_700_000_000_000
  const blobs = createBlobs({ metadata, storage, now, turns, delay: () => 1000 })
  let ids = 0
  const newId = () => `id-${Date.now()}-${++ids}`
  const uploads = createUploads({ metadata, storage, now, newId, bootId: 'boot', turns, onBlob: blobs.forget })
  const checks = createBlobChecks({ metadata, storage, blobs, now })
  return {
    async verify(): Promise<string[]> {
      const rows = await metadata.verification.blobs({ limit: 10 })
      const found: Finding[] = []
      for await (const finding of checks.check(rows, { repair: true, onBytes: async () => {} })) found.push(finding)
      return found.map(({ kind, outcome }) => `${kind} ${outcome}`)
    },
    async push(repository: string) {
      const { id } = await uploads.start(repository)
      const body = async function* () {
        yield bytes.slice()
      }
      await uploads.finish(repository, id, digest, { body, start: undefined, length: undefined })
    },
    /** What a client gets: undefined for 404. */
    async pull(): Promise<Digest | undefined> {
      const object = await blobs.open('app', digest).catch(() => undefined)
      if (object?.kind !== 'stream') return undefined
      return digestOf(Buffer.concat(await Array.fromAsync(object.read(0, object.size))))
    },
  }
}

describe('a crash', () => {
  let directory: string
  let metadata: Metadata
  let content: MemoryContent
  let files = 0

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'berth-verify-crash-'))
  })
  afterAll(async () => {
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  async function damaged(): Promise<Storage> {
    await metadata?.close()
    metadata = await openQuickly({ path: join(directory, `${++files}.db`) })
    content = emptyMemory()
    const storage = openMemory({ content })
    await program(metadata, storage).push('app')
    for (const [key, object] of content.objects) content.objects.set(key, { ...object, bytes: bad })
    return storage
  }
  const copies = () => [...content.objects.values(), ...content.quarantine.values()].map((one) => digestOf(one.bytes))

  test.each([
    [0, 'before the row says so', 'served as it is'],
    [1, 'before the bytes are moved', 'not served'],
    [2, 'after both', 'not served'],
  ] as const)(
    'of the quarantine at step %i, %s: the blob is %s, nothing is lost, and the next run goes on',
    async (at, _, served) => {
      const storage = await damaged()
      const crash = crashing(metadata, storage, at)
      const outcome = await program(crash.metadata, crash.storage)
        .verify()
        .catch((error: unknown) => error)
      // The last of its steps is the look for other copies, which changes nothing here.
      expect(outcome instanceof Crash).toBe(at < 2)
      expect(copies()).toEqual([digestOf(bad)])
      expect(await program(metadata, storage).pull()).toBe(served === 'not served' ? undefined : digestOf(bad))

      const again = await program(metadata, storage).verify()
      expect(again).toEqual([at === 0 ? 'blob-digest healing' : 'blob-damaged healing'])
      expect(content.objects.size).toBe(0)
      expect(content.quarantine.size).toBe(1)
      await program(metadata, storage).push('app')
      expect(await program(metadata, storage).pull()).toBe(digest)
      expect(await program(metadata, storage).verify()).toEqual([])
    },
  )

  test.each([0, 1, 2])('and a push in place of the next run, at step %i, heals it', async (at) => {
    const storage = await damaged()
    const crash = crashing(metadata, storage, at)
    await program(crash.metadata, crash.storage)
      .verify()
      .catch(() => undefined)
    // Nobody knows of the damage before the row says so, and a push keeps what is there.
    if (at === 0) return
    await program(metadata, storage).push('app')
    expect(await program(metadata, storage).pull()).toBe(digest)
    expect(await program(metadata, storage).verify()).toEqual([])
  })

  test.each([0, 1])('of the return from the quarantine at step %i is gone on from', async (at) => {
    const storage = await damaged()
    await program(metadata, storage).verify()
    for (const [name, object] of content.quarantine) content.quarantine.set(name, { ...object, bytes })
    const crash = crashing(metadata, storage, at)
    const outcome = await program(crash.metadata, crash.storage)
      .verify()
      .catch((error: unknown) => error)
    expect(outcome).toBeInstanceOf(Crash)
    expect(copies()).toEqual([digest])
    expect(await program(metadata, storage).verify()).toEqual(['blob-damaged mended'])
    expect(await program(metadata, storage).pull()).toBe(digest)
  })
})
