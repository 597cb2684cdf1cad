import type { RepositoryOverview } from '../registry/catalog.ts'
import type { TagOverview } from '../registry/tags.ts'

/** Rows for people, as JSON: times are RFC 3339 in UTC, sizes bytes. */
export function repositoryView({ createdAt, updatedAt, bytes, lastPullAt, ...row }: RepositoryOverview) {
  const times = { createdAt: timeOf(createdAt), updatedAt: timeOrNull(updatedAt), lastPullAt: timeOrNull(lastPullAt) }
  return { ...row, size: bytes, ...times }
}

/** Without who pushed it: names of accounts are for administrators. */
export function tagView({ pushedAt, pushedBy: _, lastPullAt, ...row }: TagOverview) {
  return { ...row, pushedAt: timeOf(pushedAt), lastPullAt: timeOrNull(lastPullAt) }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

function timeOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : timeOf(ms)
}
