import { timeCell } from '../table.ts'

/** What a registry says of a tag or a repository besides; nothing where it does not. */
export interface Usage {
  /** RFC 3339. */
  pushedAt?: string
  updatedAt?: string
  /** Bytes. */
  size?: number
  tags?: number
  pulls?: number
  lastPullAt?: string | null
}

/** The parts of a row that have the type that they should have: it comes from a stranger. */
export function usageOf(row: Record<string, unknown> | undefined): Usage {
  const usage: Usage = {}
  const { pushedAt, updatedAt, size, tags, pulls, lastPullAt } = row ?? {}
  if (isTime(pushedAt)) usage.pushedAt = pushedAt
  if (isTime(updatedAt)) usage.updatedAt = updatedAt
  if (isCount(size)) usage.size = size
  if (isCount(tags)) usage.tags = tags
  if (isCount(pulls)) usage.pulls = pulls
  if (lastPullAt === null || isTime(lastPullAt)) usage.lastPullAt = lastPullAt
  return usage
}

export const PULL_TITLES = ['PULLS', 'LAST PULL']

export function pullCells({ pulls, lastPullAt = null }: Usage): string[] {
  return [pulls === undefined ? '-' : String(pulls), timeCell(lastPullAt)]
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && !Number.isNaN(Date.parse(value))
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
