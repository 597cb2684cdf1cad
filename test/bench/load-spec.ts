import type { Target } from './connection.ts'

/** What a load process is told to do (JSON on its standard input). Sizes in bytes unless the name says otherwise. */
export type LoadSpec = PushSpec | PullSpec | SlowPullSpec | PacedSpec | RepeatSpec | SequenceSpec | GuessSpec | FillSpec

interface Base {
  target: Target
  connections: number
}

/** Each connection pushes blob after blob, each different, and a manifest for each: `each` times, or for `seconds`. */
export interface PushSpec extends Base {
  kind: 'push'
  repository: string
  /** Tags are `<label>-<n>`. */
  label: string
  blobMebibytes: number
  each: number
  seconds?: number
}

/** Each connection gets path after path: `each` times, or for `seconds`. */
export interface PullSpec extends Base {
  kind: 'pull'
  paths: readonly string[]
  each: number
  seconds?: number
}

/** Each connection reads one body at `bytesPerSecond`, for `seconds` at most. */
export interface SlowPullSpec extends Base {
  kind: 'slow-pull'
  path: string
  bytesPerSecond: number
  seconds: number
}

/** Open loop: a request is due every `1 / perSecond` seconds, and its latency counts from then, whenever it is sent. */
export interface PacedSpec extends Base {
  kind: 'paced'
  path: string
  perSecond: number
  seconds: number
}

/** Closed loop: every connection asks again as soon as it has the answer. */
export interface RepeatSpec extends Base {
  kind: 'repeat'
  path: string
  seconds: number
}

/** Each request once, over all connections; with its own Authorization. */
export interface SequenceSpec extends Base {
  kind: 'sequence'
  requests: readonly { path: string; authorization: string }[]
}

/** Closed loop: every connection tries one wrong password after the other, each at the next of the accounts. */
export interface GuessSpec extends Base {
  kind: 'guess'
  path: string
  accounts: readonly string[]
  /** For X-Forwarded-For, one to a connection; none: the connection's own. */
  addresses: readonly string[]
  seconds: number
}

/** Empty indexes, one to each of `count` repositories or tags. */
export interface FillSpec extends Base {
  kind: 'fill'
  count: number
  what: 'repositories' | 'tags'
}

export interface LoadResult {
  /** From the word to go until the last answer. */
  seconds: number
  bytes: number
  requests: number
  failures: number
  firstFailure: string | undefined
  /** What the load process itself used in that time. */
  cpuSeconds: number
  /** Milliseconds. */
  latency: { p50: number; p99: number; max: number } | undefined
  /** Of the blobs that were pushed. */
  digests: string[]
  /** Of guesses: how many answers had which status. */
  statuses: Record<string, number>
}

/** The value below which `share` (0 to 1) of the values lie: nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
