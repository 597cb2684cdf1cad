import { createHash } from 'node:crypto'
import { type Budget, createBudget, type Limits } from '../archive/budget.ts'
import { ArchiveError } from '../archive/error.ts'
import { type Compression, expand } from '../archive/expand.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { jsonObject } from '../oci/json-object.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { isManifestMediaType } from '../oci/media-type.ts'
import { fitsPlatform, formatPlatform } from '../oci/platform.ts'
import { createContentCheck } from '../upstream/content-check.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { FetchedManifest } from '../upstream/registry.ts'
import { inParallel } from './parallel.ts'
import type { ImageSource, Meter } from './transfer.ts'
import { blobsOf, guardManifests } from './tree.ts'

export interface Problem {
  digest: Digest
  problem: string
}

export interface Validation {
  manifests: number
  blobs: number
  /** Of manifests and blobs that were read. */
  bytes: number
  problems: Problem[]
}

export interface ValidateOptions {
  source: ImageSource
  /** Whether a layer is there is asked, and its bytes are not read. */
  isFast: boolean
  referrers: boolean
  jobs: number
  meter: Meter
  /** What layers expand to. */
  limits: Readonly<Limits>
  /** What a layout says of it. */
  named?: Descriptor | undefined
}

/** Bytes of a config that are taken from a stranger. */
const MAX_CONFIG = 16 * 1024 * 1024
const IMAGE_CONFIGS = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json']

/** What a blob turned out to be. */
interface Found {
  /** Digest of what a layer expands to. */
  plain?: Digest
  compression?: Compression
  /** Of a config. */
  bytes?: Uint8Array
}

/**
 * Reads an image with all that it names, and says what does not belong together: digests, sizes, media types, and layers that
 * expand to something else than its configuration names. @throws UpstreamError when the source cannot be read
 */
