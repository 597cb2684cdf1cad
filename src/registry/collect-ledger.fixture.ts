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
  /** Whether something that was confirmed in that step may have been taken away since. */
  isDisturbed(repository: string, digest: Digest, since: number): boolean
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
  /** Manifests that a client ever asked to delete, by repository and digest. */
  readonly everDeleted: Set<string>
  /** Until when a deleted manifest can be restored, by repository and digest. */
  readonly restorable: Map<string, number>
}

export const nameOf = (repository: string, { digest }: { digest: Digest }): string => `${repository} ${digest}`

export function createLedger(step: () => number): Ledger {
  const writes = new Map<string, Write[]>()
  const places = new Map<Write, string>()
  const underWay = new Set<{ repository: string; at: number }>()
  const putAt = new Map<string, number>()
  const disturbances: Disturbance[] = []

  return {
    pushed: [],
    deleted: [],
    everDeleted: new Set(),
    restorable: new Map(),

    write(repository, name, to) {
      const made: Write = { to, from: step(), until: Number.POSITIVE_INFINITY, isCertain: false }
      const place = `${repository} ${name}`
      places.set(made, place)
      writes.set(place, [...(writes.get(place) ?? []), made])
      return made
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
      const first: Write = { to: undefined, from: -1, until: -1, isCertain: true }
      const all = [first, ...(writes.get(`${repository} ${name}`) ?? [])]
      const isPast = (one: Write) => all.some((other) => other.isCertain && other.from > one.until)
      return new Set(all.filter((one) => !isPast(one)).map(({ to }) => to))
    },
    disturb(repository, digests) {
      const made = { repository, digests, until: Number.POSITIVE_INFINITY }
      disturbances.push(made)
      return made
    },
    isDisturbed: (repository, digest, since) =>
      disturbances.some(
        (each) => each.repository === repository && each.until >= since && each.digests.includes(digest),
      ),
    begin(repository, at) {
      const mine = { repository, at }
      underWay.add(mine)
      return () => void underWay.delete(mine)
    },
    put(repository, image, at) {
      // Whoever takes a tag away may have begun before, and come to its row only later.
      const others = [...underWay].filter((each) => each.repository === repository)
      putAt.set(nameOf(repository, image), Math.min(at, ...others.map((each) => each.at)))
    },
    waitsSince: (repository, image) => putAt.get(nameOf(repository, image)),
    crash() {
      underWay.clear()
      for (const write of [...writes.values()].flat()) {
        if (write.until === Number.POSITIVE_INFINITY) write.until = step()
      }
      for (const each of disturbances) if (each.until === Number.POSITIVE_INFINITY) each.until = step()
    },
  }
}
