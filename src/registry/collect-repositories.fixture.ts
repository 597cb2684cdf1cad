import { nameOf } from './collect-ledger.fixture.ts'
import type { Image, Program } from './collect-model.fixture.ts'
import { TERMS } from './collect-model.fixture.ts'
import { freeing, type Scene, TAGS } from './collect-scene.fixture.ts'

export interface RepositoryClients {
  drop(use: Program): Promise<void>
  rename(use: Program): Promise<void>
  'restore batch'(use: Program): Promise<void>
  'end deletions'(use: Program): Promise<void>
}

/** What operators do with whole repositories. @throws Error when a promise is broken */
export function repositoryClientsOf(scene: Scene): RepositoryClients {
  const { pick, used, places, isHurried, schedule, ledger, ran } = scene
  const by = { actor: 'eve', force: true }
  const names = [...TAGS, ...used.map(({ digest }) => digest)]

  /** Certainly there, and not to be collected yet. */
  function certainly(repository: string): Image[] {
    return used.filter((image) => {
      const possible = ledger.possible(repository, image.digest)
      const since = ledger.waitsSince(repository, image)
      return possible.size === 1 && possible.has(image.digest) && since !== undefined && !isOld(since)
    })
  }
  const isOld = (since: number) => isHurried || scene.time - since >= TERMS.untagged

  async function drop(use: Program, repository: string): Promise<void> {
    const there = certainly(repository)
    const isAbsent = (name: string) => [...ledger.possible(repository, name)].every((digest) => digest === undefined)
    const absent = used.filter(({ digest }) => isAbsent(digest))
    const made = new Map(names.map((name) => [name, ledger.write(repository, name, undefined)]))
    const freed = freeing(scene, repository, used)
    const over = ledger.deleting(used.map((image) => nameOf(repository, image)))
    const at = scene.time
    const begun = schedule.begun
    const isAlone = () => schedule.running === 1 && schedule.begun === begun
    const wasAlone = isAlone()
    const done = ledger.begin(repository, at)
    const loosened = ledger.loosen(repository)
    const dropped = await use.repositories.delete(repository, by)
    done()
    loosened(true)
    freed.until = schedule.step
    // One that somebody called off has taken some, or nothing.
    for (const each of made.values()) ledger.finish(each, dropped !== undefined && dropped !== 'undone')
    if (typeof dropped !== 'object') over()
    if (dropped === undefined) {
      if (wasAlone && isAlone() && there.length > 0) throw new Error(`${repository} was said to be unknown`)
      return
    }
    if (dropped === 'undone') return
    ran.dropped++
    for (const image of used) ledger.deleted.push({ repository, image })
    const { batch } = dropped
    // What was pushed after its beginning stays.
    const beginning = scene.deletions.get(batch)?.at ?? Number.POSITIVE_INFINITY
    for (const image of absent) {
      const write = made.get(image.digest)
      if (write !== undefined && (ledger.lastPut.get(nameOf(repository, image)) ?? 0) > beginning)
        ledger.withdraw(write)
    }
    // It has spared the children of an index that was pushed meanwhile.
    const isThere = (image: Image) => ledger.possible(repository, image.digest).has(image.digest)
    for (const child of used.filter(isThere).flatMap(below)) {
      const write = made.get(child.digest)
      if (write !== undefined) write.isCertain = false
    }
    const isLate = (image: Image) => (ledger.lastPut.get(nameOf(repository, image)) ?? 0) > beginning
    over(
      used
        .filter(isLate)
        .flatMap(below)
        .map((child) => nameOf(repository, child)),
    )
    const known =
      wasAlone && isAlone() ? there.filter((image) => !isOld(ledger.waitsSince(repository, image) ?? 0)) : []
    for (const image of known) ledger.restorable.set(nameOf(repository, image), at + TERMS.window)
    ledger.batches.push({ batch, repository, images: known })
  }

  async function rename(use: Program, from: string, to: string): Promise<void> {
    const there = certainly(from)
    const begun = schedule.begun
    const isAlone = () => schedule.running === 1 && schedule.begun === begun
    const wasAlone = isAlone()
    const renaming = ledger.rename(from, to, names)
    // Who pushes to the old name at this time finds nothing of what was confirmed.
    const moved = ledger.disturb(from, [...new Set(used.flatMap(({ blobs }) => blobs.map(({ digest }) => digest)))])
    const loosened = [from, to].map(ledger.loosen)
    const outcome = await use.repositories.rename(from, to, by)
    for (const each of loosened) each(outcome === 'renamed')
    moved.until = schedule.step
    if (outcome === 'renamed') {
      ran.renamed++
      renaming.finish(true)
      ledger.pushed.push(...used.map((image) => ({ repository: to, image })))
      ledger.deleted.push(
        ...ledger.deleted
          .filter(({ repository }) => repository === from)
          .map(({ image }) => ({ repository: to, image })),
      )
      return
    }
    renaming.withdraw()
    if (outcome === 'unknown' && there.length > 0 && wasAlone && isAlone())
      throw new Error(`${from} was said to be unknown`)
  }

  async function restoreBatch(use: Program): Promise<void> {
    // Those that are under way, or that a crash left, among them.
    const begun = [...scene.deletions].map(([batch, { repository }]) => ({ batch, repository, images: [] }))
    if (ledger.batches.length + begun.length === 0) return
    const { batch, repository, images } = pick([...ledger.batches, ...begun])
    const made = [
      ...TAGS.flatMap((tag) => used.map(({ digest }) => ledger.write(repository, tag, digest))),
      ...used.map(({ digest }) => ledger.write(repository, digest, digest)),
    ]
    const all = used.map((image) => nameOf(repository, image))
    const isDue = (name: string) => scene.time < (ledger.restorable.get(name) ?? 0)
    const wanted = images.filter((image) => isDue(nameOf(repository, image)))
    for (const name of all) ledger.restorable.delete(name)
    ledger.restoring.push(...all)
    const operations = schedule.begun
    const isAlone = () => schedule.running === 1 && schedule.begun === operations
    const wasAlone = isAlone()
    const done = ledger.begin(repository, scene.time)
    const loosened = ledger.loosen(repository)
    const restored = await use.trash.restoreBatch(repository, batch, 'eve')
    done()
    loosened(restored !== undefined)
    for (const name of all) ledger.restoring.splice(ledger.restoring.indexOf(name), 1)
    if (restored === undefined) for (const each of made) ledger.withdraw(each)
    else {
      ran.restored++
      for (const each of made) ledger.finish(each, false)
    }
    if (!wasAlone || !isAlone()) return
    for (const image of wanted.filter((each) => standsAlone(scene, each))) {
      const living = await use.metadata.manifests.find(repository, image.digest)
      if (living === undefined) throw new Error(`${image.digest} did not come back with ${batch} of ${repository}`)
    }
  }

  return {
    drop: (use) => drop(use, pick(places)),
    rename(use) {
      const from = pick(places)
      return rename(use, from, pick(places.filter((place) => place !== from)))
    },
    'restore batch': restoreBatch,
    /** What was asked for has been written down then: it may take what nobody pushed or restored since. */
    async 'end deletions'(use) {
      const freed = places.map((repository) => freeing(scene, repository, used))
      const loosened = places.map(ledger.loosen)
      for await (const _ of use.repositories.resume({ idleMs: 0 })) ran.resumed++
      for (const each of loosened) each(true)
      for (const each of freed) each.until = schedule.step
    },
  }
}

const below = ({ children }: Image): Image[] => children.flatMap((child) => [child, ...below(child)])

/** Neither comes back with another one, nor brings one. */
export function standsAlone({ used }: Scene, image: Image): boolean {
  return image.subject === undefined && !used.some((other) => other.subject === image || other.children.includes(image))
}
