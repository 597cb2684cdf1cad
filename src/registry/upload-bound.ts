import { RegistryError } from '../oci/error.ts'

/** Uploads that may be under way: ten clients of ten layers each, a thousand times. Each is a file and a row, even without a byte. */
const MOST = 100_000
/** A look at how many there are is good for so many starts at least: by as many the bound may be passed. */
const LEAST_ADMITTED = 1000
/** Milliseconds for which a refusal stands before it is looked again. */
const STANDS = 5000

/**
 * Keeps the number of uploads under way below a bound that no honest client meets. Those that nobody went on with for long end first.
 * Answers at once, without a promise, as long as the last look leaves room.
 * @throws RegistryError TOOMANYREQUESTS
 */
export function createUploadBound(deps: {
  /** How many there are, or `limit` where there are more. */
  count: (limit: number) => Promise<number>
  /** Ends some of those that nobody went on with for long. Resolves to how many. */
  endIdle: () => Promise<number>
  now: () => number
  most?: number | undefined
}): () => Promise<void> | undefined {
  const { count, endIdle, now, most = MOST } = deps
  const least = Math.min(LEAST_ADMITTED, Math.ceil(most / 100))
  let left = 0
  let refusedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined

  async function look(): Promise<void> {
    let open = await count(most)
    // What this frees is what the next starts take.
    if (open >= most && (await endIdle()) > 0) open = await count(most)
    if (open >= most) refusedAt = now()
    else left = Math.max(most - open, least)
  }

  /** One look answers all that wait for it. */
  async function admit(): Promise<void> {
    const sinceRefusal = now() - refusedAt
    // A clock that was set back says nothing.
    if (sinceRefusal < 0 || sinceRefusal >= STANDS) {
      looking ??= look().finally(() => {
        looking = undefined
      })
      await looking
    }
    if (left > 0) {
      left--
      return
    }
    throw new RegistryError('TOOMANYREQUESTS', {
      message: `${most} uploads are under way, as many as the registry takes; end those that you began and need no more, or try again later: an upload that nobody went on with for an hour makes room`,
    })
  }

  return () => {
    if (left === 0) return admit()
    left--
    return undefined
  }
}
