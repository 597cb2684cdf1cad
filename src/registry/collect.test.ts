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
import { type CollectionTerms, createCollector } from './collect.ts'
import { createManifests } from './manifests.ts'
import { createTraffic, type PaceClock } from './pace.ts'
import { createSweep } from './sweep.ts'
import { createTurns } from './turns.ts'
import { createUploads } from './uploads.ts'

const HOUR = 3_600_000
const ORDINARY = { immediately: false, untagged: false }
const bytes = new TextEncoder().encode('a layer')
const layer = digestOf(bytes)

describe('the collector', () => {
  let directory: string
  let metadata: Metadata
  let content: MemoryContent
  let time: number
  let ids: number

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'berth-collect-'))
    metadata = await openQuickly({ path: join(directory, 'berth.db'), now: () => 1 })
    content = emptyMemory()
    time = 1_700_000_000_000
    ids = 0
  })
  afterEach(async () => {
    await metadata.close()
    rmSync(directory, { recursive: true })
  })

  /** The registry over this database; `change` sees what it stands on first. */
  function open(
    change: (deps: { metadata: Metadata; storage: Storage }) => void = () => {},
    terms = {},
    traffic = createTraffic(),
    clock: PaceClock | undefined = undefined,
  ) {
    const wanted: CollectionTerms = { delay: HOUR, untagged: 24 * HOUR, window: 48 * HOUR, workers: 2, ...terms }
    const now = () => time
    const storage = openMemory({ content, now: () => new Date(time) })
    const over = { metadata: { ...metadata, collection: { ...metadata.collection } }, storage }
    over.metadata.blobs = { ...metadata.blobs }
    change(over)
    const deps = { ...over, now, turns: createTurns() }
    const blobs = createBlobs({ ...deps, delay: () => wanted.delay })
    const newId = () => `upload-${++ids}`
    const uploads = createUploads({ ...deps, newId, bootId: 'boot', onBlob: blobs.forget })
    const policy = { enabled: true, allowsUrl: () => false, requiresChild: () => true, classes: [] }
    const manifests = createManifests({
      ...{ ...deps, policy: () => policy },
      onFreed: (digests: readonly Digest[]) => digests.forEach(blobs.forget),
    })
    const collector = createCollector({
      ...deps,
      blobs,
      manifests,
      terms: () => wanted,
      traffic,
      ...(clock && { clock }),
    })
    const sweep = createSweep({ ...deps, blobs, uploads })

    async function push(repository = 'app'): Promise<void> {
      const { id } = await uploads.start(repository)
      const body = async function* () {
        yield bytes
      }
      await uploads.finish(repository, id, layer, { body, start: undefined, length: undefined })
    }
    async function put(reference: string, repository = 'app'): Promise<Digest> {
      const manifest = JSON.stringify({
        ...{ schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json' },
        ...{ config: { mediaType: 'text/plain', digest: layer, size: bytes.byteLength }, layers: [] },
      })
      const pushed = { repository, reference, tags: [], bytes: new TextEncoder().encode(manifest), contentType: null }
      return (await manifests.put({ ...pushed, actor: 'ann' })).digest
    }
    async function putIndex(child: Digest): Promise<Digest> {
      const mediaType = 'application/vnd.oci.image.index.v1+json'
      const entry = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: child, size: 1 }
      const index = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, manifests: [entry] }))
      const pushed = { repository: 'app', reference: 'all', tags: [], bytes: index, contentType: null }
      return (await manifests.put({ ...pushed, actor: 'ann' })).digest
    }
    const isThere = (repository = 'app') =>
      blobs.open(repository, layer).then(
        ({ size }) => size === bytes.byteLength,
        () => false,
      )
    return { blobs, uploads, manifests, collector, sweep, push, put, putIndex, isThere }
  }

  /** Until everything that can go on without what is held has done so. */
  async function meanwhile(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      await metadata.blobs.locate(layer)
      await metadata.collection.status()
    }
  }

  test('a key that it has given back is not unlinked again by a cycle that still believes it to be discarded', async () => {
    const held = Promise.withResolvers<void>()
    const looked = Promise.withResolvers<void>()
    const slow = open(({ metadata: over }) => {
      const { objects } = over.collection
      over.collection.objects = async (...args) => {
        const found = await objects(...args)
        if (found.length > 0) {
          looked.resolve()
          await held.promise
        }
        return found
      }
    })
    const { push, put, isThere } = slow
    await push()
    await metadata.blobs.unlink('app', layer, { now: time })
    const cycle = slow.collector.cycle(ORDINARY)
    await looked.promise
    // Another lane of the same process, meanwhile.
    const [object] = await metadata.collection.objects(time, 1)
    if (object === undefined) throw new Error('nothing was discarded')
    content.objects.delete(object.key)
    await metadata.collection.forget(object)
    await push()
    await put('v1')
    held.resolve()
    await cycle
    expect(await isThere()).toBe(true)
    expect([...content.objects.keys()]).toEqual([object.key])
  })

  test('a push whose key came and went while it was between its bytes and its row is not acknowledged without bytes', async () => {
    const held = Promise.withResolvers<void>()
    const sealed = Promise.withResolvers<void>()
    let commits = 0
    const registry = open(({ metadata: over }) => {
      const { commit } = over.blobs
      over.blobs.commit = async (row) => {
        if (++commits === 1) {
          sealed.resolve()
          await held.promise
        }
        return await commit(row)
      }
    })
    const { push, put, blobs, collector, isThere } = registry
    const first = push()
    await sealed.promise
    // The same blob by somebody else, who takes it away again; and the collector.
    const second = push('other').then(() => blobs.delete('other', layer))
    const cycle = second.then(() => collector.cycle(ORDINARY))
    await meanwhile()
    held.resolve()
    await first
    await put('v1')
    await cycle
    expect(await isThere()).toBe(true)
  })

  test('what a HEAD has promised outlasts its delay, and a HEAD of late costs no write', async () => {
    let touches = 0
    const registry = open(({ metadata: over }) => {
      const { touch } = over.blobs
      over.blobs.touch = (...args) => {
        touches++
        return touch(...args)
      }
    })
    const { push, put, blobs, collector } = registry
    await push()
    time += HOUR / 8
    await blobs.hold('app', layer)
    expect(touches).toBe(0)
    time += HOUR / 2
    await blobs.hold('app', layer)
    await blobs.hold('app', layer)
    expect(touches).toBe(1)
    time += (HOUR * 7) / 10
    await collector.cycle(ORDINARY)
    await put('v1')
    await blobs.hold('app', layer)
    time += 10 * HOUR
    await blobs.hold('app', layer)
    // A manifest needs it: nothing is written.
    expect(touches).toBe(1)
  })

  const hurried: [string, (registry: ReturnType<typeof open>) => Promise<unknown>, boolean][] = [
    ['goes at once', async () => {}, false],
    ['stays when it was asked for since', ({ blobs }) => blobs.hold('app', layer), true],
    ['stays when it was uploaded since', ({ push }) => push(), true],
    ['stays when it was mounted since', ({ blobs }) => blobs.mount(layer, ['app'], 'app'), true],
  ]
  test.each(hurried)('what a deletion freed %s, by a cycle in a hurry', async (_, touch, stays) => {
    const registry = open()
    await registry.push()
    const manifest = await registry.put('v1')
    // Memory knows that a manifest needs it.
    await registry.blobs.hold('app', layer)
    await registry.manifests.delete('app', manifest, 'ann')
    await touch(registry)
    const { blobs, manifests } = await registry.collector.cycle({ immediately: true, untagged: false })
    expect([manifests.count, blobs.count, await registry.isThere()]).toEqual([1, stays ? 0 : 1, stays])
    expect(content.objects.size).toBe(stays ? 1 : 0)
    expect(await metadata.trash.find('app', manifest)).toBeUndefined()
  })

  const touches: [string, (registry: ReturnType<typeof open>) => Promise<unknown>][] = [
    ['asked for', ({ blobs }) => blobs.hold('app', layer)],
    ['uploaded', ({ push }) => push()],
    ['mounted', ({ blobs }) => blobs.mount(layer, ['app'], 'app')],
  ]
  const beforeAndAfter = touches.flatMap(
    ([how, touch]) =>
      [
        ['leaves', how, 'since', touch, true],
        ['takes', how, 'before', touch, false],
      ] as const,
  )
  test.each(beforeAndAfter)(
    'a cycle in a hurry %s a blob that was %s %s a manifest that needs it lost its last tag',
    async (_verb, _how, when, touch, stays) => {
      const registry = open()
      await registry.push()
      await registry.put('v1')
      if (when === 'before') await touch(registry)
      time += 1000
      await registry.manifests.delete('app', 'v1', 'ann')
      time += 1000
      if (when === 'since') await touch(registry)
      // What memory knows of the blob goes with a step of the collector's that takes nothing.
      await registry.blobs.collecting(layer, async () => {})
      const { blobs, manifests } = await registry.collector.cycle({ immediately: true, untagged: false })
      expect([manifests.count, blobs.count, await registry.isThere()]).toEqual([1, stays ? 0 : 1, stays])
      if (stays) expect(await registry.put('v2')).toBeDefined()
    },
  )

  test.each(touches)(
    'a cycle in a hurry leaves a blob that was %s before an ordinary one took what needed it',
    async (_, touch) => {
      const registry = open()
      await registry.push()
      await registry.put('v1')
      await registry.manifests.delete('app', 'v1', 'ann')
      time += 24 * HOUR
      await touch(registry)
      expect((await registry.collector.cycle(ORDINARY)).manifests.count).toBe(1)
      const { blobs } = await registry.collector.cycle({ immediately: true, untagged: false })
      expect([blobs.count, await registry.isThere()]).toEqual([0, true])
      time += HOUR
      // In the trash, where the manifest is, nothing is taken; the window of the deletion has ended long since.
      await registry.collector.cycle({ immediately: true, untagged: false })
      expect(await registry.isThere()).toBe(false)
    },
  )

  test('no link goes while who asked for its blob is being looked at', async () => {
    const frees = Promise.withResolvers<void>()
    const goesOn = Promise.withResolvers<void>()
    const registry = open(({ metadata: over }) => {
      const { takeManifest } = over.collection
      over.collection.takeManifest = async (...args) => {
        const outcome = await takeManifest(...args)
        frees.resolve()
        await goesOn.promise
        return outcome
      }
    })
    await registry.push()
    await registry.put('v1')
    await registry.blobs.hold('app', layer)
    time += 1000
    await registry.manifests.delete('app', 'v1', 'ann')
    await registry.blobs.hold('app', layer)
    const now = { immediately: true, untagged: false }
    const first = registry.collector.cycle(now)
    await frees.promise
    const second = registry.collector.cycle(now)
    await meanwhile()
    goesOn.resolve()
    const taken = (await Promise.all([first, second])).map(({ blobs }) => blobs.count)
    expect([taken, await registry.isThere()]).toEqual([[0, 0], true])
  })

  test('what nothing ever needed stays for an hour even in a hurry, whatever the delay is', async () => {
    const registry = open(() => {}, { delay: 0 })
    await registry.push()
    await registry.collector.cycle({ immediately: true, untagged: true })
    expect(await registry.isThere()).toBe(true)
    time += HOUR
    await registry.collector.cycle({ immediately: true, untagged: true })
    expect(await registry.isThere()).toBe(false)
  })

  test('an index that is deleted in the middle of a cycle in a hurry comes back with its child', async () => {
    const registry = open(({ metadata: over }) => {
      const { manifests } = over.collection
      over.collection.manifests = async (...args) => {
        // The trash has been looked through.
        await registry.manifests.delete('app', index, 'ann').catch(() => {})
        return await manifests(...args)
      }
    })
    await registry.push()
    const child = await registry.put('v1')
    const index = await registry.putIndex(child)
    // A blob that was uploaded in the moment of a deletion counts as uploaded since.
    time += 1000
    await registry.manifests.delete('app', 'v1', 'ann')
    const { manifests, blobs, failures } = await registry.collector.cycle({ immediately: true, untagged: false })
    expect([manifests.count, blobs.count, failures]).toEqual([1, 0, 0])
    const restored = await metadata.trash.restore('app', index, { now: time, actor: 'ann' })
    expect(restored).toEqual({ digests: [index, child], tags: ['all'], taken: [] })
    expect(await registry.isThere()).toBe(true)
    // Deleted again, both go with the next one.
    time += 1000
    await metadata.manifests.delete('app', index, { now: time, actor: 'ann' })
    await open().collector.cycle({ immediately: true, untagged: false })
    expect(await metadata.trash.list({}, { limit: 10 })).toEqual([])
    expect([await registry.isThere(), content.objects.size]).toEqual([false, 0])
  })

  test('an index that cannot be purged keeps its child, which goes as soon as it can', async () => {
    let fails = true
    const registry = open(({ metadata: over }) => {
      const { purge } = over.collection
      over.collection.purge = async (trash, now) => {
        if (fails && trash.digest === index) throw new Error('input/output error')
        return await purge(trash, now)
      }
    })
    await registry.push()
    const child = await registry.put('v1')
    const index = await registry.putIndex(child)
    await registry.manifests.delete('app', child, 'ann')
    await registry.manifests.delete('app', index, 'ann')
    const hurried = { immediately: true, untagged: false }
    expect((await registry.collector.cycle(hurried)).failures).toBe(1)
    expect(await registry.collector.purge((await metadata.trash.find('app', child))?.id ?? 0)).toBe('held')
    expect((await metadata.trash.list({}, { limit: 10 })).map(({ digest }) => digest)).toEqual([index, child])
    fails = false
    time += 5 * 60_000
    expect((await registry.collector.cycle(hurried)).unlinked.count).toBe(1)
    expect(await metadata.trash.list({}, { limit: 10 })).toEqual([])
  })

  const loads: [string, number, number][] = [
    ['as many as there are workers, while a client is served', 1, 2],
    ['several times as many, while nobody is', 0, 6],
  ]
  test.each(loads)(
    'files are unlinked side by side: %s; and none before its mark is synced',
    async (_, pending, most) => {
      const steps: string[] = []
      let [running, side] = [0, 0]
      const registry = open(
        ({ metadata: over, storage }) => {
          const { sync } = over.collection
          over.collection.sync = async () => {
            await sync()
            steps.push('synced')
          }
          const { delete: remove } = storage
          storage.delete = async (key) => {
            side = Math.max(side, ++running)
            await Bun.sleep(0)
            steps.push('unlinked')
            running--
            return await remove(key)
          }
        },
        {},
        { ...createTraffic(), pending: () => pending },
      )
      for (let index = 0; index < 6; index++) {
        const stray = digestOf(new TextEncoder().encode(`stray ${index}`))
        const key = stray.replace(':', '/')
        content.objects.set(key, { bytes: new Uint8Array(5), modified: new Date(time) })
        await metadata.collection.claim({ key, digest: stray, size: 5 }, time)
      }
      await registry.collector.cycle({ immediately: true, untagged: false })
      expect(side).toBe(most)
      expect(steps).toEqual(['synced', ...Array.from({ length: 6 }, () => 'unlinked')])
      expect(content.objects.size).toBe(0)
    },
  )

  test.each([
    ['takes more of the time the longer it lasts', false, [38, 18, 6]],
    ['that somebody waits for does not', true, [6, 6, 6]],
  ])('a cycle beside clients %s', async (_, immediately, expected) => {
    let elapsed = 0
    const rests: number[] = []
    const traffic = createTraffic()
    const clock: PaceClock = {
      elapsed: () => elapsed,
      async sleep(ms) {
        const isAfterFile = ms > 2
        if (isAfterFile) rests.push(ms)
        elapsed += isAfterFile ? 31 * 60_000 : ms
        traffic.arrivals++
      },
    }
    const registry = open(
      ({ storage }) => {
        const remove = storage.delete
        storage.delete = async (key) => {
          elapsed += 2
          traffic.arrivals++
          return await remove(key)
        }
      },
      { workers: 1 },
      traffic,
      clock,
    )
    traffic.arrivals++
    for (let index = 0; index < 3; index++) {
      const stray = digestOf(new TextEncoder().encode(`stray ${index}`))
      const key = stray.replace(':', '/')
      content.objects.set(key, { bytes: new Uint8Array(5), modified: new Date(time) })
      await metadata.collection.claim({ key, digest: stray, size: 5 }, time)
    }
    await registry.collector.cycle({ immediately, untagged: false })
    expect(rests).toEqual(expected)
  })

  describe('memory', () => {
    const untagged = { immediately: false, untagged: true }
    const findOf = (registry: ReturnType<typeof open>, manifest: Digest) =>
      Promise.resolve(registry.manifests.find('app', manifest)).then(
        () => 'there',
        () => 'unknown',
      )

    test('answers for no manifest that is being taken, though somebody asks in the midst of it', async () => {
      const answers: string[] = []
      const registry = open(({ metadata: over }) => {
        const { takeManifest } = over.collection
        over.collection.takeManifest = async (...args) => {
          answers.push(await findOf(registry, manifest))
          const outcome = await takeManifest(...args)
          answers.push(await findOf(registry, manifest))
          return outcome
        }
      })
      await registry.push()
      const manifest = await registry.put('v1')
      await registry.manifests.delete('app', 'v1', 'ann')
      time += 2 * HOUR
      await registry.collector.cycle(untagged)
      expect([...answers, await findOf(registry, manifest)]).toEqual(['there', 'unknown', 'unknown'])
    })

    test('does not hold what was read in the midst of it, and arrives after it', async () => {
      const held = Promise.withResolvers<void>()
      let reading: Promise<string> | undefined
      const registry = open(({ metadata: over }) => {
        const { find } = over.manifests
        over.manifests = {
          ...over.manifests,
          async find(...args) {
            const found = await find(...args)
            if (reading !== undefined) await held.promise
            return found
          },
        }
        const { takeManifest } = over.collection
        over.collection.takeManifest = async (...args) => {
          const mine = Promise.withResolvers<string>()
          reading = mine.promise
          void findOf(registry, manifest).then(mine.resolve)
          await meanwhile()
          return await takeManifest(...args)
        }
      })
      await registry.push()
      const manifest = await registry.put('v1')
      await registry.manifests.delete('app', 'v1', 'ann')
      time += 2 * HOUR
      await registry.collector.cycle(untagged)
      held.resolve()
      expect([await reading, await findOf(registry, manifest)]).toEqual(['there', 'unknown'])
    })

    test('does not hold the link of a blob that was read in the midst of it, and arrives after it', async () => {
      const held = Promise.withResolvers<void>()
      let reading: Promise<boolean> | undefined
      const registry = open(({ metadata: over }) => {
        const { find } = over.blobs
        over.blobs.find = async (...args) => {
          const found = await find(...args)
          if (reading !== undefined) await held.promise
          return found
        }
        const { takeLink } = over.collection
        over.collection.takeLink = async (...args) => {
          const mine = Promise.withResolvers<boolean>()
          reading = mine.promise
          void registry.isThere().then(mine.resolve)
          await meanwhile()
          return await takeLink(...args)
        }
      })
      await registry.push('other')
      await registry.put('v1', 'other')
      await registry.push()
      time += 2 * HOUR
      await registry.collector.cycle(ORDINARY)
      held.resolve()
      // Its bytes are there, for another repository needs them.
      expect([await reading, await registry.isThere(), await registry.isThere('other')]).toEqual([true, false, true])
    })
  })

  test('untagged manifests are kept where the terms say so, unless a cycle is told otherwise', async () => {
    const registry = open(() => {}, { untagged: 'keep' })
    await registry.push()
    const manifest = await registry.put('v1')
    await registry.manifests.delete('app', 'v1', 'ann')
    time += 1000 * HOUR
    expect((await registry.collector.cycle(ORDINARY)).manifests.count).toBe(0)
    expect((await registry.collector.cycle({ immediately: true, untagged: false })).manifests.count).toBe(0)
    expect((await registry.collector.cycle({ immediately: false, untagged: true })).manifests.count).toBe(1)
    expect(await metadata.trash.find('app', manifest)).toMatchObject({ reason: 'collected', actor: 'berth gc' })
  })

  test.each([
    [
      'marked, with a row',
      async (registry: ReturnType<typeof open>) => {
        await registry.push()
        await metadata.blobs.unlink('app', layer, { now: time })
      },
    ],
    [
      'discarded, without one',
      async () => {
        await open().push('other')
        const [key = ''] = content.objects.keys()
        await metadata.blobs.unlink('other', layer, { now: time })
        // The row is lost; the key waits for its unlinking still.
        await metadata.collection.forget({ kind: 'object', key, digest: layer, size: bytes.byteLength, attempts: 0 })
        expect(await metadata.collection.claim({ key, digest: layer, size: bytes.byteLength }, time)).toBe(true)
      },
    ],
  ])(
    'a push is acknowledged at once, and stays, although the same bytes are %s, and not unlinked yet',
    async (_, leave) => {
      const registry = open()
      await leave(registry)
      await registry.push()
      await registry.put('v1')
      await registry.collector.cycle(ORDINARY)
      expect([await registry.isThere(), content.objects.size]).toEqual([true, 1])
    },
  )

  test('a file that cannot be unlinked is put off, longer each time, and the rest goes on', async () => {
    let fails = true
    const failed: string[] = []
    const registry = open(({ storage }) => {
      const { delete: remove } = storage
      storage.delete = async (key) => {
        if (fails) throw new Error('input/output error')
        return await remove(key)
      }
    })
    const cycle = () =>
      registry.collector.cycle(ORDINARY, { failed: ({ kind, attempts }) => failed.push(`${kind} ${attempts}`) })
    await registry.push()
    await registry.blobs.delete('app', layer)
    await cycle()
    await cycle()
    time += 5 * 60_000
    await cycle()
    time += 5 * 60_000
    await cycle()
    expect(failed).toEqual(['object 0', 'object 1'])
    expect((await metadata.collection.status()).failing).toBe(1)
    fails = false
    time += 5 * 60_000
    expect((await cycle()).unlinked.count).toBe(1)
    expect(content.objects.size).toBe(0)
  })

  test('when space is short, the trash goes before its time, the oldest first, and only as much as is needed', async () => {
    const registry = open()
    const digests: Digest[] = []
    for (const repository of ['a', 'b']) {
      await registry.push(repository)
      digests.push(await registry.put('v1', repository))
      await registry.manifests.delete(repository, digests.at(-1) ?? '', 'ann')
      time += 1000
    }
    time += HOUR
    await registry.collector.cycle(ORDINARY)
    // Short until something is off the disk: both have the same blob.
    const isShort = async () => content.objects.size > 0
    expect(await registry.collector.relieve(isShort)).toBe(2)
    expect(await registry.collector.relieve(async () => false)).toBe(0)
    expect(await metadata.trash.list({}, { limit: 10 })).toEqual([])
  })

  test('the sweep finds bytes without a row and files of uploads without one, once they are old', async () => {
    const registry = open()
    await registry.push()
    const stray = digestOf(new TextEncoder().encode('stray'))
    const key = stray.replace(':', '/')
    content.objects.set(key, { bytes: new Uint8Array(5), modified: new Date(time) })
    content.uploads.set('lost', { chunks: [], size: 0, modified: new Date(time) })
    const { id } = await registry.uploads.start('app')
    time += 1000
    expect(await registry.sweep(time - 2000)).toEqual({ objects: 0, uploads: 0 })
    expect(await registry.sweep(time - 500)).toEqual({ objects: 1, uploads: 1 })
    await registry.collector.cycle(ORDINARY)
    expect([...content.objects.keys()]).toEqual([layer.replace(':', '/')])
    expect([...content.uploads.keys()]).toEqual([id])
  })
})
