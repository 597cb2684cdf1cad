import type { Metadata, Overview, Page, RepositoryOverview } from '../metadata/metadata.ts'

export type { RepositoryOverview }

export interface Catalog {
  /** Names of repositories that hold a manifest: one page, in byte order; only those of `among`, where it is given. */
  list(page: Page, among?: readonly string[]): Promise<string[]>
  /** The same, with what people want to know of each: see there. */
  overview: Overview['repositories']
}

export function createCatalog({ metadata }: { metadata: Metadata }): Catalog {
  return {
    async list(page, among) {
      if (among === undefined) return await metadata.repositories.list(page)
      const later = [...new Set(among)].filter((name) => page.last === undefined || name > page.last).sort()
      const found: string[] = []
      for (const name of later) {
        if (found.length === page.limit) break
        if (await metadata.repositories.isListed(name)) found.push(name)
      }
      return found
    },

    overview: (page, among) => metadata.overview.repositories(page, among),
  }
}
