import { expect } from 'bun:test'
import { faultsOf } from '../metadata/verification.suite.ts'
import type { Digest } from '../oci/digest.ts'
import { lookUp, unlessUnknown, upload } from './collect-clients.fixture.ts'
import { caretakersOf } from './collect-harm.fixture.ts'
import { nameOf } from './collect-ledger.fixture.ts'
import { HOUR, type Image, ORDINARY, type Program, TERMS } from './collect-model.fixture.ts'
import { standsAlone } from './collect-repositories.fixture.ts'
import { type Scene, TAGS } from './collect-scene.fixture.ts'

/**
 * Outside of the gate, while nobody is at work: what is there, seen by a process that was just started, and by `program` with
 * its caches. @throws Error when something is not as the ledger says
 */
export async function check(scene: Scene, program: Program): Promise<void> {
  const { world, random, used, imageOf, places, isHurried, schedule, ledger, content } = scene
  expect(await faultsOf(world.metadata, 1000)).toEqual([])
  for (const { bytes } of content.quarantine.values()) {
    const isWhole = used.some(({ blobs }) => blobs.some((blob) => Buffer.compare(blob.bytes, bytes) === 0))
    if (isWhole) throw new Error('whole bytes are in the quarantine')
  }
  const fresh = scene.startUngated()
  for (const repository of places) {
    for (const tag of TAGS) {
      const found = await checkName(repository, tag)
      if (world.keys === 'taken again') expect(await cached(repository, tag)).toBe(found)
      if (found !== undefined) await pull(repository, imageOf.get(found))
    }
    for (const image of used) await checkManifest(repository, image)
    for (const image of used.filter((each) => standsAlone(scene, each))) await checkTrash(repository, image)
    if (world.keys === 'never') continue
    // A sample: each costs as much as a step.
    for (const image of used.filter(() => random() < 0.5)) {
      const before = await lookUp(fresh, repository, image.digest)
      expect(await cached(repository, image.digest)).toBe(before)
      for (const { digest } of image.blobs) if (!ledger.harmed.has(digest)) await sameAnswer(repository, digest)
    }
  }

  async function checkName(repository: string, name: string): Promise<Digest | undefined> {
    const found = await lookUp(fresh, repository, name)
    const possible = ledger.possible(repository, name)
    if (possible.has(found)) return found
    const wanted = [...possible].map((digest) => digest ?? 'nothing').join(' or ')
    throw new Error(`${repository}:${name} is ${found ?? 'nothing'}, and should be ${wanted}`)
  }

  /** With or without a tag: what is there is there completely, and what is not there was deleted or has had its time. */
  async function checkManifest(repository: string, image: Image): Promise<void> {
    const since = ledger.waitsSince(repository, image) ?? Number.NEGATIVE_INFINITY
    const isOld = isHurried || scene.time - since >= TERMS.untagged
    const found = isOld ? await lookUp(fresh, repository, image.digest) : await checkName(repository, image.digest)
    if (found === undefined) return
    expect(ledger.possible(repository, image.digest)).toContain(found)
    await pull(repository, image)
  }

  /** What a client deleted lies in the trash until its window ends. */
  async function checkTrash(repository: string, image: Image): Promise<void> {
    const until = ledger.restorable.get(nameOf(repository, image))
    if (until === undefined || scene.time >= until) return
    const isThere = (await fresh.metadata.trash.find(repository, image.digest)) !== undefined
    if (!isThere)
      throw new Error(`${image.digest} has left the trash of ${repository}, though its window has not ended`)
  }

  /** What the process with caches answers, whose calls to the database wait at the gate. */
  async function cached(repository: string, reference: string): Promise<Digest | undefined> {
    return await schedule.through(lookUp(program, repository, reference))
  }

  async function sameAnswer(repository: string, digest: Digest): Promise<void> {
    const now = await fresh.metadata.blobs.find(repository, digest)
    const answer = await schedule.through(program.blobs.open(repository, digest).then(() => true, unlessUnknown))
    expect(answer === true).toBe(now !== undefined)
  }

  async function pull(repository: string, image: Image | undefined): Promise<void> {
    if (image === undefined) throw new Error('a tag points to what nobody pushed')
    const { bytes } = await fresh.manifests.find(repository, image.digest)
    expect(Buffer.compare(bytes, image.bytes)).toBe(0)
    for (const child of image.children) {
      const isThere = (await fresh.metadata.manifests.find(repository, child.digest)) !== undefined
      if (isThere) await pull(repository, child)
      // A client may delete a child by name, and restore the index.
      else if (!ledger.everDeleted.has(nameOf(repository, child)))
        throw new Error(`the child ${child.digest} of ${image.digest} is gone from ${repository}`)
    }
    for (const blob of image.blobs) await pullBlob(repository, blob)
  }

  async function pullBlob(repository: string, blob: Image['blobs'][number]): Promise<void> {
    const harm = ledger.harmed.get(blob.digest)
    const opening = fresh.blobs.open(repository, blob.digest)
    const object = harm === undefined ? await opening : await opening.catch(unlessUnknown)
    if (object === undefined || (harm !== undefined && !harm.isRepaired)) return
    if (object.kind !== 'stream') throw new Error('not a storage in memory')
    const read = await Array.fromAsync(object.read(0, object.size))
    expect(Buffer.compare(Buffer.concat(read), blob.bytes)).toBe(0)
  }
}

