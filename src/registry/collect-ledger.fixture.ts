import type { Digest } from '../oci/digest.ts'
import type { Image } from './collect-model.fixture.ts'

/**
 * What was promised to clients, so that what is there can be held against it. Times are those of the clock that is stepped;
 * steps are those of the driver.
 */

/** What one operation made of a tag, or of a manifest: this digest, or nothing. From which step to which. */
export interface Write {
  to: Digest | undefined
  from: number
  /** Infinity while it is under way. */
  until: number
  /** False: it may have changed nothing, or nobody heard of its end. */
  isCertain: boolean
}

/** Something that takes away what blobs had been confirmed by. */
export interface Disturbance {
  repository: string
  digests: readonly Digest[]
  /** Infinity while it is under way. */
  until: number
  /** What was sent, or asked of a memory that all share, after this step is spared by it. Without: after `until`. */
  sparesAfter?: number
}

/** One whose new name is not heard of yet. */
export interface Renaming {
  finish(isCertain: boolean): void
  withdraw(): void
}

/** What a disk did to the bytes of a blob. */
export interface Harm {
  kind: 'lost' | 'short' | 'altered'
  /** Whoever pushes the blob brings its bytes back from then on: its size tells, or a verification found it. */
  isNoticed: boolean
  /** A verification has set right what it could: the blob is not there, or whole. */
  isRepaired: boolean
  disturbances: readonly Disturbance[]
}

export interface Ledger {
  /** `name`: a tag, or the digest of a manifest. */
  write(repository: string, name: string, to: Digest | undefined): Write
  finish(write: Write, isCertain: boolean): void
  /** Takes back what certainly did not happen. */
  withdraw(write: Write): void
  /** What the name may stand for now: a write that no certain one came wholly after. */
  possible(repository: string, name: string): Set<Digest | undefined>
  disturb(repository: string, digests: readonly Digest[]): Disturbance
  /** Whether something that was confirmed in that step may have been taken away since; `isKnown`: to whoever takes it. */
  isDisturbed(repository: string, digest: Digest, since: number, isKnown: boolean): boolean
  /** Somebody may take from manifests of the repository what needs them. Call the result when he has, or has not. */
  loosen(repository: string): (hasHappened: boolean) => void
  /** The last step in which that may have happened; Infinity while it may. */
  loosenedAt(repository: string): number
  /** Whoever was at work has gone. */
  crash(): void
  /** What was acknowledged, for deletions to find something. */
  readonly pushed: { repository: string; image: Image }[]
  readonly deleted: { repository: string; image: Image }[]
  /** Something that takes its time from the clock, and happens later. Call the result when it has. */
  begin(repository: string, at: number): () => void
  /** A manifest was put at that time of the clock. */
  put(repository: string, image: Image, at: number): void
  /** Since when the manifest waits at the earliest, if nothing needs it; undefined when nobody put it. */
  waitsSince(repository: string, image: Image): number | undefined
  /** When the last push of a manifest began, by repository and digest. */
  readonly lastPut: Map<string, number>
  /** Somebody takes these manifests away, by repository and digest. Call the result when he has, with those that he must have spared. */
  deleting(names: readonly string[]): (spared?: readonly string[]) => void
  /** Manifests that a client asked to delete since they were last pushed, by repository and digest. */
  readonly everDeleted: Set<string>
  /** Until when a deleted manifest can be restored, by repository and digest. */
  readonly restorable: Map<string, number>
  /** What somebody tries to restore at this moment, by repository and digest. */
  readonly restoring: string[]
  /** Deletions of whole repositories, with the images that certainly were there. */
  readonly batches: { batch: string; repository: string; images: readonly Image[] }[]
  /** A repository gets another name, and takes along what `names` (tags, and digests of manifests) stand for. */
  rename(from: string, to: string, names: readonly string[]): Renaming
  /** Whether the repository may have come or gone under this name since that step. */
  wasRenamed(repository: string, since: number): boolean
  harm(digest: Digest, kind: Harm['kind'], repositories: readonly string[]): void
  heal(digest: Digest): void
  readonly harmed: ReadonlyMap<Digest, Harm>
  readonly everHarmed: ReadonlySet<Digest>
}

export const nameOf = (repository: string, { digest }: { digest: Digest }): string => `${repository} ${digest}`

