import type { Metadata } from '../metadata/metadata.ts'

/**
 * Bytes of uploads under way, below the prefixes that quotas are over: what this process has, or has promised room for, which alone
 * takes uploads. Nothing is kept while there are no such prefixes.
 */
export interface OpenUploads {
  /** These are the prefixes from now on. What is told meanwhile counts. */
  watch(prefixes: ReadonlySet<string>): Promise<void>
  below(prefix: string): number
  /** 0 of one that is not known. */
  of(id: string): number
  /** An upload has so many bytes, or has room for them; with 0 it has ended, or has none. */
  set(repository: string, id: string, bytes: number): void
  /** Those below a prefix that were told of last before `before`. */
  idle(prefix: string, before: number): { id: string; repository: string }[]
}

const PAGE = 1000

export function createOpenUploads(uploads: Pick<Metadata['uploads'], 'underWay'>, now: () => number): OpenUploads {
  let prefixes: ReadonlySet<string> = new Set()
  const open = new Map<string, { repository: string; bytes: number; at: number }>()
  const sums = new Map<string, number>()
  /** Told of while rows are read, which may be older. */
  let told: Set<string> | undefined

  function put(repository: string, id: string, bytes: number, at: number): void {
    const before = open.get(id)?.bytes ?? 0
    const by = bytes - before
    if (bytes === 0) open.delete(id)
    else open.set(id, { repository, bytes, at })
    if (by === 0) return
    for (const prefix of prefixes) {
      if (isBelow(repository, prefix)) sums.set(prefix, (sums.get(prefix) ?? 0) + by)
    }
  }

  return {
    async watch(wanted) {
      prefixes = wanted
      open.clear()
      sums.clear()
      const mine = new Set<string>()
      told = mine
      for (let after: string | undefined; prefixes.size > 0 && told === mine; ) {
        const rows = await uploads.underWay(after, PAGE)
        if (told !== mine) return
        for (const { id, repository, size, updatedAt } of rows) if (!mine.has(id)) put(repository, id, size, updatedAt)
        after = rows.at(-1)?.id
        if (rows.length < PAGE) break
      }
      if (told === mine) told = undefined
    },

    below: (prefix) => sums.get(prefix) ?? 0,
    of: (id) => open.get(id)?.bytes ?? 0,

    set(repository, id, bytes) {
      if (prefixes.size === 0) return
      told?.add(id)
      if (bytes > 0 || open.has(id)) put(repository, id, bytes, now())
    },

    idle: (prefix, before) =>
      [...open].flatMap(([id, { repository, at }]) =>
        at < before && isBelow(repository, prefix) ? [{ id, repository }] : [],
      ),
  }
}

/** Whether a prefix (`''`: of everything) is over the repository. */
export function isBelow(repository: string, prefix: string): boolean {
  return prefix === '' || repository === prefix || repository.startsWith(`${prefix}/`)
}
