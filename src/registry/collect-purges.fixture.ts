import type { TrashRow } from '../metadata/metadata.ts'
import { nameOf } from './collect-ledger.fixture.ts'
import type { Image, Program } from './collect-model.fixture.ts'
import { freeing, type Scene } from './collect-scene.fixture.ts'

/** Enough for all that a run buries. */
const ALL = 10_000

/**
 * A client that takes for good what a deletion left of an image (`berth delete --purge`), in runs of any kind: windows and ages hold
 * for everything else. @throws Error when a promise is broken
 */
export function purgeImageOf(scene: Scene): (use: Program) => Promise<void> {
  const { random, pick, images, used, imageOf, places, schedule, ledger, ran } = scene
  const { metadata } = scene.world

  /** What it may take along: children and referrers, at whatever distance. */
  function related(image: Image, found = new Set<Image>()): Set<Image> {
    if (found.has(image)) return found
    found.add(image)
    for (const child of image.children) related(child, found)
    for (const other of used) if (other.subject === image) related(other, found)
    return found
  }

  /** As a rule something that is in the trash; else what may have lost its tag alone, or whatever. */
  async function choose(): Promise<{ repository: string; image: Image }> {
    const rows = random() < 0.8 ? await metadata.trash.list({}, { limit: ALL }) : []
    const buried = rows.flatMap(({ repository, digest }) => {
      const image = imageOf.get(digest)
      return image === undefined ? [] : [{ repository, image }]
    })
    const indexes = random() < 0.5 ? buried.filter(({ image }) => image.children.length > 0) : []
    const known = indexes.length > 0 ? indexes : buried.length > 0 ? buried : ledger.pushed
    return known.length > 0 ? pick(known) : { repository: pick(places), image: pick(images) }
  }

  const trashOf = (repository: string) => metadata.trash.list({ repository }, { limit: ALL })
  const isKept = ({ reason, batch }: TrashRow) => reason !== 'collected' && batch === undefined

  return async (use) => {
    let before: TrashRow[] = []
    let chosen = { repository: pick(places), image: pick(images) }
    await use.step(async () => {
      chosen = await choose()
      before = await trashOf(chosen.repository)
    })
    const { repository, image } = chosen
    const all = [...related(image)]
    const begun = schedule.begun
    const isAlone = () => schedule.running === 1 && schedule.begun === begun
    const wasAlone = isAlone()
    const since = schedule.step

    const isThere = ({ digest }: Image) => ledger.possible(repository, digest).has(digest)
    const living = all.filter(isThere)
    const made = new Map(all.map((each) => [each.digest, ledger.write(repository, each.digest, undefined)]))
    const freed = freeing(scene, repository, living)
    // Whoever gives the repository another name at this time takes along what this one is about to take.
    const names = (wasAlone ? [repository] : places).flatMap((place) => all.map((each) => nameOf(place, each)))
    const windows = names.map((name) => ({ name, until: ledger.restorable.get(name) }))
    for (const name of names) ledger.restorable.delete(name)
    ledger.restoring.push(...names)
    const done = ledger.begin(repository, scene.time)

    const purged = await use.collector.purgeImage(repository, image.digest)

    done()
    for (const name of names) ledger.restoring.splice(ledger.restoring.indexOf(name), 1)
    const kept = new Set(purged?.kept.map(({ digest }) => digest))
    const gone = new Set(purged?.manifests.map(({ digest }) => digest))
    ran.purged += gone.size
    for (const [digest, write] of made) ledger.finish(write, gone.has(digest) && !kept.has(digest))
    // What was confirmed after the deletion is left alone.
    freed.until = living.some(({ digest }) => gone.has(digest)) ? schedule.step : since - 1
    freed.sparesAfter = ledger.loosenedAt(repository)
    const strangers = [...gone].filter((digest) => !made.has(digest))
    if (strangers.length > 0) throw new Error(`a purge of ${image.digest} took ${strangers}, which do not hang on it`)
    // What lay in the trash all the time, by somebody's own wish, and went.
    const wrong = all.filter((each) => {
      const rows = before.filter(({ digest }) => digest === each.digest)
      const wasAbsent = !living.includes(each) && !isThere(each) && !ledger.wasRenamed(repository, since)
      return each !== image && gone.has(each.digest) && wasAbsent && rows.length > 0 && rows.every(isKept)
    })
    if (wrong.length > 0) {
      throw new Error(
        `a purge of ${image.digest} took ${wrong.map(({ digest }) => digest)}, which somebody deleted by name`,
      )
    }
    if (!wasAlone || !isAlone()) return

    const takenNames = all.filter(({ digest }) => gone.has(digest)).map((each) => nameOf(repository, each))
    for (const { name, until } of windows) {
      if (until !== undefined && !takenNames.includes(name)) ledger.restorable.set(name, until)
    }
    let after: TrashRow[] = []
    await use.step(async () => {
      after = isAlone() ? await trashOf(repository) : []
    })
    const remaining = after.some(({ digest }) => digest === image.digest)
    if (remaining && !kept.has(image.digest))
      throw new Error(`a purge left ${image.digest} in the trash of ${repository}`)
  }
}
