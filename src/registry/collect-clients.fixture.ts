import type { Digest } from '../oci/digest.ts'
import { nameOf } from './collect-ledger.fixture.ts'
import { type Image, isUnknown, type Program, TERMS } from './collect-model.fixture.ts'
import { freeing, type Scene, TAGS } from './collect-scene.fixture.ts'

export interface Clients {
  push(use: Program): Promise<void>
  abandon(use: Program): Promise<void>
  pull(use: Program): Promise<void>
  untag(use: Program): Promise<void>
  delete(use: Program): Promise<void>
  restore(use: Program): Promise<void>
  purge(use: Program): Promise<void>
  unlink(use: Program): Promise<void>
}

/** What clients do with images. Each writes into the ledger what it was promised. @throws Error when a promise is broken */
export function clientsOf(scene: Scene): Clients {
  const { random, below, pick, images, used, repositories, places, habit, isHurried, schedule, ledger, ran } = scene
  const hasOwnMemory = scene.world.keys === 'never'
  const anyPlace = () => (random() < 0.8 ? pick(repositories) : pick(places))

  /** Resolves to whether it was sent (an upload, a mount), and so is written down; else it was asked for. */
  async function confirm(use: Program, repository: string, blob: Image['blobs'][number]): Promise<boolean> {
    if (random() < habit.asks) {
      const known = await use.blobs.hold(repository, blob.digest).catch(unlessUnknown)
      if (known !== undefined) return false
    }
    if (random() < 0.3) {
      const other = pick(places)
      if (await use.blobs.mount(blob.digest, [other], repository)) return true
    }
    await upload(scene, use, repository, blob)
    return true
  }

  async function push(
    use: Program,
    repository: string,
    image: Image,
    tags: readonly string[],
    begun = schedule.step,
  ): Promise<void> {
    for (const child of image.children) await push(use, repository, child, [], begun)
    const confirmed: { digest: Digest; at: number; step: number; isKnown: boolean }[] = []
    for (const blob of image.blobs) {
      // What happens after this may undo it, even before the client hears of it.
      // A process of its own also confirms from memory what another one has taken since the operation began.
      const confirming = { digest: blob.digest, at: scene.time, step: schedule.step }
      const isSent = await confirm(use, repository, blob)
      const step = hasOwnMemory && !isSent ? begun : confirming.step
      confirmed.push({ ...confirming, step, isKnown: isSent || !hasOwnMemory })
    }
    if (habit.rests > 0) {
      schedule.defer()
      await rest(use, below(habit.rests))
    }
    const [reference = image.digest, ...others] = tags
    const made = [...tags, image.digest].map((name) => ledger.write(repository, name, image.digest))
    const from = { at: scene.time, step: schedule.step }
    const put = { repository, reference, tags: others, bytes: image.bytes, contentType: null, actor: 'ann' }
    const done = ledger.begin(repository, scene.time)
    const loosened = ledger.loosen(repository)
    const stored = await use.manifests.put(put).then(
      () => true,
      (error: unknown) => {
        if (!isUnknown(error)) throw error
        return error as Error
      },
    )
    done()
    loosened(stored === true)
    if (stored === true) {
      ran.pushed++
      ledger.pushed.push({ repository, image })
      ledger.put(repository, image, from.at)
      ledger.lastPut.set(nameOf(repository, image), from.at)
      for (const each of made) ledger.finish(each, true)
      return
    }
    for (const each of made) ledger.withdraw(each)
    const isQuick = confirmed.every(({ at }) => scene.time - at < TERMS.delay * 0.7)
    const isDisturbed = confirmed.some(({ digest, step, isKnown }) =>
      ledger.isDisturbed(repository, digest, step, isKnown),
    )
    if (isQuick && !isDisturbed && image.children.length === 0) {
      throw new Error(`a push was refused in step ${from.step}, though all its blobs had been confirmed: ${stored}`)
    }
  }

  /** Fills the caches. */
  async function pullSomething(use: Program, repository: string, image: Image): Promise<void> {
    for (const reference of [image.digest, ...TAGS]) await lookUp(use, repository, reference)
    for (const { digest } of image.blobs) await use.blobs.open(repository, digest).catch(unlessUnknown)
  }

  async function deleteTag(use: Program, repository: string, tag: string): Promise<void> {
    const made = ledger.write(repository, tag, undefined)
    const done = ledger.begin(repository, scene.time)
    const loosened = ledger.loosen(repository)
    const gone = await use.manifests.delete(repository, tag, 'eve').then(() => true, unlessUnknown)
    done()
    loosened(gone === true)
    if (gone === true) ledger.finish(made, true)
    else ledger.withdraw(made)
  }

  async function deleteManifest(use: Program, repository: string, image: Image): Promise<void> {
    // Which tags it takes along is known to the database alone: any of them may, and none must.
    const ofTags = TAGS.map((tag) => ledger.write(repository, tag, undefined))
    const itself = ledger.write(repository, image.digest, undefined)
    const freed = freeing(scene, repository, [image])
    const name = nameOf(repository, image)
    const over = ledger.deleting([name])
    const at = scene.time
    const since = schedule.step
    const done = ledger.begin(repository, at)
    const loosened = ledger.loosen(repository)
    const gone = await use.manifests.delete(repository, image.digest, 'eve').then(() => true, unlessUnknown)
    done()
    loosened(gone === true)
    over()
    freed.until = schedule.step
    if (gone !== true) {
      for (const each of [...ofTags, itself]) ledger.withdraw(each)
      return
    }
    ledger.deleted.push({ repository, image })
    const isHere = !ledger.restoring.includes(name) && !ledger.wasRenamed(repository, since)
    if (!isHurried && isHere) ledger.restorable.set(name, at + TERMS.window)
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
    ledger.restoring.push(name)
    const isAlone = schedule.running === 1
    const done = ledger.begin(repository, scene.time)
    const loosened = ledger.loosen(repository)
    const restored = await use.trash.restore(repository, image.digest, 'eve')
    done()
    loosened(restored !== undefined)
    ledger.restoring.splice(ledger.restoring.indexOf(name), 1)
    if (restored !== undefined) {
      ran.restored++
      for (const each of made) ledger.finish(each, false)
      return
    }
    for (const each of made) ledger.withdraw(each)
    if (until === undefined || scene.time >= until || !isAlone || schedule.running > 1) return
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

  /** As a rule not what came with another one, which its index would miss. */
  const anyOf = (known: readonly { repository: string; image: Image }[]): [string, Image] => {
    const asked = random() < 0.9 ? known.filter(({ image }) => images.includes(image)) : known
    const one = asked.length === 0 ? { repository: anyPlace(), image: pick(images) } : pick(asked)
    return [one.repository, one.image]
  }

  return {
    async push(use) {
      const [repository, image, tags] = [anyPlace(), pick(images), pick(habit.tags)]
      if (habit.isRenewing) {
        for (const tag of tags) await deleteTag(use, repository, tag)
        // What is sent in a later step than this is sent after it.
        await rest(use, 1)
      }
      await push(use, repository, image, tags)
    },
    /** One that goes away before it sends the manifest. */
    async abandon(use) {
      const repository = anyPlace()
      for (const blob of pick(images).blobs) if (random() < 0.7) await confirm(use, repository, blob)
    },
    pull: (use) => pullSomething(use, anyPlace(), pick(images)),
    untag: (use) => deleteTag(use, anyPlace(), pick(TAGS)),
    delete: (use) => deleteManifest(use, ...anyOf(ledger.pushed)),
    restore: (use) => restore(use, ...anyOf(ledger.deleted)),
    unlink: (use) => unlink(use, ...anyOf(ledger.pushed)),
    /** An operator who wants the space of one deletion back at once. */
    async purge(use) {
      const rows: { id: number }[] = []
      await use.step(async () => {
        if (isHurried) rows.push(...(await scene.world.metadata.trash.list({}, { limit: 5 })))
      })
      if (rows.length > 0) await use.collector.purge(pick(rows).id)
    },
  }
}

/** Lets others go on, for as many turns. */
async function rest(use: Program, turns: number): Promise<void> {
  for (let left = turns; left > 0; left--) await use.step(async () => {})
}

/** Until the registry has it: "push again", which clients do. */
export async function upload(
  { ledger, ran }: Pick<Scene, 'ledger' | 'ran'>,
  use: Program,
  repository: string,
  blob: Image['blobs'][number],
): Promise<void> {
  for (;;) {
    const harm = ledger.harmed.get(blob.digest)
    const isKnown = harm?.isNoticed === true
    const { id } = await use.uploads.start(repository)
    const body = async function* () {
      yield blob.bytes
    }
    const chunk = { body, start: undefined, length: undefined }
    const done = await use.uploads.finish(repository, id, blob.digest, chunk).then(() => true, unlessUnknown)
    if (done !== true) continue
    if (harm === undefined || !isKnown || ledger.harmed.get(blob.digest) !== harm) return
    // From now on it is as whole as any other.
    ledger.heal(blob.digest)
    ran.healed++
    return
  }
}

export async function lookUp(use: Program, repository: string, reference: string): Promise<Digest | undefined> {
  return (await Promise.resolve(use.manifests.find(repository, reference)).catch(unlessUnknown))?.digest
}

export function unlessUnknown(error: unknown): undefined {
  if (!isUnknown(error)) throw error
  return undefined
}