/** All delays have passed: what is there must be what is needed, and nothing else. */
export async function checkEnd(scene: Scene): Promise<void> {
  const { used, imageOf, places, ledger, content } = scene
  const last = scene.startUngated()
  for await (const _ of last.repositories.resume({ idleMs: 0 })) scene.ran.resumed++
  expect(await last.metadata.deletions.unfinished(9)).toEqual([])
  await check(scene, last)
  await mendAll(scene, last)
  const before = await manifestsOf()
  // What goes takes what hangs on it along one turn later: until two turns in a row find nothing.
  for (let [turn, idle] = [0, 0]; idle < 2; turn++) {
    if (turn === 20) throw new Error('the collector finds something each time')
    scene.time += TERMS.window + TERMS.delay
    const expired = await last.uploads.expire(scene.time - HOUR)
    const { objects, uploads } = await last.sweep(scene.time - HOUR)
    const { manifests, blobs, unlinked: gone } = await last.collector.cycle(ORDINARY)
    idle = expired + objects + uploads + manifests.count + blobs.count + gone.count === 0 ? idle + 1 : 0
  }
  const there = { manifests: await manifestsOf(), links: new Set<string>(), blobs: new Set<Digest>() }
  const needed = { manifests: new Set<string>(), links: new Set<string>(), blobs: new Set<Digest>() }
  const keys = new Set<string>()
  for (const repository of places) {
    const keep = (image: Image): void => {
      const name = nameOf(repository, image)
      // Nobody pushes any more: what was not there then is not there now.
      if (needed.manifests.has(name) || !before.has(name)) return
      needed.manifests.add(name)
      for (const { digest } of image.blobs) {
        needed.links.add(`${repository} ${digest}`)
        needed.blobs.add(digest)
      }
      for (const child of image.children) keep(child)
      for (const other of used) if (other.subject === image) keep(other)
    }
    for (const tag of TAGS) {
      const found = await lookUp(last, repository, tag)
      const image = found === undefined ? undefined : imageOf.get(found)
      if (image !== undefined) keep(image)
    }
    for (const { digest } of used.flatMap(({ blobs }) => blobs)) {
      const blob = await last.metadata.blobs.find(repository, digest)
      if (blob === undefined) continue
      there.links.add(`${repository} ${digest}`)
      there.blobs.add(digest)
      keys.add(blob.key)
    }
  }
  expect(there).toEqual(needed)
  expect([...content.objects.keys()].sort()).toEqual([...keys].sort())
  expect([...content.uploads.keys()]).toEqual([])
  expect(await last.metadata.collection.status()).toMatchObject({
    links: 0,
    trash: { count: 0 },
    discarded: { count: 0 },
    failing: 0,
  })
  expect([...ledger.harmed.keys()]).toEqual([])
  expect(await last.metadata.verification.countDamaged()).toBe(0)
  // The process before has ended: its caches know nothing of what this one does.
  await check(scene, last)

  async function manifestsOf(): Promise<Set<string>> {
    const found = new Set<string>()
    for (const repository of places) {
      for (const image of used) {
        if ((await lookUp(last, repository, image.digest)) !== undefined) found.add(nameOf(repository, image))
      }
    }
    return found
  }
}

/** A verification, and then pushes of what it found damaged. */
async function mendAll(scene: Scene, last: Program): Promise<void> {
  const { ledger, used, places } = scene
  if (ledger.everHarmed.size === 0) return
  await caretakersOf(scene).repair(last)
  for (const blob of used.flatMap(({ blobs }) => blobs)) {
    if (ledger.harmed.has(blob.digest)) await upload(scene, last, scene.pick(places), blob)
  }
  await check(scene, last)
}
