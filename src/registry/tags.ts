import type { Metadata, Page, TagOverview } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'

export type { TagOverview }

export interface Tags {
  /** One page, in byte order. @throws RegistryError NAME_UNKNOWN */
  list(repository: string, page: Page): Promise<string[]>
  /** The same, with what people want to know of each. @throws RegistryError NAME_UNKNOWN */
  overview(repository: string, page: Page): Promise<TagOverview[]>
}

export function createTags({ metadata }: { metadata: Metadata }): Tags {
  return {
    async list(repository, page) {
      const tags = await metadata.tags.list(repository, page)
      if (tags === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
      return tags
    },

    async overview(repository, page) {
      const tags = await metadata.overview.tags(repository, page)
      if (tags === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
      return tags
    },
  }
}
