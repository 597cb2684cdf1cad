import type { RepositoryOverview } from '../registry/catalog.ts'
import type { TagOverview } from '../registry/tags.ts'
import { isoOf, isoOrNull } from './api/views.ts'

/** Rows for people, as JSON: times are RFC 3339 in UTC, sizes bytes. */
export function repositoryView({ createdAt, updatedAt, bytes, lastPullAt, ...row }: RepositoryOverview) {
  const times = { createdAt: isoOf(createdAt), updatedAt: isoOrNull(updatedAt), lastPullAt: isoOrNull(lastPullAt) }
  return { ...row, size: bytes, ...times }
}

/** Without who pushed it: names of accounts are for administrators. */
export function tagView({ pushedAt, pushedBy: _, lastPullAt, ...row }: TagOverview) {
  return { ...row, pushedAt: isoOf(pushedAt), lastPullAt: isoOrNull(lastPullAt) }
}
