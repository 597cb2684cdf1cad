import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { emptyMemory, type MemoryContent } from '../storage/memory.ts'
import { lookUp, upload } from './collect-clients.fixture.ts'
import { createLedger } from './collect-ledger.fixture.ts'
import { HOUR, type Image, makeImages, openStorage, type Program, startProgram } from './collect-model.fixture.ts'
import { type ModelDatabase, openModelDatabase } from './collect-model-sqlite.fixture.ts'

/** A purge of an image beside a deletion of its repository that has not come to its end. */
describe('a purge in a repository whose deletion was left in its middle', () => {
  const APP = 'app'
  const BATCH = 'the deletion'
  const [first, second, third, index, signature] = makeImages() as [Image, Image, Image, Image, Image]
  const nameOf = new Map([first, second, third, index, signature].map(({ name, digest }) => [digest, name]))

  let directory: string
  let database: ModelDatabase
  let content: MemoryContent
  let program: Program
  let time: number

  beforeEach(async () => {
    directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'berth-purge-'))
    database = await openModelDatabase(join(directory, 'berth.db'))
    content = emptyMemory()
    time = 100 * HOUR
    let ids = 0
    const clock = { now: () => time, newId: () => `id-${++ids}` }
    const storage = openStorage(content, 'taken again', clock.now)
    program = startProgram(
      { metadata: database.metadata, keys: 'taken again' },
      storage,
      (call) => call(),
      clock,
      new Map(),
    )
    for (const image of [first, second, third]) await push(image, image.name)
    await push(index, 'all')
    await push(signature)
    time += 1000
    // What the deletion takes first: the index, and one other.
    await database.metadata.deletions.begin(APP, { batch: BATCH, actor: 'eve', now: time })
    await advance()
    expect(await there()).not.toContain('index')
  })
  afterEach(() => {
    database.close()
    rmSync(directory, { recursive: true })
  })

  async function push(image: Image, tag: string = image.digest): Promise<void> {
    const scene = { ledger: createLedger(() => 0), ran: { healed: 0 } as never }
    for (const blob of image.blobs) await upload(scene, program, APP, blob)
    const put = { repository: APP, reference: tag, tags: [], bytes: image.bytes, contentType: null, actor: 'ann' }
    await program.manifests.put(put)
  }

  /** A portion of the deletion, as the process had it that was killed. */
  const advance = () => program.metadata.deletions.advance(BATCH, { now: time, limit: 2 })
  const purge = async ({ digest }: Image) => {
    const purged = await program.collector.purgeImage(APP, digest)
    if (purged === undefined) return undefined
    const named = (digests: readonly { digest: Image['digest'] }[]) =>
      digests.map((each) => nameOf.get(each.digest)).sort()
    return {
      manifests: named(purged.manifests),
      kept: purged.kept.map(({ digest: each, why }) => `${nameOf.get(each)}: ${why}`).sort(),
    }
  }
  async function there(): Promise<(string | undefined)[]> {
    const all = [first, second, third, index, signature]
    const found = await Promise.all(all.map(({ digest }) => lookUp(program, APP, digest)))
    return found.flatMap((digest) => (digest === undefined ? [] : [nameOf.get(digest)]))
  }
  const buried = async () =>
    (await database.metadata.trash.list({ repository: APP }, { limit: 100 }))
      .map(({ digest }) => nameOf.get(digest))
      .sort()
  const hasBytes = ({ blobs }: Image) =>
    blobs.map(({ bytes }) => [...content.objects.values()].some((object) => Buffer.compare(object.bytes, bytes) === 0))
  const tags = () => database.metadata.tags.list(APP, { limit: 100 })

  const resume = () => Array.fromAsync(program.repositories.resume({ idleMs: 0 }))
  const names = async () => (await there()).sort()

  test('takes what that has taken; the rest goes on to the trash, and comes back', async () => {
    expect(await purge(index)).toEqual({ manifests: ['index'], kept: ['first: in-use', 'second: in-use'] })
    expect(await purge(third)).toBeUndefined()
    expect(await tags()).toEqual(['first', 'second', 'third'])
    expect(await resume()).toMatchObject([{ batch: BATCH, state: 'done' }])
    expect(await names()).toEqual([])
    expect(await program.trash.restoreBatch(APP, BATCH, 'eve')).toMatchObject({ taken: [] })
    expect(await names()).toEqual(['first', 'second', 'signature', 'third'])
    expect(await tags()).toEqual(['first', 'second', 'third'])
    expect([first, second, third, signature].flatMap(hasBytes)).not.toContain(false)
  })

  test('takes an index with its parts once that has come to its end, and nothing else of it', async () => {
    await resume()
    expect(await purge(index)).toEqual({ manifests: ['first', 'index', 'second'], kept: [] })
    expect([first, second].flatMap(hasBytes)).not.toContain(true)
    expect(await buried()).toEqual(['signature', 'third'])
    await program.trash.restoreBatch(APP, BATCH, 'eve')
    expect([await names(), await tags()]).toEqual([['signature', 'third'], ['third']])
    expect([third, signature].flatMap(hasBytes)).not.toContain(false)
  })

  test('leaves what was pushed since the beginning of that', async () => {
    time += 1000
    await push(first, 'again')
    await resume()
    expect(await purge(index)).toEqual({ manifests: ['index', 'second'], kept: ['first: in-use'] })
    expect([await names(), await tags()]).toEqual([['first'], ['again']])
    expect(hasBytes(first)).not.toContain(false)
  })

  test('takes nothing of what came back because that was called off', async () => {
    await program.trash.restoreBatch(APP, BATCH, 'eve')
    expect(await purge(index)).toBeUndefined()
    expect(await names()).toEqual(['first', 'index', 'second', 'signature', 'third'])
    expect([first, second, third, signature].flatMap(hasBytes)).not.toContain(false)
    expect(await resume()).toEqual([])
  })
})
