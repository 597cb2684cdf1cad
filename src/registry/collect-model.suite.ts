import { expect } from 'bun:test'
import { faultsOf } from '../metadata/verification.suite.ts'
import type { Digest } from '../oci/digest.ts'
import { emptyMemory } from '../storage/memory.ts'
import { createLedger, type Disturbance, nameOf } from './collect-ledger.fixture.ts'
import {
  HOUR,
  type Image,
  isUnknown,
  MODES,
  makeImages,
  ORDINARY,
  openStorage,
  type Program,
  REPOSITORIES,
  seeded,
  startProgram,
  TERMS,
  type World,
} from './collect-model.fixture.ts'
import { createSchedule } from './collect-schedule.fixture.ts'

interface Settings {
  seed: number
  operations: number
}

/** What a run did, so that a test can tell that it did anything. */
export interface Ran {
  pushed: number
  restored: number
  collected: number
  unlinked: number
  crashes: number
}

/** Milliseconds: a machine that is busy takes ten times as long. */
export const MINUTES = 15 * 60_000

/** As many runs as asked for, each with a seed of its own: `BERTH_MODEL_SEED` begins elsewhere, `BERTH_MODEL_RUNS` makes more. */
const SEED = Number(process.env.BERTH_MODEL_SEED ?? 1)
export const runs = (usual: number) => Number(process.env.BERTH_MODEL_RUNS ?? usual)

export async function walk(count: number, run: (seed: number) => Promise<Ran>): Promise<Ran> {
  const sum: Ran = { pushed: 0, restored: 0, collected: 0, unlinked: 0, crashes: 0 }
  for (let seed = SEED; seed < SEED + count; seed++) {
    const ran = await run(seed)
    for (const key of Object.keys(sum) as (keyof Ran)[]) sum[key] += ran[key]
  }
  return sum
}

/** A model that never pushes or never collects would find nothing wrong. */
export function expectBusy(sum: Ran, count: number): void {
  expect(sum.pushed).toBeGreaterThan(count)
  expect(sum.collected).toBeGreaterThan(count / 4)
  expect(sum.unlinked).toBeGreaterThan(count / 4)
  expect(sum.restored).toBeGreaterThan(count / 60)
  expect(sum.crashes).toBeGreaterThan(count / 20)
}

const TAGS = ['v1', 'v2']
/** Half of all runs do little else than this, so that it meets itself. */
const CROWDS = [
  ['push', 'abandon', 'collect'],
  ['push', 'abandon', 'unlink', 'collect'],
  ['push', 'delete', 'restore', 'untag', 'collect'],
]

/**
 * One random run. @throws Error with the seed and the last steps when a promise is broken:
 * a push whose blobs were confirmed within most of the delay is refused; what a tag points to is not what the last push or
 * deletion said, or does not pull completely; a manifest goes before its time, or its child or its signature before it;
 * what was deleted cannot be restored within its window; memory answers what the database has not; and in the end, when all
 * delays have passed, anything is there that nothing needs.
 */
