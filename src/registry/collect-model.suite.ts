import { expect } from 'bun:test'
import type { Digest } from '../oci/digest.ts'
import { emptyMemory } from '../storage/memory.ts'
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

/** What one operation set a tag to, from when to when (in steps of the driver). */
interface Write {
  to: Digest | undefined
  from: number
  /** Infinity while it is under way. */
  until: number
  /** False: it may have changed nothing, or nobody heard of its end. */
  isCertain: boolean
}

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
  expect(sum.restored).toBeGreaterThan(count / 20)
  expect(sum.crashes).toBeGreaterThan(count / 20)
}

const TAGS = ['v1', 'v2']

/**
 * One random run. @throws Error with the seed and the last steps when a promise is broken:
 * a push whose blobs were confirmed within most of the delay is refused; what a tag points to is not what the last push or
 * deletion said, or does not pull completely; what was deleted cannot be restored within its window; memory answers what the
 * database has not; and in the end, when all delays have passed, anything is there that nothing needs.
 */
export async function runModel(world: World, { seed, operations }: Settings): Promise<Ran> {
  const random = seeded(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const images = makeImages()
  const imageOf = new Map(images.map((image) => [image.digest, image]))
  // Without hurried cycles, what was confirmed to a client must be there; with them, only what is needed.
  const isHurried = random() < 0.3
  const content = emptyMemory()
  let time = 1_700_000_000_000
  let step = 0
  let ids = 0
  const clock = { now: () => time, newId: () => `id-${++ids}` }
  const storage = openStorage(content, world.keys, clock.now)
  const trace: string[] = []
  const ran: Ran = { pushed: 0, restored: 0, collected: 0, unlinked: 0, crashes: 0 }

  /** Calls that wait to happen. */
  let pending: { run(): Promise<void>; generation: number }[] = []
  let generation = 0
  const gateOf = (mine: number) => (call: () => Promise<unknown>) =>
    new Promise<unknown>((resolve, reject) => {
      // A process that crashed asks nobody any more, and hears nothing.
      if (mine !== generation) return
      pending.push({ generation: mine, run: () => Promise.resolve().then(call).then(resolve, reject) })
    })
  const start = () => startProgram(world, storage, gateOf(generation), clock)
  let program = start()
  const programNow = (): Program => (world.keys === 'never' ? start() : program)

  const writes = new Map<string, Write[]>()
  /** What was acknowledged, for deletions to find something. */
  const pushed: { repository: string; image: Image }[] = []
  const deleted: { repository: string; image: Image }[] = []
  const unlinked: { repository: string; digest: Digest; until: number }[] = []
  /** Until when a deleted manifest can be restored, by repository and digest. */
  const restorable = new Map<string, number>()
  let running = 0
  let failure: unknown

  function write(repository: string, tag: string, to: Digest | undefined): Write {
    const made: Write = { to, from: step, until: Number.POSITIVE_INFINITY, isCertain: false }
    const key = `${repository}:${tag}`
    writes.set(key, [...(writes.get(key) ?? []), made])
    return made
  }

  function finish(wrote: Write, isCertain: boolean): void {
    wrote.until = step
    wrote.isCertain = isCertain
  }

  /** Takes back what certainly did not happen. */
  function withdraw(repository: string, tag: string, wrong: Write): void {
    const key = `${repository}:${tag}`
    writes.set(
      key,
      (writes.get(key) ?? []).filter((each) => each !== wrong),
    )
  }

  async function confirm(use: Program, repository: string, blob: Image['blobs'][number]): Promise<void> {
    if (random() < 0.8) {
      const known = await use.blobs.hold(repository, blob.digest).catch(unlessUnknown)
      if (known !== undefined) return
    }
    if (random() < 0.3) {
      const other = pick(REPOSITORIES)
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
      const at = time
      await confirm(use, repository, blob)
      confirmed.push({ digest: blob.digest, at, step })
    }
    const [reference = image.digest, ...others] = tags
    const made = tags.map((tag) => [tag, write(repository, tag, image.digest)] as const)
    const from = step
    const put = { repository, reference, tags: others, bytes: image.bytes, contentType: null, actor: 'ann' }
    const stored = await use.manifests.put(put).then(
      () => true,
      (error: unknown) => {
        if (!isUnknown(error)) throw error
        return error as Error
      },
    )
    if (stored === true) {
      ran.pushed++
      pushed.push({ repository, image })
      for (const [, each] of made) finish(each, true)
      return
    }
    for (const [tag, each] of made) withdraw(repository, tag, each)
    const isQuick = confirmed.every(({ at }) => time - at < TERMS.delay * 0.7)
    const isDisturbed = confirmed.some(({ digest, step: since }) =>
      unlinked.some((each) => each.digest === digest && each.repository === repository && each.until >= since),
    )
    if (isQuick && !isDisturbed && !isHurried && image.children.length === 0) {
      throw new Error(`a push was refused in step ${from}, though all its blobs had been confirmed: ${stored}`)
    }
  }

  async function deleteTag(use: Program, repository: string, tag: string): Promise<void> {
    const made = write(repository, tag, undefined)
    const gone = await use.manifests.delete(repository, tag, 'eve').then(() => true, unlessUnknown)
    if (gone === true) finish(made, true)
    else withdraw(repository, tag, made)
  }

  async function deleteManifest(use: Program, repository: string, image: Image): Promise<void> {
    // Which tags it takes along is known to the database alone: any of them may, and none must.
    const made = TAGS.map((tag) => write(repository, tag, undefined))
    const key = `${repository} ${image.digest}`
    const gone = await use.manifests.delete(repository, image.digest, 'eve').then(() => true, unlessUnknown)
    if (gone === true) deleted.push({ repository, image })
    if (gone === true && !isHurried) restorable.set(key, time + TERMS.window)
    if (gone === true) for (const each of made) finish(each, false)
    else for (const [index, tag] of TAGS.entries()) withdraw(repository, tag, made[index] as Write)
  }

  async function restore(use: Program, repository: string, image: Image): Promise<void> {
    const made = TAGS.map((tag) => write(repository, tag, image.digest))
    const key = `${repository} ${image.digest}`
    const until = restorable.get(key)
    const others = running
    const restored = await use.metadata.trash.restore(repository, image.digest, { now: time, actor: 'eve' })
    use.manifests.forget(repository, [image.digest, ...TAGS])
    if (restored !== undefined) {
      ran.restored++
      for (const each of made) finish(each, false)
      restorable.delete(key)
      return
    }
    for (const [index, tag] of TAGS.entries()) withdraw(repository, tag, made[index] as Write)
    if (until !== undefined && time < until && others === 1 && running === 1) {
      const living = await use.metadata.manifests.find(repository, image.digest)
      if (living === undefined) throw new Error(`${image.digest} cannot be restored, though its window has not ended`)
    }
    restorable.delete(key)
  }

  async function unlink(use: Program, repository: string, image: Image): Promise<void> {
    const blob = image.blobs.length === 0 ? undefined : pick(image.blobs)
    if (blob === undefined) return
    const made = { repository, digest: blob.digest, until: Number.POSITIVE_INFINITY }
    unlinked.push(made)
    await use.blobs.delete(repository, blob.digest).catch(unlessUnknown)
    made.until = step
  }

  async function collect(use: Program): Promise<void> {
    const totals = await use.collector.cycle(isHurried ? pick(MODES) : ORDINARY)
    ran.collected += totals.blobs.count
    ran.unlinked += totals.unlinked.count
    if (totals.failures > 0) throw new Error('a candidate failed')
  }

  const anyOf = (known: readonly { repository: string; image: Image }[]): [string, Image] => {
    const one = known.length === 0 ? { repository: pick(REPOSITORIES), image: pick(images) } : pick(known)
    return [one.repository, one.image]
  }

  const OPERATIONS: [number, string, (use: Program) => Promise<void>][] = [
    [30, 'push', (use) => push(use, pick(REPOSITORIES), pick(images), pick([[], ['v1'], ['v2'], ['v1', 'v2']]))],
    [8, 'untag', (use) => deleteTag(use, pick(REPOSITORIES), pick(TAGS))],
    [10, 'delete', (use) => deleteManifest(use, ...anyOf(pushed))],
    [10, 'restore', (use) => restore(use, ...anyOf(deleted))],
    [4, 'unlink', (use) => unlink(use, ...anyOf(pushed))],
    [30, 'collect', collect],
    [2, 'sweep', async (use) => void (await use.sweep(time - 2 * HOUR))],
    [5, 'expire', async (use) => void (await use.uploads.expire(time - 2 * HOUR))],
  ]
  const DEALT = OPERATIONS.flatMap((operation) => Array.from({ length: operation[0] }, () => operation))

  function begin(): void {
    const [, name, operation] = pick(DEALT)
    trace.push(`${step}: ${name} begins`)
    running++
    operation(programNow())
      .catch((error: unknown) => {
        failure ??= error
      })
      .finally(() => {
        running--
        trace.push(`${step}: ${name} ends`)
      })
  }

  function crash(): void {
    ran.crashes++
    for (const each of [...writes.values()].flat()) if (each.until === Number.POSITIVE_INFINITY) finish(each, false)
    generation++
    running = 0
    pending = []
    trace.push(`${step}: crash`)
    program = start()
  }

  /** Until every operation has asked for its next call, or ended. */
  const settle = async (): Promise<void> => {
    await new Promise<void>((resolve) => setImmediate(resolve))
    if (failure !== undefined) throw failure
  }

  async function happen(): Promise<void> {
    // Several at once meet in the database, where it takes several.
    const calls = [pending.splice(below(pending.length), 1)[0]]
    while (world.keys === 'never' && random() < 0.5) calls.push(pending.splice(below(pending.length), 1)[0])
    await Promise.all(calls.map((call) => call?.run()))
    await settle()
  }

  async function quiet(): Promise<void> {
    for (; pending.length > 0; step++) await happen()
    await settle()
    if (running > 0) throw new Error(`${running} operations wait for nothing`)
    await check()
  }

  /** Outside of the gate: what is there, seen by a process that was just started, and by the one with its caches. */
  async function check(): Promise<void> {
    const open = (call: () => Promise<unknown>) => call()
    const fresh = startProgram(world, storage, open, clock)
    for (const repository of REPOSITORIES) {
      for (const tag of TAGS) {
        const found = await lookUp(fresh, repository, tag)
        const possible = possibleOf(writes.get(`${repository}:${tag}`) ?? [])
        if (!possible.has(found)) {
          const wanted = [...possible].map((digest) => digest ?? 'nothing').join(' or ')
          throw new Error(`${repository}:${tag} is ${found ?? 'nothing'}, and should be ${wanted}`)
        }
        if (world.keys === 'taken again') expect(await cached(repository, tag)).toBe(found)
        if (found !== undefined) await pull(fresh, repository, imageOf.get(found))
      }
      if (world.keys === 'never') continue
      // A sample: each costs as much as a step.
      for (const image of images.filter(() => random() < 0.3)) {
        const before = await lookUp(fresh, repository, image.digest)
        expect(await cached(repository, image.digest)).toBe(before)
        for (const { digest } of image.blobs) await sameAnswer(fresh, repository, digest)
      }
    }
  }

  const lookUp = async (use: Program, repository: string, reference: string): Promise<Digest | undefined> =>
    (await Promise.resolve(use.manifests.find(repository, reference)).catch(unlessUnknown))?.digest

  /** What the process with caches answers, whose calls to the database wait at the gate. */
  async function through<T>(answer: Promise<T>): Promise<T> {
    let isOver = false
    const over = answer.finally(() => {
      isOver = true
    })
    over.catch(() => {})
    while (!isOver) {
      for (const call of pending.splice(0)) await call.run()
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    return await over
  }

  const cached = (repository: string, reference: string) => through(lookUp(program, repository, reference))

  async function sameAnswer(fresh: Program, repository: string, digest: Digest): Promise<void> {
    const now = await fresh.metadata.blobs.find(repository, digest)
    const answer = await through(program.blobs.open(repository, digest).then(() => true, unlessUnknown))
    expect(answer === true).toBe(now !== undefined)
  }

  async function pull(use: Program, repository: string, image: Image | undefined): Promise<void> {
    if (image === undefined) throw new Error('a tag points to what nobody pushed')
    const { bytes } = await use.manifests.find(repository, image.digest)
    expect(Buffer.compare(bytes, image.bytes)).toBe(0)
    for (const child of image.children) {
      // A client may delete a child by name, and restore the index.
      if ((await use.metadata.manifests.find(repository, child.digest)) !== undefined)
        await pull(use, repository, child)
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
    // What goes takes what hangs on it along one turn later: until two turns in a row find nothing.
    for (let [turn, idle] = [0, 0]; idle < 2; turn++) {
      if (turn === 20) throw new Error('the collector finds something each time')
      time += TERMS.window + TERMS.delay
      const expired = await last.uploads.expire(time - HOUR)
      const { objects, uploads } = await last.sweep(time - HOUR)
      const { manifests, blobs, unlinked: gone } = await last.collector.cycle(ORDINARY)
      idle = expired + objects + uploads + manifests.count + blobs.count + gone.count === 0 ? idle + 1 : 0
    }
    const needed = { manifests: new Set<string>(), links: new Set<string>(), blobs: new Set<Digest>() }
    for (const repository of REPOSITORIES) {
      const kept = new Set<Image>()
      const keep = async (image: Image): Promise<void> => {
        if (kept.has(image) || (await lookUp(last, repository, image.digest)) === undefined) return
        kept.add(image)
        for (const child of image.children) await keep(child)
        for (const other of images) if (other.subject === image) await keep(other)
      }
      for (const tag of TAGS) {
        const found = await lookUp(last, repository, tag)
        const image = found === undefined ? undefined : imageOf.get(found)
        if (image !== undefined) await keep(image)
      }
      for (const image of kept) {
        needed.manifests.add(`${repository} ${image.digest}`)
        for (const { digest } of image.blobs) {
          needed.links.add(`${repository} ${digest}`)
          needed.blobs.add(digest)
        }
      }
    }
    const there = { manifests: new Set<string>(), links: new Set<string>(), blobs: new Set<Digest>() }
    const keys: string[] = []
    for (const repository of REPOSITORIES) {
      for (const image of images) {
        if ((await lookUp(last, repository, image.digest)) !== undefined)
          there.manifests.add(`${repository} ${image.digest}`)
        for (const { digest } of image.blobs) {
          const blob = await last.metadata.blobs.find(repository, digest)
          if (blob === undefined) continue
          there.links.add(`${repository} ${digest}`)
          there.blobs.add(digest)
          keys.push(blob.key)
        }
      }
    }
    expect(there).toEqual(needed)
    expect([...content.objects.keys()].sort()).toEqual([...new Set(keys)].sort())
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

  try {
    for (let left = operations; left > 0 || pending.length > 0; step++) {
      const roll = random()
      if (left > 0 && running < 4 && (pending.length === 0 || roll < 0.15)) {
        left--
        begin()
        await settle()
      } else if (roll < 0.19) {
        time += pick([1, 60_000, HOUR / 4, HOUR, 7 * HOUR, TERMS.window])
      } else if (roll < 0.2) {
        crash()
        await settle()
      } else if (roll < 0.21) {
        await quiet()
      } else await happen()
    }
    await quiet()
    await end()
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    throw new Error(`seed ${seed}, step ${step}: ${told}\n${trace.slice(-40).join('\n')}`, { cause: error })
  }
  return ran
}

/** What a tag may be: a write that no certain one came wholly after. */
function possibleOf(writes: readonly Write[]): Set<Digest | undefined> {
  const all = [{ to: undefined, from: -1, until: -1, isCertain: true }, ...writes]
  const isPast = (one: Write) => all.some((other) => other.isCertain && other.from > one.until)
  return new Set(all.filter((one) => !isPast(one)).map(({ to }) => to))
}

function unlessUnknown(error: unknown): undefined {
  if (!isUnknown(error)) throw error
  return undefined
}
