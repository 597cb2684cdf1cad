import { CATALOG, covers, pullable } from '../../oci/scope.ts'
import type { Catalog } from '../../registry/catalog.ts'
import type { Tags } from '../../registry/tags.ts'
import type { Handler } from '../call.ts'
import { JSON_TYPE } from '../errors.ts'
import { jsonResponse } from '../json.ts'
import { repositoryView, tagView } from '../overview.ts'
import { nextLink, parsePage } from '../page.ts'

/** Rows of a page, and at most. */
const REPOSITORIES = 100
const TAGS = { usual: 100, most: 1000 }

/**
 * What the lists of the specification do not say: sizes, when something was pushed, how often it was pulled. Paths as the OCI Distribution
 * Specification keeps them for extensions (`/v2/_<extension>/...`, `/v2/<name>/_<extension>/...`), with the access of the plain lists.
 */
export function createOverviewHandlers(deps: { catalog: Catalog; tags: Tags }): {
  repositories: Handler
  tags: Handler
} {
  const { catalog, tags } = deps
  return {
    async repositories({ path, query, subject: { granted } }) {
      const { last, count = REPOSITORIES } = parsePage(query)
      const among = granted === 'everything' || covers(granted, CATALOG) ? undefined : pullable(granted)
      const limit = Math.min(count, REPOSITORIES)
      const { repositories, more } = await catalog.overview({ last, limit }, among)
      const final = repositories.at(-1)?.name
      return answer({ repositories: repositories.map(repositoryView) }, more ? final : undefined, path, limit)
    },

    async tags({ path, name, query }) {
      const { last, count = TAGS.usual } = parsePage(query)
      const limit = Math.min(count, TAGS.most)
      const found = await tags.overview(name, { last, limit: limit + 1 })
      const shown = found.slice(0, limit)
      const final = found.length > limit ? shown.at(-1)?.name : undefined
      return answer({ name, tags: shown.map(tagView) }, final, path, limit)
    },
  }
}

function answer(json: object, last: string | undefined, path: string, limit: number): Response {
  const headers: Record<string, string> = { 'Content-Type': JSON_TYPE, 'Cache-Control': 'no-store' }
  if (last !== undefined) headers.Link = nextLink(path, last, limit)
  return jsonResponse(`${JSON.stringify(json)}\n`, headers)
}