export async function runModel(world: World, { seed, operations }: Settings): Promise<Ran> {
  const random = seeded(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  // Few things, so that operations meet: each run has some of the images, and one repository or both.
  const all = makeImages()
  const crowd = random() < 0.5 ? pick(CROWDS) : undefined
  const images = crowd === undefined ? all.filter(() => random() < 0.4) : []
  if (images.length === 0) images.push(pick(all))
  // What refers to something does so as a rule to something that is there.
  for (const { subject } of [...images]) if (subject !== undefined && random() < 0.7) images.push(subject)
  const repositories = crowd !== undefined || random() < 0.4 ? REPOSITORIES.slice(0, 1) : REPOSITORIES
  /** By how much the clock goes on while nobody does anything: what waits is due then, and meets whoever comes back. */
  const pauses = pick([
    [HOUR / 2, HOUR, 2 * HOUR],
    [HOUR, 7 * HOUR, TERMS.untagged],
    [TERMS.untagged, TERMS.window / 2, TERMS.window],
  ])
  /** And while they are at work. */
  const delays = pick([[60_000], [60_000, HOUR / 4, HOUR / 3], [HOUR / 2, HOUR]])
  // A hurried cycle takes at once what a deletion freed: windows and ages mean nothing then.
  const isHurried = random() < 0.3
  const schedule = createSchedule(random, { byPriority: random() < 0.6, sideBySide: world.keys === 'never' })
  const ledger = createLedger(() => schedule.step)
  /** Those that a push can bring. */
  const used = [...new Set([...images, ...images.flatMap(({ children }) => children)])]
  const imageOf = new Map(all.map((image) => [image.digest, image]))
  const content = emptyMemory()
  let time = 1_700_000_000_000
  let ids = 0
  const clock = { now: () => time, newId: () => `id-${++ids}` }
  const storage = openStorage(content, world.keys, clock.now)
  const ran: Ran = { pushed: 0, restored: 0, collected: 0, unlinked: 0, crashes: 0 }
  /** What somebody tries to restore at this moment, by repository and digest. */
  const restoring: string[] = []

  const start = () => startProgram(world, storage, schedule.gate(), clock)
  let program = start()
  const programNow = (): Program => (world.keys === 'never' ? start() : program)

  async function confirm(use: Program, repository: string, blob: Image['blobs'][number]): Promise<void> {
    if (random() < 0.8) {
      const known = await use.blobs.hold(repository, blob.digest).catch(unlessUnknown)
      if (known !== undefined) return
    }
    if (random() < 0.3) {
      const other = pick(repositories)
      if (await use.blobs.mount(blob.digest, [other], repository)) return
    }
    for (;;) {
      const { id } = await use.uploads.start(repository)
      const body = async function* () {
        yield blob.bytes
      }
      const chunk = { body, start: undefined, length: undefined }
      const done = await use.uploads.finish(repository, id, blob.digest, chunk).then(() => true, unlessUnknown)
      // "push again", which clients do.
      if (done === true) return
    }
  }

  async function push(use: Program, repository: string, image: Image, tags: readonly string[]): Promise<void> {
    for (const child of image.children) await push(use, repository, child, [])
    const confirmed: { digest: Digest; at: number; step: number }[] = []
    for (const blob of image.blobs) {
      // What happens after this may undo it, even before the client hears of it.
      const confirming = { digest: blob.digest, at: time, step: schedule.step }
      await confirm(use, repository, blob)
      confirmed.push(confirming)
    }
    const [reference = image.digest, ...others] = tags
    const made = [...tags, image.digest].map((name) => ledger.write(repository, name, image.digest))
    const from = { at: time, step: schedule.step }
    const put = { repository, reference, tags: others, bytes: image.bytes, contentType: null, actor: 'ann' }
    const done = ledger.begin(repository, time)
    const stored = await use.manifests.put(put).then(
      () => true,
      (error: unknown) => {
        if (!isUnknown(error)) throw error
        return error as Error
      },
    )
    done()
    if (stored === true) {
      ran.pushed++
      ledger.pushed.push({ repository, image })
      ledger.put(repository, image, from.at)
      for (const each of made) ledger.finish(each, true)
      return
    }
    for (const each of made) ledger.withdraw(each)
    const isQuick = confirmed.every(({ at }) => time - at < TERMS.delay * 0.7)
    const isDisturbed = confirmed.some(({ digest, step }) => ledger.isDisturbed(repository, digest, step))
    if (isQuick && !isDisturbed && image.children.length === 0) {
      throw new Error(`a push was refused in step ${from.step}, though all its blobs had been confirmed: ${stored}`)
    }
  }

  /** A client that goes away before it sends the manifest. */
  async function abandon(use: Program, repository: string, image: Image): Promise<void> {
    for (const blob of image.blobs) if (random() < 0.7) await confirm(use, repository, blob)
  }

  /** Fills the caches. */
  async function pullSomething(use: Program, repository: string, image: Image): Promise<void> {
    for (const reference of [image.digest, ...TAGS]) await lookUp(use, repository, reference)
    for (const { digest } of image.blobs) await use.blobs.open(repository, digest).catch(unlessUnknown)
  }

  async function deleteTag(use: Program, repository: string, tag: string): Promise<void> {
    const made = ledger.write(repository, tag, undefined)
    const done = ledger.begin(repository, time)
    const gone = await use.manifests.delete(repository, tag, 'eve').then(() => true, unlessUnknown)
    done()
    if (gone === true) ledger.finish(made, true)
    else ledger.withdraw(made)
  }

  /** What only these need may go at once, where a cycle is in a hurry. */
  function freeing(repository: string, freed: readonly Image[]): Disturbance {
    const digests = isHurried ? freed.flatMap(({ blobs }) => blobs.map(({ digest }) => digest)) : []
    return ledger.disturb(repository, digests)
  }

  async function deleteManifest(use: Program, repository: string, image: Image): Promise<void> {
    // Which tags it takes along is known to the database alone: any of them may, and none must.
    const ofTags = TAGS.map((tag) => ledger.write(repository, tag, undefined))
    const itself = ledger.write(repository, image.digest, undefined)
    const freed = freeing(repository, [image])
    const name = nameOf(repository, image)
    ledger.everDeleted.add(name)
    const at = time
    const done = ledger.begin(repository, at)
    const gone = await use.manifests.delete(repository, image.digest, 'eve').then(() => true, unlessUnknown)
    done()
    freed.until = schedule.step
    if (gone !== true) {
      for (const each of [...ofTags, itself]) ledger.withdraw(each)
      return
    }
    ledger.deleted.push({ repository, image })
    if (!isHurried && !restoring.includes(name)) ledger.restorable.set(name, at + TERMS.window)
    for (const each of ofTags) ledger.finish(each, false)
    ledger.finish(itself, true)
  }

  async function restore(use: Program, repository: string, image: Image): Promise<void> {
    // Children and signatures come with it.
    const made = [
      ...TAGS.map((tag) => ledger.write(repository, tag, image.digest)),
      ...used.map(({ digest }) => ledger.write(repository, digest, digest)),
    ]
    const name = nameOf(repository, image)
    const until = ledger.restorable.get(name)
    // Whatever becomes of it: it may be back, and go again in another way.
    ledger.restorable.delete(name)
    restoring.push(name)
    const isAlone = schedule.running === 1
    const done = ledger.begin(repository, time)
    const restored = await use.metadata.trash.restore(repository, image.digest, { now: time, actor: 'eve' })
    done()
    restoring.splice(restoring.indexOf(name), 1)
    use.manifests.forget(repository, [...used.map(({ digest }) => digest), ...TAGS])
    if (restored !== undefined) {
      ran.restored++
      for (const each of made) ledger.finish(each, false)
      return
    }
    for (const each of made) ledger.withdraw(each)
    if (until === undefined || time >= until || !isAlone || schedule.running > 1) return
    const living = await use.metadata.manifests.find(repository, image.digest)
    if (living === undefined) throw new Error(`${image.digest} cannot be restored, though its window has not ended`)
  }

  async function unlink(use: Program, repository: string, image: Image): Promise<void> {
    const blob = image.blobs.length === 0 ? undefined : pick(image.blobs)
    if (blob === undefined) return
    const disturbance = ledger.disturb(repository, [blob.digest])
    await use.blobs.delete(repository, blob.digest).catch(unlessUnknown)
    disturbance.until = schedule.step
  }

  async function collect(use: Program): Promise<void> {
    const totals = await use.collector.cycle(isHurried ? pick(MODES) : ORDINARY, {
      manifest({ repository, digest }) {
        const image = imageOf.get(digest)
        if (image !== undefined) freeing(repository, [image]).until = schedule.step
      },
    })
    ran.collected += totals.blobs.count
    ran.unlinked += totals.unlinked.count
    if (totals.failures > 0) throw new Error('a candidate failed')
  }

  /** An operator who wants the space of one deletion back at once. */
  async function purge(use: Program): Promise<void> {
    const rows = isHurried ? await use.metadata.trash.list({}, { limit: 5 }) : []
    if (rows.length > 0) await use.collector.purge(pick(rows).id)
  }

  const anyOf = (known: readonly { repository: string; image: Image }[]): [string, Image] => {
    const one = known.length === 0 ? { repository: pick(repositories), image: pick(images) } : pick(known)
    return [one.repository, one.image]
  }

  const OPERATIONS: [number, string, (use: Program) => Promise<void>][] = [
    [30, 'push', (use) => push(use, pick(repositories), pick(images), pick([[], ['v1'], ['v2'], ['v1', 'v2']]))],
    [8, 'abandon', (use) => abandon(use, pick(repositories), pick(images))],
    [10, 'pull', (use) => pullSomething(use, pick(repositories), pick(images))],
    [8, 'untag', (use) => deleteTag(use, pick(repositories), pick(TAGS))],
    [10, 'delete', (use) => deleteManifest(use, ...anyOf(ledger.pushed))],
    [10, 'restore', (use) => restore(use, ...anyOf(ledger.deleted))],
    [3, 'purge', purge],
    [8, 'unlink', (use) => unlink(use, ...anyOf(ledger.pushed))],
    [30, 'collect', collect],
    [2, 'sweep', async (use) => void (await use.sweep(time - 2 * HOUR))],
    [5, 'expire', async (use) => void (await use.uploads.expire(time - 2 * HOUR))],
  ]
  const DEALT = OPERATIONS.filter(([, name]) => crowd === undefined || crowd.includes(name)).flatMap((operation) =>
    Array.from({ length: operation[0] }, () => operation),
  )

  function begin(): void {
    const [, name, operation] = pick(DEALT)
    schedule.begin(name, () => operation(programNow()))
  }

  function crash(): void {
    ran.crashes++
    ledger.crash()
    restoring.length = 0
    schedule.crash()
    program = start()
  }

  async function quiet(): Promise<void> {
    for (; schedule.waiting > 0; schedule.step++) await schedule.happen()
    await schedule.settle()
    if (schedule.running > 0) throw new Error(`${schedule.running} operations wait for nothing`)
    await check()
  }

  /** Outside of the gate: what is there, seen by a process that was just started, and by the one with its caches. */
  async function check(): Promise<void> {
    expect(await faultsOf(world.metadata, 1000)).toEqual([])
    const fresh = startProgram(world, storage, (call) => call(), clock)
    for (const repository of repositories) {
      for (const tag of TAGS) {
        const found = await checkName(fresh, repository, tag)
        if (world.keys === 'taken again') expect(await cached(repository, tag)).toBe(found)
        if (found !== undefined) await pull(fresh, repository, imageOf.get(found))
      }
      for (const image of used) await checkManifest(fresh, repository, image)
      for (const image of used.filter(standsAlone)) await checkTrash(fresh, repository, image)
      if (world.keys === 'never') continue
      // A sample: each costs as much as a step.
      for (const image of used.filter(() => random() < 0.5)) {
        const before = await lookUp(fresh, repository, image.digest)
        expect(await cached(repository, image.digest)).toBe(before)
        for (const { digest } of image.blobs) await sameAnswer(fresh, repository, digest)
      }
    }
  }

  async function checkName(use: Program, repository: string, name: string): Promise<Digest | undefined> {
    const found = await lookUp(use, repository, name)
    const possible = ledger.possible(repository, name)
    if (possible.has(found)) return found
    const wanted = [...possible].map((digest) => digest ?? 'nothing').join(' or ')
    throw new Error(`${repository}:${name} is ${found ?? 'nothing'}, and should be ${wanted}`)
  }

  /** With or without a tag: what is there is there completely, and what is not there was deleted or has had its time. */
  async function checkManifest(use: Program, repository: string, image: Image): Promise<void> {
    const since = ledger.waitsSince(repository, image) ?? Number.NEGATIVE_INFINITY
    const isOld = isHurried || time - since >= TERMS.untagged
    const found = isOld ? await lookUp(use, repository, image.digest) : await checkName(use, repository, image.digest)
    if (found === undefined) return
    expect(ledger.possible(repository, image.digest)).toContain(found)
    await pull(use, repository, image)
  }

  /** Neither comes back with another one, nor brings one. */
  const standsAlone = (image: Image) =>
    image.subject === undefined && !used.some((other) => other.subject === image || other.children.includes(image))

  /** What a client deleted lies in the trash until its window ends. */
  async function checkTrash(use: Program, repository: string, image: Image): Promise<void> {
    const until = ledger.restorable.get(nameOf(repository, image))
    if (until === undefined || time >= until) return
    const isThere = (await use.metadata.trash.find(repository, image.digest)) !== undefined
    if (!isThere)
      throw new Error(`${image.digest} has left the trash of ${repository}, though its window has not ended`)
  }

  const lookUp = async (use: Program, repository: string, reference: string): Promise<Digest | undefined> =>
    (await Promise.resolve(use.manifests.find(repository, reference)).catch(unlessUnknown))?.digest

  /** What the process with caches answers, whose calls to the database wait at the gate. */
  const cached = (repository: string, reference: string) => schedule.through(lookUp(program, repository, reference))

  async function sameAnswer(fresh: Program, repository: string, digest: Digest): Promise<void> {
    const now = await fresh.metadata.blobs.find(repository, digest)
    const answer = await schedule.through(program.blobs.open(repository, digest).then(() => true, unlessUnknown))
    expect(answer === true).toBe(now !== undefined)
  }

  async function pull(use: Program, repository: string, image: Image | undefined): Promise<void> {
    if (image === undefined) throw new Error('a tag points to what nobody pushed')
    const { bytes } = await use.manifests.find(repository, image.digest)
    expect(Buffer.compare(bytes, image.bytes)).toBe(0)
    for (const child of image.children) {
      const isThere = (await use.metadata.manifests.find(repository, child.digest)) !== undefined
      if (isThere) await pull(use, repository, child)
      // A client may delete a child by name, and restore the index.
      else if (!ledger.everDeleted.has(nameOf(repository, child)))
        throw new Error(`the child ${child.digest} of ${image.digest} is gone from ${repository}`)
    }
    for (const blob of image.blobs) {
      const object = await use.blobs.open(repository, blob.digest)
      if (object.kind !== 'stream') throw new Error('not a storage in memory')
      const read = await Array.fromAsync(object.read(0, object.size))
      expect(Buffer.compare(Buffer.concat(read), blob.bytes)).toBe(0)
    }
  }

  /** All delays have passed: what is there must be what is needed, and nothing else. */
  async function end(): Promise<void> {
    const last = startProgram(world, storage, (call) => call(), clock)
    // The process before has ended: its caches know nothing of what this one does.
    program = last
    const before = await manifestsOf(last)
    // What goes takes what hangs on it along one turn later: until two turns in a row find nothing.
    for (let [turn, idle] = [0, 0]; idle < 2; turn++) {
      if (turn === 20) throw new Error('the collector finds something each time')
      time += TERMS.window + TERMS.delay
      const expired = await last.uploads.expire(time - HOUR)
      const { objects, uploads } = await last.sweep(time - HOUR)
      const { manifests, blobs, unlinked: gone } = await last.collector.cycle(ORDINARY)
      idle = expired + objects + uploads + manifests.count + blobs.count + gone.count === 0 ? idle + 1 : 0
    }
    const there = { manifests: await manifestsOf(last), links: new Set<string>(), blobs: new Set<Digest>() }
    const needed = { manifests: new Set<string>(), links: new Set<string>(), blobs: new Set<Digest>() }
    const keys = new Set<string>()
    for (const repository of repositories) {
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
      garbage: { count: 0 },
      trash: { count: 0 },
      discarded: { count: 0 },
      failing: 0,
    })
    await check()
  }

  async function manifestsOf(use: Program): Promise<Set<string>> {
    const found = new Set<string>()
    for (const repository of repositories) {
      for (const image of used) {
        if ((await lookUp(use, repository, image.digest)) !== undefined) found.add(nameOf(repository, image))
      }
    }
    return found
  }

  try {
    for (let left = operations; left > 0 || schedule.waiting > 0; schedule.step++) {
      const roll = random()
      if (left > 0 && schedule.waiting === 0) {
        if (random() < 0.6) time += pick(pauses)
        for (let together = 1 + below(4); together > 0 && left > 0; together--, left--) begin()
        await schedule.settle()
      } else if (left > 0 && schedule.running < 4 && roll < 0.1) {
        left--
        begin()
        await schedule.settle()
      } else if (roll < 0.14) {
        time += pick(delays)
      } else if (roll < 0.15) {
        crash()
        await schedule.settle()
      } else if (roll < 0.16) {
        await quiet()
      } else await schedule.happen()
    }
    await quiet()
    await end()
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const last = schedule.trace.slice(-40).join('\n')
    throw new Error(`seed ${seed}, step ${schedule.step}: ${told}\n${last}`, { cause: error })
  }
  return ran
}

function unlessUnknown(error: unknown): undefined {
  if (!isUnknown(error)) throw error
  return undefined
}
