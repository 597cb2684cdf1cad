import type { ContentManifest, Contents, ContentTag, RepositoryContents, StoredBlob } from '../metadata/metadata.ts'

/** Everything that repositories hold: see there. */
export type { ContentManifest, Contents, ContentTag, RepositoryContents, StoredBlob }
