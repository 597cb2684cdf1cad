import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { checkedBytes, type Mismatch } from '../upstream/content-check.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import { MANIFEST_FILE } from './docker-archive.ts'
import { blobPath, IMAGE_NAME, INDEX_FILE, LAYOUT, LAYOUT_FILE, REF_NAME } from './layout.ts'
import type { LayoutStore } from './layout-store.ts'
import type { ImageTarget } from './transfer.ts'
import { readManifest } from './tree.ts'

export interface LayoutTarget extends ImageTarget {
  /** The image is one of the layout's. `name`: as docker names it; undefined for one without a tag. */
  add(root: FetchedManifest, name: { tag: string; image: string } | undefined): void
  /** Makes it a layout. `docker`: `docker load` finds the images, too. @throws UpstreamError */
  end(options: { docker: boolean }): Promise<void>
  /** What was there under its name with other bytes, and whether it has been replaced. */
  damaged: ReadonlyMap<Digest, { isReplaced: boolean }>
}

interface Entry {
  root: FetchedManifest
  name: { tag: string; image: string } | undefined
}

export function layoutTarget(store: LayoutStore): LayoutTarget {
  const entries: Entry[] = []
  const damaged = new Map<Digest, { isReplaced: boolean }>()
  let queue: Promise<unknown> = Promise.resolve()

  /** A stream takes one after the other. */
  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (store.writers > 1) return await work()
    const turn = queue.then(work, work)
    queue = turn.catch(() => {})
    return await turn
  }

  async function isWhole({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
    const state = await store.state(blobPath(digest), { digest, size })
    if (state === 'damaged') damaged.set(digest, { isReplaced: false })
    return state === 'whole'
  }

  async function put(digest: Digest, size: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    await inTurn(() => store.put(blobPath(digest), size, chunks))
    if (damaged.has(digest)) damaged.set(digest, { isReplaced: true })
  }

  return {
    name: store.name,
    damaged,
    mayMount: false,
    hasManifest: async () => false,
    taggedBy: async () => undefined,
    hasBlob: isWhole,

    async take(blob, source, onProgress) {
      await put(blob.digest, blob.size, checkedBlob(source.name, blob, source.open(blob, 0), onProgress))
      return 'copied'
    },

    async putManifest(_reference, { digest, bytes }) {
      const size = bytes.byteLength
      if (!(await isWhole({ digest, size }))) await put(digest, size, once(bytes))
    },

    add: (root, name) => void entries.push({ root, name }),

    async end({ docker }) {
      const files = new Map<string, Uint8Array>([[LAYOUT_FILE, Buffer.from(LAYOUT)]])
      if (docker) files.set(MANIFEST_FILE, Buffer.from(JSON.stringify(dockerImages(store.name, entries))))
      files.set(INDEX_FILE, Buffer.from(JSON.stringify(indexOf(entries, store.before(INDEX_FILE)))))
      await store.end(files)
    },
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

/** @throws UpstreamError `invalid` at the end of other bytes than the descriptor says */
export function checkedBlob(
  name: string,
  blob: Descriptor,
  chunks: AsyncIterable<Uint8Array>,
  onProgress?: (bytes: number) => void,
): AsyncIterable<Uint8Array> {
  const wrong = ({ found }: Mismatch) =>
    new UpstreamError('invalid', `blob ${blob.digest} of ${name}: ${found}`, {
      hint: 'it is damaged there, or something in between changes it',
    })
  return checkedBytes(blob, chunks, wrong, onProgress)
}

/** Entries that were there stay, unless their name is taken. */
function indexOf(entries: readonly Entry[], before: Uint8Array | undefined): unknown {
  const own = entries.map(({ root: { digest, mediaType, bytes }, name }) => ({
    ...{ mediaType, digest, size: bytes.byteLength },
    ...(name === undefined ? {} : { annotations: { [REF_NAME]: name.tag, [IMAGE_NAME]: name.image } }),
  }))
  const tags = new Set(entries.map(({ name }) => name?.tag))
  const digests = new Set<Digest>(entries.flatMap(({ root, name }) => (name === undefined ? [root.digest] : [])))
  const old = entriesIn(before).filter(({ digest, annotations }) => {
    const name = annotations?.[REF_NAME]
    return name === undefined ? !digests.has(digest) : !tags.has(name)
  })
  return { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [...old, ...own] }
}

function entriesIn(index: Uint8Array | undefined): readonly Descriptor[] {
  if (index === undefined) return []
  return readManifest(INDEX_FILE, { bytes: index, mediaType: MEDIA_TYPES.ociIndex }).manifests
}

/** `manifest.json`, as `docker save` writes it. @throws UpstreamError for what docker cannot run */
function dockerImages(name: string, entries: readonly Entry[]): unknown {
  const images = new Map<Digest, { Config: string; RepoTags: string[] | null; Layers: string[] }>()
  for (const { root, name: named } of entries) {
    const { config, layers } = readManifest(name, root)
    if (config === undefined) throw new UpstreamError('invalid', `${root.digest} is no image that docker could load`)
    const image = images.get(root.digest) ?? {
      Config: blobPath(config.digest),
      RepoTags: null,
      Layers: layers.map(({ digest }) => blobPath(digest)),
    }
    images.set(root.digest, image)
    if (named !== undefined) image.RepoTags = [...(image.RepoTags ?? []), named.image]
  }
  return [...images.values()]
}
