import type { Goal } from './figures.ts'

/** What Berth must reach, as its architecture page states it; the ratios are against Debian's docker-registry. */
export const GOALS = {
  pushCpu: { of: 'ratio', atMost: 0.4 },
  pullCpu: { of: 'ratio', atMost: 0.55 },
  pushSpeed: { of: 'ratio', atLeast: 2.2 },
  pullSpeed: { of: 'ratio', atLeast: 1.2 },
  manifestRate: { of: 'ratio', atLeast: 35 },
  manifestLatency: { of: 'berth', atMost: 4 },
  latencyWhilePushing: { of: 'ratio', atMost: 0.3 },
  /** A page out of many costs what one out of a hundred does; a quarter is left to noise. */
  flat: { of: 'berth', atMost: 1.25 },
  /**
   * MiB that memory may grow by while caches fill, which is what their bounds come to: pages of SQLite (8 and 8 and 4, and 4 for looks at
   * everything: `sqlite-connection.ts`), manifests (32: `manifests.ts`), rows of blobs (20,000 of 300 bytes: `blobs.ts`).
   */
  caches: { of: 'berth', atMost: 62 },
  /**
   * Pages of the database that an operation reads more than among few: a leaf of each index that it touches, for they do not fit into
   * memory any more, and a level of the deeper ones.
   */
  moreReads: { of: 'berth', atMost: 16 },
  moreReadsOfPush: { of: 'berth', atMost: 80 },
  tokensP256: { of: 'berth', atLeast: 10_000 },
  tokensRsa: { of: 'berth', atLeast: 1800 },
  /** Milliseconds: strangers who try passwords do not keep anybody else waiting. */
  latencyWhileGuessed: { of: 'berth', atMost: 20 },
} as const satisfies Record<string, Goal>

/** Undefined where a side that the goal needs was not measured. */
export function isMet(goal: Goal, berth: number | undefined, peer: number | undefined): boolean | undefined {
  if (berth === undefined) return undefined
  if (goal.of === 'ratio' && peer === undefined) return undefined
  const value = goal.of === 'ratio' ? berth / (peer ?? Number.NaN) : berth
  return value <= (goal.atMost ?? Number.POSITIVE_INFINITY) && value >= (goal.atLeast ?? Number.NEGATIVE_INFINITY)
}

export function describeGoal(goal: Goal, unit: string): string {
  const suffix = goal.of === 'ratio' ? ' ×' : ` ${unit.split(' ').at(-1)}`
  return goal.atMost === undefined ? `≥ ${goal.atLeast}${suffix}` : `≤ ${goal.atMost}${suffix}`
}
