import type { Metadata, PullTally, StoredManifest } from '../metadata/metadata.ts'
import { isDigest } from '../oci/digest.ts'
import type { Log } from '../telemetry/log.ts'
import { createDelayedWrite } from './delayed-write.ts'

/** Counts pulls in memory, and writes their sums a moment later: a pull waits for nothing, and writes nothing. */
export interface PullCounts {
  /** A manifest was sent to somebody who asked for `reference`, a tag or its digest. Never waits, and never throws. */
  add(repository: string, reference: string, manifest: StoredManifest): void
  /** What waits for its write belongs to a repository that has another name now. */
  moved(from: string, to: string): void
  /** Writes what is there. */
  flush(): Promise<void>
  /** As `flush`; nothing is written by itself after that. */
  close(): Promise<void>
}

/** Milliseconds that a pull may wait for its write: a crash loses no more than those. */
const DELAY = 30_000
/** Sums of one write, so that it holds up no other for long, and those that memory holds. */
const PORTION = 200
const MAX_WAITING = 20_000

/** Pulls of one manifest by one reference that wait for their write. */
interface Waiting {
  repository: string
  reference: string
  digest: PullTally['digest']
  pulls: number
  lastAt: number
}

export function createPullCounts(deps: {
  pulls: Pick<Metadata['pulls'], 'add'>
  now: () => number
  log: Pick<Log, 'warn'>
}): PullCounts {
  const { pulls, now, log } = deps
  /**
   * A manifest that memory holds is the same object at each pull, which finds its sum with no text made or compared by hash. One that is
   * read anew has a new sum; they meet when they are written.
   */
  const known = new WeakMap<StoredManifest, Waiting>()
  let waiting: Waiting[] = []
  /** Sums whose write failed. */
  let unwritten: PullTally[] = []
  let lost = 0

  function sumOf(repository: string, reference: string, manifest: StoredManifest): Waiting {
    const sum = known.get(manifest)
    if (sum !== undefined && sum.reference === reference && sum.repository === repository) return sum
    const { digest } = manifest
    const made = { repository: ownText(repository), reference: ownText(reference), digest, pulls: 0, lastAt: 0 }
    known.set(manifest, made)
    return made
  }

  function take(): PullTally[] {
    const sums = new Map(unwritten.map((tally) => [keyOf(tally), tally]))
    for (const sum of waiting) {
      const { repository, reference, digest, lastAt } = sum
      const tag = isDigest(reference) ? undefined : reference
      const key = keyOf({ repository, tag, digest })
      const before = sums.get(key)
      sums.set(key, {
        ...{ repository, tag, digest },
        pulls: sum.pulls + (before?.pulls ?? 0),
        lastAt: Math.max(lastAt, before?.lastAt ?? 0),
      })
      sum.pulls = 0
    }
    waiting = []
    unwritten = []
    return [...sums.values()]
  }

  async function write(): Promise<void> {
    const tallies = take()
    for (let start = 0; start < tallies.length; start += PORTION) {
      try {
        await pulls.add(tallies.slice(start, start + PORTION))
      } catch (error) {
        unwritten = tallies.slice(start, start + MAX_WAITING)
        lost += tallies.length - start - unwritten.length
        log.warn('pulls could not be counted in the database; this is tried again', { error })
        break
      }
    }
    if (lost > 0) log.warn('more is pulled than can be counted: some pulls are missing', { atLeast: lost })
    lost = 0
  }

  const writes = createDelayedWrite(DELAY, write, () => waiting.length + unwritten.length > 0)

  return {
    add(repository, reference, manifest) {
      const sum = sumOf(repository, reference, manifest)
      if (sum.pulls === 0) {
        if (waiting.length >= MAX_WAITING) {
          writes.begin()
          if (waiting.length >= MAX_WAITING) {
            lost++
            return
          }
        }
        waiting.push(sum)
        writes.schedule()
      }
      sum.pulls++
      sum.lastAt = now()
    },
    moved(from, to) {
      for (const sum of waiting) if (sum.repository === from) sum.repository = to
      for (const tally of unwritten) if (tally.repository === from) tally.repository = to
    },
    flush: writes.flush,
    close: writes.close,
  }
}

function keyOf({ repository, tag = '', digest }: Pick<PullTally, 'repository' | 'tag' | 'digest'>): string {
  return `${repository} ${tag} ${digest}`
}

/** A copy: a part of a text keeps the whole of it in memory, and this one was part of a request's URL. */
function ownText(text: string): string {
  return Buffer.from(text).toString()
}