export function createLedger(step: () => number): Ledger {
  const writes = new Map<string, Write[]>()
  const places = new Map<Write, string>()
  const underWay = new Set<{ repository: string; at: number }>()
  const putAt = new Map<string, number>()
  const disturbances: Disturbance[] = []
  const loosened = new Map<string, number>()
  const loosening = new Set<{ repository: string }>()
  const goers = new Set<readonly string[]>()
  const lastGoer = new Map<string, readonly string[]>()
  const renames = new Map<{ from: string; to: string; until: number }, Renaming>()
  const harmed = new Map<Digest, Harm>()
  const everHarmed = new Set<Digest>()

  function add(place: string, write: Write): Write {
    places.set(write, place)
    writes.set(place, [...(writes.get(place) ?? []), write])
    return write
  }

  /** Those that no certain one which had ended by then came wholly after. */
  function alive(place: string, by: number): Write[] {
    const first: Write = { to: undefined, from: -1, until: -1, isCertain: true }
    const all = [first, ...(writes.get(place) ?? [])]
    const isPast = (one: Write) => all.some((other) => other.isCertain && other.until < by && other.from > one.until)
    return all.filter((one) => !isPast(one))
  }

  const ledger: Ledger = {
    pushed: [],
    deleted: [],
    everDeleted: new Set(),
    lastPut: new Map(),
    restorable: new Map(),
    restoring: [],
    batches: [],
    harmed,
    everHarmed,

    write(repository, name, to) {
      return add(`${repository} ${name}`, { to, from: step(), until: Number.POSITIVE_INFINITY, isCertain: false })
    },
    finish(write, isCertain) {
      write.until = step()
      write.isCertain = isCertain
    },
    withdraw(write) {
      const place = places.get(write) ?? ''
      writes.set(
        place,
        (writes.get(place) ?? []).filter((each) => each !== write),
      )
    },
    possible(repository, name) {
      return new Set(alive(`${repository} ${name}`, Number.POSITIVE_INFINITY).map(({ to }) => to))
    },
    disturb(repository, digests) {
      const made = { repository, digests, until: Number.POSITIVE_INFINITY }
      disturbances.push(made)
      return made
    },
    isDisturbed: (repository, digest, since, isKnown) =>
      disturbances.some((each) => {
        const until = isKnown ? Math.min(each.until, each.sparesAfter ?? each.until) : each.until
        return each.repository === repository && until >= since && each.digests.includes(digest)
      }),
    loosen(repository) {
      const mine = { repository }
      loosening.add(mine)
      return (hasHappened) => {
        loosening.delete(mine)
        if (hasHappened) loosened.set(repository, step())
      }
    },
    loosenedAt: (repository) =>
      [...loosening].some((each) => each.repository === repository)
        ? Number.POSITIVE_INFINITY
        : (loosened.get(repository) ?? -1),
    deleting(names) {
      goers.add(names)
      for (const name of names) {
        ledger.everDeleted.add(name)
        lastGoer.set(name, names)
      }
      return (spared = []) => {
        goers.delete(names)
        const isMine = (name: string) =>
          lastGoer.get(name) === names && ![...goers].some((others) => others.includes(name))
        for (const name of spared.filter(isMine)) ledger.everDeleted.delete(name)
      }
    },
    begin(repository, at) {
      const mine = { repository, at }
      underWay.add(mine)
      return () => void underWay.delete(mine)
    },
    put(repository, image, at) {
      // Whoever takes a tag away may have begun before, and come to its row only later.
      const others = [...underWay].filter((each) => each.repository === repository)
      const name = nameOf(repository, image)
      putAt.set(name, Math.min(at, ...others.map((each) => each.at)))
      if (![...goers].some((names) => names.includes(name))) ledger.everDeleted.delete(name)
    },
    waitsSince: (repository, image) => putAt.get(nameOf(repository, image)),
    rename(from, to, names) {
      const rename = { from, to, until: Number.POSITIVE_INFINITY }
      const start = step()
      const before = new Map(putAt)
      const end = (): void => {
        rename.until = step()
      }
      const renaming: Renaming = {
        withdraw: end,
        finish(isCertain) {
          end()
          const within = { from: start, until: rename.until, isCertain }
          for (const name of names) {
            const [old, place] = [`${from} ${name}`, `${to} ${name}`]
            for (const digest of new Set(alive(old, start).map((write) => write.to)))
              add(place, { ...within, to: digest })
            add(old, { ...within, to: undefined })
            const times = [before.get(old), putAt.get(old), putAt.get(place)].filter((time) => time !== undefined)
            if (times.length > 0) putAt.set(place, Math.min(...times))
            if (ledger.everDeleted.has(old)) ledger.everDeleted.add(place)
            const until = ledger.restorable.get(old)
            ledger.restorable.delete(old)
            if (!isCertain) ledger.restorable.delete(place)
            else if (until !== undefined) ledger.restorable.set(place, until)
          }
          const moved = ledger.batches.filter(({ repository }) => repository === from)
          for (const batch of moved) batch.repository = to
          // Nobody knows where they are.
          if (!isCertain) for (const batch of moved) ledger.batches.splice(ledger.batches.indexOf(batch), 1)
        },
      }
      renames.set(rename, renaming)
      return renaming
    },
    wasRenamed: (repository, since) =>
      [...renames.keys()].some((each) => [each.from, each.to].includes(repository) && each.until >= since),
    harm(digest, kind, repositories) {
      ledger.heal(digest)
      everHarmed.add(digest)
      const isNoticed = kind !== 'altered'
      const made = repositories.map((repository) => ledger.disturb(repository, [digest]))
      harmed.set(digest, { kind, isNoticed, isRepaired: false, disturbances: made })
    },
    heal(digest) {
      for (const each of harmed.get(digest)?.disturbances ?? []) each.until = step()
      harmed.delete(digest)
    },
    crash() {
      underWay.clear()
      for (const { repository } of loosening) loosened.set(repository, step())
      loosening.clear()
      goers.clear()
      ledger.restoring.length = 0
      for (const [rename, renaming] of renames) if (rename.until === Number.POSITIVE_INFINITY) renaming.finish(false)
      const byDisks = new Set([...harmed.values()].flatMap((harm) => harm.disturbances))
      for (const write of [...writes.values()].flat()) {
        if (write.until === Number.POSITIVE_INFINITY) write.until = step()
      }
      for (const each of disturbances)
        if (each.until === Number.POSITIVE_INFINITY && !byDisks.has(each)) each.until = step()
    },
  }
  return ledger
}
