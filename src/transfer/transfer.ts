import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { FetchedManifest } from '../upstream/registry.ts'

/** Where images come from: a repository, a layout, an archive. All errors are UpstreamErrors. */
export interface ImageSource {
  /** As errors name it. */
  name: string
  /** @throws UpstreamError `not-found`, or `invalid` for other bytes than the digest says */
  manifest(reference: string): Promise<FetchedManifest>
  /** Bytes of a blob from `start` on. They need not be checked: whoever stores them does that. */
  open(blob: Descriptor, start: number): AsyncIterable<Uint8Array>
  /** Bytes of a blob, which is not read; undefined: it is not there. */
  sizeOf(blob: Descriptor): Promise<number | undefined>
  /** What says something of a manifest: signatures, SBOMs. */
  referrers(subject: Digest): Promise<Referrers>
}

export interface Referrers {
  /** Manifests that name it as their subject. */
  manifests: readonly Descriptor[]
  /** Tags that are made of its digest, as cosign does it. */
  tags: readonly string[]
}

export interface ImageTarget {
  name: string
  hasManifest(digest: Digest): Promise<boolean>
  /** What a tag stands for there; undefined: there is none. */
  taggedBy(tag: string): Promise<Digest | undefined>
  hasBlob(blob: Descriptor): Promise<boolean>
  /** Whether it may get a blob without moving its bytes, if the registry is willing. */
  mayMount: boolean
  /** Stores a blob, whose bytes it checks. @throws UpstreamError `invalid` */
  take(blob: Descriptor, source: ImageSource, onProgress: (bytes: number) => void): Promise<'copied' | 'mounted'>
  /** What it names is there already. `reference`: a tag, or its digest. */
  putManifest(reference: string, manifest: FetchedManifest): Promise<void>
}

export type Action = 'copied' | 'mounted' | 'skipped'

/** Told of what happens, for whoever watches. */
export interface Meter {
  /** A blob is under way. */
  begin(blob: Descriptor): { at(bytes: number): void; end(action: Action | 'checked' | 'failed'): void }
  /** Takes away what is drawn. */
  clear(): void
}