export async function validate(root: FetchedManifest, options: ValidateOptions): Promise<Validation> {
  const { source, isFast, jobs, meter } = options
  const result: Validation = { manifests: 0, blobs: 0, bytes: 0, problems: [] }
  const budget = createBudget(options.limits)
  const guard = guardManifests(source.name)
  const visited = new Set<Digest>()
  const blobs = new Map<Digest, Promise<Found>>()
  const note = (digest: Digest, problem: string) => void result.problems.push({ digest, problem })

  async function visit(fetched: FetchedManifest, named: Descriptor | undefined): Promise<void> {
    const { digest, bytes, mediaType } = fetched
    if (named !== undefined && named.size !== bytes.byteLength) {
      note(digest, `it has ${bytes.byteLength} bytes, and its index says ${named.size}`)
    }
    if (named !== undefined && named.mediaType !== mediaType) {
      note(digest, `it is ${mediaType}, and its index says ${named.mediaType}`)
    }
    if (visited.has(digest)) return
    visited.add(digest)
    guard(fetched)
    result.manifests++
    result.bytes += bytes.byteLength
    const manifest = parsed(fetched)
    if (manifest === undefined) return
    const names = blobsOf(manifest)
    const found = await inParallel(names, jobs, (blob) => once(blob, manifest))
    if (manifest.config !== undefined) {
      const at = names.indexOf(manifest.config)
      checkConfig(digest, manifest, found[at]?.bytes, named, names, found)
    }
    for (const child of manifest.manifests.filter((one) => isManifestMediaType(one.mediaType))) await follow(child)
    if (!options.referrers) return
    const { manifests, tags } = await source.referrers(digest)
    for (const referrer of manifests) await follow(referrer)
    for (const tag of tags) await visit(await source.manifest(tag), undefined)
  }

  function parsed(fetched: FetchedManifest): Manifest | undefined {
    try {
      return parseManifest(fetched.bytes, fetched.mediaType)
    } catch (error) {
      note(fetched.digest, error instanceof Error && 'detail' in error ? String(error.detail) : String(error))
      return undefined
    }
  }

  async function follow(child: Descriptor): Promise<void> {
    let fetched: FetchedManifest
    try {
      fetched = await source.manifest(child.digest)
    } catch (error) {
      note(child.digest, faultOf(error))
      return
    }
    await visit(fetched, child)
  }

  async function once(blob: Descriptor, manifest: Manifest): Promise<Found> {
    const known = blobs.get(blob.digest) ?? check(blob, blob === manifest.config)
    blobs.set(blob.digest, known)
    return await known
  }

  async function check(blob: Descriptor, isConfig: boolean): Promise<Found> {
    result.blobs++
    if (isFast) {
      const size = await source.sizeOf(blob)
      if (size === undefined) note(blob.digest, 'it is not there')
      else if (size !== blob.size) note(blob.digest, `it has ${size} bytes, and its manifest says ${blob.size}`)
      if (!isConfig || size !== blob.size) return {}
    }
    const row = meter.begin(blob)
    try {
      const found = await readBlob(blob, isConfig, row.at, budget)
      row.end('checked')
      return found
    } catch (error) {
      row.end('failed')
      note(blob.digest, faultOf(error))
      return {}
    }
  }

  async function readBlob(blob: Descriptor, isConfig: boolean, onProgress: (bytes: number) => void, of: Budget) {
    const content = createContentCheck(blob, ({ found }) => new UpstreamError('invalid', found))
    const kept: Uint8Array[] = []
    async function* raw(): AsyncGenerator<Uint8Array, undefined> {
      for await (const chunk of source.open(blob, 0)) {
        content.add(chunk)
        if (isConfig && content.bytes() <= MAX_CONFIG) kept.push(chunk)
        onProgress(content.bytes())
        yield chunk
      }
    }
    const found: Found = {}
    if (isConfig) for await (const _ of raw());
    else {
      const plain = createHash('sha256')
      const expanded = await expand(raw(), of.archive('the layer'))
      for await (const chunk of expanded.bytes) plain.update(chunk)
      found.plain = `sha256:${plain.digest('hex')}`
      found.compression = expanded.compression
    }
    // What is wrong with its archive is said first: it tells more.
    result.bytes += content.bytes()
    content.end()
    if (isConfig && content.bytes() <= MAX_CONFIG) found.bytes = new Uint8Array(Buffer.concat(kept))
    return found
  }

  function checkConfig(
    digest: Digest,
    { config, layers }: Manifest,
    bytes: Uint8Array | undefined,
    named: Descriptor | undefined,
    names: readonly Descriptor[],
    found: readonly Found[],
  ): void {
    if (config === undefined || bytes === undefined || !IMAGE_CONFIGS.includes(config.mediaType)) return
    const image = jsonObject(bytes)
    if (image === undefined) {
      note(config.digest, 'the configuration is no JSON')
      return
    }
    const platform = { os: String(image.os), architecture: String(image.architecture) }
    const wanted = named?.platform
    const isTold = wanted?.os !== undefined && wanted.os !== 'unknown'
    if (isTold && !fitsPlatform(platform, { ...wanted, variant: undefined } as typeof platform)) {
      note(digest, `it is for ${formatPlatform(platform)}, and its index says ${formatPlatform(wanted)}`)
    }
    const ids = diffIdsOf(image)
    if (ids === undefined) {
      note(config.digest, 'the configuration names no layers (rootfs.diff_ids)')
      return
    }
    if (ids.length !== layers.length) {
      note(config.digest, `the configuration names ${ids.length} layers, and the manifest ${layers.length}`)
      return
    }
    for (const [index, layer] of layers.entries()) {
      const { plain, compression } = found[names.indexOf(layer)] ?? {}
      if (plain === undefined || compression === undefined) continue
      if (plain !== ids[index]) note(layer.digest, `it expands to ${plain}, and the configuration says ${ids[index]}`)
      const said = compressionSaid(layer.mediaType)
      if (said !== undefined && said !== compression) {
        note(layer.digest, `its compression is ${compression}, and its media type says ${said}`)
      }
    }
  }

  await visit(root, options.named)
  return result
}

/** What is wrong with the image; whatever else went wrong is thrown on. */
function faultOf(error: unknown): string {
  if (error instanceof ArchiveError) return error.message
  if (error instanceof UpstreamError && (error.fault === 'invalid' || error.fault === 'not-found')) return error.message
  throw error
}

function diffIdsOf({ rootfs }: Record<string, unknown>): readonly unknown[] | undefined {
  const ids = typeof rootfs === 'object' && rootfs !== null && 'diff_ids' in rootfs ? rootfs.diff_ids : undefined
  return Array.isArray(ids) ? ids : undefined
}

/** Undefined for what is no layer of a file system. */
function compressionSaid(mediaType: string): Compression | undefined {
  if (/\.tar\+gzip$|\.tar\.gzip$/.test(mediaType)) return 'gzip'
  if (/\.tar\+zstd$|\.tar\.zstd$/.test(mediaType)) return 'zstd'
  return mediaType.endsWith('.tar') ? 'none' : undefined
}
