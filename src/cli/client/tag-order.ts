import type { Usage } from './overview.ts'
import type { TagDetails } from './tag-details.ts'

export const SORT_KEYS = ['name', 'semver', 'created', 'size', 'pushed', 'pulled', 'pulls'] as const
export type SortKey = (typeof SORT_KEYS)[number]

/** `v1.2` → `1.2.0`; undefined for what is no version. */
function versionOf(tag: string): string | undefined {
  const [, major, minor = '0', patch = '0', rest = ''] =
    /^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?((?:-[\w.-]+)?(?:\+[\w.-]+)?)$/.exec(tag) ?? []
  return major === undefined ? undefined : `${major}.${minor}.${patch}${rest}`
}

/** What is no version comes before all versions, by name. */
export function compareVersions(a: string, b: string): number {
  const [first, second] = [versionOf(a), versionOf(b)]
  if (first === undefined || second === undefined) {
    return Number(first !== undefined) - Number(second !== undefined) || compareNames(a, b)
  }
  return Bun.semver.order(first, second) || compareNames(a, b)
}

export function compareNames(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Sorted anew; details are needed for `created` and `size`, and what the registry says besides for `pushed`, `pulled` and `pulls`. */
export function sortTags<T extends { tag: string } & Partial<TagDetails> & Usage>(
  rows: readonly T[],
  key: SortKey,
): T[] {
  const compare: Record<SortKey, (a: T, b: T) => number> = {
    name: () => 0,
    semver: (a, b) => compareVersions(a.tag, b.tag),
    created: (a, b) => compareTimes(a.created, b.created),
    pushed: (a, b) => compareTimes(a.pushedAt, b.pushedAt),
    pulled: (a, b) => compareTimes(a.lastPullAt, b.lastPullAt),
    pulls: (a, b) => (a.pulls ?? 0) - (b.pulls ?? 0),
    size: (a, b) => (a.size ?? 0) - (b.size ?? 0),
  }
  return rows.toSorted((a, b) => compare[key](a, b) || compareNames(a.tag, b.tag))
}

/** What never happened comes first. */
export function compareTimes(a: string | null | undefined, b: string | null | undefined): number {
  const [first, second] = [Date.parse(a ?? ''), Date.parse(b ?? '')]
  if (Number.isNaN(first) || Number.isNaN(second)) return Number(!Number.isNaN(first)) - Number(!Number.isNaN(second))
  return first - second
}
