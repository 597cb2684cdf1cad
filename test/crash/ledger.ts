import type { Digest } from '../../src/oci/digest.ts'
import type { Content, TestImage } from '../image.ts'

/** What a registry was asked to keep, and what it said that it keeps. */
export interface Ledger {
  readonly blobs: ReadonlyMap<string, BlobEntry>
  readonly manifests: ReadonlyMap<string, ManifestEntry>
  readonly tags: ReadonlyMap<string, TagEntry>
  /** Each is called before the request is sent, and what it returns once a 201 has come. */
  sendBlob(repository: string, blob: Content): () => void
  sendManifest(repository: string, tag: string, image: TestImage): () => void
}

export interface BlobEntry {
  repository: string
  blob: Content
  acknowledged: boolean
}

export interface ManifestEntry {
  repository: string
  image: TestImage
  acknowledged: boolean
}

export interface TagEntry {
  repository: string
  tag: string
  acknowledged: boolean
  /** Everything that was ever sent to it, oldest first. */
  sent: Digest[]
  /** It may point to what stands here in `sent` (what was acknowledged last) and to all that follows. */
  from: number
}

/** At most one manifest at a time may be on its way to a tag. */
export function createLedger(): Ledger {
  const blobs = new Map<string, BlobEntry>()
  const manifests = new Map<string, ManifestEntry>()
  const tags = new Map<string, TagEntry>()
  return {
    blobs,
    manifests,
    tags,
    sendBlob(repository, blob) {
      const entry = entryOf(blobs, `${repository}@${blob.digest}`, () => ({ repository, blob, acknowledged: false }))
      return () => {
        entry.acknowledged = true
      }
    },
    sendManifest(repository, tag, image) {
      const { digest } = image.manifest
      const manifest = entryOf(manifests, `${repository}@${digest}`, () => ({ repository, image, acknowledged: false }))
      const entry = entryOf(
        tags,
        `${repository}:${tag}`,
        (): TagEntry => ({
          repository,
          tag,
          acknowledged: false,
          sent: [],
          from: 0,
        }),
      )
      const place = entry.sent.push(digest) - 1
      return () => {
        manifest.acknowledged = true
        entry.acknowledged = true
        entry.from = place
      }
    },
  }
}

function entryOf<T>(entries: Map<string, T>, key: string, make: () => T): T {
  const known = entries.get(key)
  if (known !== undefined) return known
  const made = make()
  entries.set(key, made)
  return made
}
