import type {
  ContentManifest,
  ContentMove,
  Contents,
  ContentTag,
  RepositoryContents,
  StoredBlob,
} from '../metadata/metadata.ts'

/** Everything that repositories hold: see there. */
export type { ContentManifest, ContentMove, Contents, ContentTag, RepositoryContents, StoredBlob }
