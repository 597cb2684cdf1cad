import { jsonObject } from '../oci/json-object.ts'
import type { Access } from '../oci/scope.ts'
import { bytesOf } from './body.ts'
import { UpstreamError } from './error.ts'
import { guardPages, nextPage } from './pages.ts'
import type { Session } from './session.ts'

/** What comes after `last`, up to `until`. */
export interface OverviewRange {
  last?: string | undefined
  until: string
}

/** By name, as they came: nothing of them has been looked at. */
export type OverviewRows = ReadonlyMap<string, Record<string, unknown>>

interface Wanted {
  registry: string
  repository?: string
  needed: readonly Access[]
  path: string
  range: OverviewRange
  rowsIn: (json: Record<string, unknown>) => unknown
}

/**
 * Berth's own lists (`_berth` below `/v2/`). Undefined wherever a registry has no such thing, or does not show it: a list without
 * them is whole, too.
 */
export function createOverview(session: Session): (wanted: Wanted) => Promise<OverviewRows | undefined> {
  return async (wanted) => {
    try {
      return await read(wanted)
    } catch (error) {
      if (error instanceof UpstreamError) return undefined
      throw error
    }
  }

  async function read({ range, rowsIn, ...request }: Wanted): Promise<OverviewRows | undefined> {
    const rows = new Map<string, Record<string, unknown>>()
    const { last, until } = range
    const query = new URLSearchParams({ n: '1000', ...(last === undefined ? {} : { last }) })
    const what = `the overview of ${request.registry}`
    const guard = guardPages(what)
    let path: string | undefined = `${request.path}?${query}`
    while (path !== undefined) {
      guard.ask(path)
      const response: Response = await session.request({ ...request, path, what, method: 'GET', expected: [200] })
      const bytes = await bytesOf(response, what)
      guard.got(bytes)
      const found = rowsIn(jsonObject(bytes) ?? {})
      if (!Array.isArray(found)) return undefined
      const named = found.filter(isNamed)
      for (const row of named) rows.set(row.name, row)
      path = named.some(({ name }) => name >= until) ? undefined : nextPage(response)
    }
    return rows
  }
}

function isNamed(row: unknown): row is { name: string } & Record<string, unknown> {
  return typeof row === 'object' && row !== null && 'name' in row && typeof row.name === 'string'
}
