import { RegistryError } from '../../oci/error.ts'
import { CATALOG, covers, pullable } from '../../oci/scope.ts'
import type { Catalog } from '../../registry/catalog.ts'
import type { Handler } from '../call.ts'
import { JSON_TYPE } from '../errors.ts'
import { jsonResponse } from '../json.ts'
import { nextLink, parsePage } from '../page.ts'

const DEFAULT_PAGE = 100

/** Docker registry API v2, "Listing Repositories". A token without the catalog's scope shows the repositories that it may pull. */
export function createCatalogHandlers(deps: { catalog: Catalog; maxEntries: number }): { list: Handler } {
  const { catalog, maxEntries } = deps
  return {
    async list({ path, query, subject }) {
      const { last, count = Math.min(DEFAULT_PAGE, maxEntries) } = parsePage(query)
      if (count > maxEntries) throw new RegistryError('PAGINATION_NUMBER_INVALID', { detail: { n: count } })
      const { granted } = subject
      const among = granted === 'everything' || covers(granted, CATALOG) ? undefined : pullable(granted)
      const page = await catalog.list({ last, limit: count + 1 }, among)
      const repositories = page.slice(0, count)
      const final = repositories.at(-1)
      const headers: Record<string, string> = { 'Content-Type': JSON_TYPE }
      if (page.length > count && final !== undefined) headers.Link = nextLink(path, final, count)
      return jsonResponse(`${JSON.stringify({ repositories })}\n`, headers)
    },
  }
}
