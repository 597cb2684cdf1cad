import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { createBudget } from '../archive/budget.ts'
import { ArchiveError } from '../archive/error.ts'
import { type Compression, expand } from '../archive/expand.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { MEDIA_TYPES } from '../oci/media-type.ts'
import { MAX_BODY } from '../upstream/body.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import { reasonOf } from './draft-file.ts'
import { type Folder, readJson, readSmall } from './folder.ts'
import type { ImageSource } from './transfer.ts'

/** What `docker save` writes beside the images (moby, image/spec/v1.2, "Combined Image JSON + Filesystem Changeset Format"). */
export const MANIFEST_FILE = 'manifest.json'

/** An image of `manifest.json`; paths within the archive. */
export interface ArchivedImage {
  config: string
  layers: readonly string[]
  /** As docker names images. */
  names: readonly string[]
}

/** Bytes from `start` on. */
type Reader = (start: number) => AsyncIterable<Uint8Array>

/** One's own files may expand to whatever they do. */
export const NO_LIMITS = {
  ...{ layer: Number.MAX_SAFE_INTEGER, total: Number.MAX_SAFE_INTEGER, ratio: Number.MAX_SAFE_INTEGER },
  ...{ entries: Number.MAX_SAFE_INTEGER, names: Number.MAX_SAFE_INTEGER, links: Number.MAX_SAFE_INTEGER },
  ...{ name: 4096, header: 1024 * 1024 },
}

/** @throws UpstreamError `invalid` */
export async function readArchive(folder: Folder): Promise<ArchivedImage[]> {
  const json = await readJson(folder, MANIFEST_FILE, MAX_BODY)
  const wrong = () => new UpstreamError('invalid', `${MANIFEST_FILE} of ${folder.name} is no list of images`)
  if (!Array.isArray(json)) throw wrong()
  return json.map((image: unknown) => {
    const { Config, Layers, RepoTags } = (image ?? {}) as Record<string, unknown>
    if (typeof Config !== 'string' || !isTexts(Layers)) throw wrong()
    return { config: Config, layers: Layers, names: isTexts(RepoTags) ? RepoTags : [] }
  })
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string')
}

/**
 * An image of an archive, as docker would push it: layers that are plain are compressed into files below `temporary`, whose names begin
 * with `prefix`. Its config says what they must be. @throws UpstreamError
 */
export async function archiveSource(
  folder: Folder,
  image: ArchivedImage,
  { temporary, prefix }: { temporary: string; prefix: string },
  signal?: AbortSignal | undefined,
): Promise<{ source: ImageSource; root: FetchedManifest }> {
  const config = await readSmall(folder, image.config, MAX_BODY)
  const diffIds = diffIdsIn(folder, config)
  if (diffIds.length !== image.layers.length) {
    throw new UpstreamError(
      'invalid',
      `${folder.name} has ${image.layers.length} layers for an image with ${diffIds.length}`,
    )
  }
  const places = new Map<Digest, Reader>()
  const layers: { descriptor: Descriptor; compression: Compression }[] = []
  for (const [index, path] of image.layers.entries()) {
    const file = join(temporary, `${prefix}${index}`)
    signal?.throwIfAborted()
    layers.push(await prepare(folder, path, diffIds[index] ?? '', file, places))
  }
  const isOci = layers.some(({ compression }) => compression === 'zstd')
  const types = isOci ? OCI : DOCKER
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: digestOf(config), size: config.byteLength },
    layers: layers.map(({ descriptor: { digest, size }, compression }) => ({
      mediaType: compression === 'zstd' ? OCI_ZSTD : types.layer,
      ...{ digest, size },
    })),
  }
  places.set(manifest.config.digest, (start) => folder.open(image.config, start))
  const sizes = new Map([manifest.config, ...manifest.layers].map(({ digest, size }) => [digest, size]))
  const bytes = new TextEncoder().encode(JSON.stringify(manifest, undefined, 3))
  const root = { digest: digestOf(bytes), mediaType: types.manifest, bytes }
  return {
    root,
    source: {
      name: folder.name,
      async manifest(reference) {
        if (reference === root.digest) return root
        throw new UpstreamError('not-found', `${folder.name} has no manifest ${reference}`)
      },
      open({ digest }, start) {
        const open = places.get(digest)
        if (open === undefined) throw new UpstreamError('not-found', `${folder.name} has no ${digest}`)
        return open(start)
      },
      sizeOf: async ({ digest }) => sizes.get(digest),
      referrers: async () => ({ manifests: [], tags: [] }),
    },
  }
}

const DOCKER = {
  manifest: MEDIA_TYPES.dockerManifest,
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
}
const OCI = {
  manifest: MEDIA_TYPES.ociManifest,
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
}
const OCI_ZSTD = 'application/vnd.oci.image.layer.v1.tar+zstd'

async function prepare(
  folder: Folder,
  path: string,
  diffId: string,
  file: string,
  places: Map<Digest, Reader>,
): Promise<{ descriptor: Descriptor; compression: Compression }> {
  const what = `layer ${path} of ${folder.name}`
  try {
    const plain = createHash('sha256')
    const opened = await expand(folder.open(path), createBudget(NO_LIMITS).archive(what))
    const seen = hashed(opened.bytes, (chunk) => void plain.update(chunk))
    const stored = createHash('sha256')
    let size = 0
    const onStored = (chunk: Uint8Array) => {
      stored.update(chunk)
      size += chunk.byteLength
    }
    const isPlain = opened.compression === 'none'
    if (isPlain) {
      await pipeline(Readable.from(seen), createGzip(), (gz) => hashed(gz, onStored), createWriteStream(file))
    } else {
      for await (const _ of seen);
      for await (const chunk of folder.open(path)) onStored(chunk)
    }
    const found = `sha256:${plain.digest('hex')}`
    if (found !== diffId) throw new UpstreamError('invalid', `${what} is damaged: it has ${found}, not ${diffId}`)
    const digest: Digest = `sha256:${stored.digest('hex')}`
    places.set(digest, (start) => (isPlain ? Bun.file(file).slice(start, size).stream() : folder.open(path, start)))
    return { descriptor: { mediaType: '', digest, size }, compression: opened.compression }
  } catch (error) {
    throw unpacking(dirname(file), error)
  }
}

/** What went wrong while something was unpacked into a folder, for its user. */
export function unpacking(temporary: string, error: unknown): unknown {
  if (error instanceof ArchiveError) return new UpstreamError('invalid', error.message, { cause: error })
  if (!(error instanceof Error) || !('syscall' in error)) return error
  return new UpstreamError('failed', `cannot unpack into ${temporary}: ${reasonOf(error)}`, {
    hint: 'TMPDIR names another folder for it',
    cause: error,
  })
}

async function* hashed(
  chunks: AsyncIterable<Uint8Array>,
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array, undefined> {
  for await (const chunk of chunks) {
    onChunk(chunk)
    yield chunk
  }
}

function diffIdsIn({ name }: Folder, config: Uint8Array): readonly string[] {
  try {
    const { rootfs } = JSON.parse(new TextDecoder().decode(config)) as { rootfs?: { diff_ids?: unknown } }
    if (isTexts(rootfs?.diff_ids)) return rootfs.diff_ids
  } catch {
    // Said below.
  }
  throw new UpstreamError('invalid', `${name} has an image whose configuration names no layers`)
}
