import type { Metadata, Page } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'

export interface Tags {
  /** One page, in byte order. @throws RegistryError NAME_UNKNOWN */
  list(repository: string, page: Page): Promise<string[]>
}

export function createTags({ metadata }: { metadata: Metadata }): Tags {
  return {
    async list(repository, page) {
      const tags = await metadata.tags.list(repository, page)
      if (tags === undefined) throw new RegistryError('NAME_UNKNOWN', { detail: { name: repository } })
      return tags
    },
  }
}
