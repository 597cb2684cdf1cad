import type { ContentManifest, ContentMove, Contents, Page, StoredBlob } from '../metadata/metadata.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { pathOf } from '../storage/distribution-path.ts'

export interface Held {
  manifests: Map<Digest, ContentManifest>
  tags: Map<string, { digest: Digest; updatedAt: number }>
  blobs: Map<Digest, StoredBlob>
  moves: ContentMove[]
}

/** Rows in memory, which a test changes between two pages. */
export function createContents() {
  const held = new Map<string, Held>()
  /** Called before each question, with its name. */
  let onAsk: (noun: string) => void = () => {}

  const of = (repository: string): Held => {
    const known = held.get(repository) ?? { manifests: new Map(), tags: new Map(), blobs: new Map(), moves: [] }
    held.set(repository, known)
    return known
  }

  function page<T>(rows: readonly T[], key: (row: T) => string, { last, limit }: Page): T[] {
    return rows
      .filter((row) => last === undefined || key(row) > last)
      .sort((a, b) => (key(a) < key(b) ? -1 : 1))
      .slice(0, limit)
  }

  const contents: Contents = {
    async repositories(at) {
      onAsk('repositories')
      const rows = [...held].map(([name, { manifests, tags, blobs }]) => ({
        name,
        manifests: manifests.size,
        tags: tags.size,
        blobs: blobs.size,
        bytes: [...blobs.values()].reduce((sum, { size }) => sum + size, 0),
      }))
      return page(rows, ({ name }) => name, at)
    },
    async manifests(repository, { tag, digest, subject }, at) {
      onAsk('manifests')
      const { manifests, tags } = of(repository)
      const wanted = tag === undefined ? digest : (tags.get(tag)?.digest ?? 'none')
      const isWanted = (row: ContentManifest) =>
        (wanted === undefined || row.digest === wanted) && (subject === undefined || row.subject === subject)
      const rows = page([...manifests.values()].filter(isWanted), (row) => row.digest, at)
      return { manifests: rows, more: rows.length === at.limit }
    },
    async tags(repository, at) {
      onAsk('tags')
      const rows = [...of(repository).tags].map(([name, tag]) => ({ name, ...tag }))
      return page(rows, ({ name }) => name, at)
    },
    async moves(repository, { last = 0, limit }) {
      onAsk('moves')
      return of(repository)
        .moves.filter(({ id }) => id > last)
        .slice(0, limit)
    },
    async blobs(repository, { digest }, at) {
      onAsk('blobs')
      const rows = [...of(repository).blobs.values()].filter((row) => digest === undefined || row.digest === digest)
      return page(rows, (row) => row.digest, at)
    },
  }

  return {
    contents,
    of,
    ask(hook: (noun: string) => void) {
      onAsk = hook
    },
    addBlob(repository: string, text: string, key?: string): StoredBlob {
      const digest = digestOf(Buffer.from(text))
      const blob: StoredBlob = {
        digest,
        size: text.length,
        key: key ?? pathOf({ kind: 'blob', digest }),
        state: 'live',
      }
      of(repository).blobs.set(digest, blob)
      return blob
    },
    addManifest(repository: string, json: object, more: Partial<ContentManifest> & { tags?: string[] } = {}) {
      const { tags = [], ...rest } = more
      const bytes = new TextEncoder().encode(JSON.stringify(json))
      const manifest: ContentManifest = {
        digest: digestOf(bytes),
        mediaType: MEDIA_TYPES.ociManifest,
        bytes,
        subject: undefined,
        artifactType: undefined,
        annotations: undefined,
        pushedAt: 1_700_000_000_000,
        isTagged: tags.length > 0,
        isChild: false,
        ...rest,
      }
      of(repository).manifests.set(manifest.digest, manifest)
      for (const tag of tags) of(repository).tags.set(tag, { digest: manifest.digest, updatedAt: 1_700_000_001_000 })
      return manifest
    },
  }
}
