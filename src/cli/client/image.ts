import type { Descriptor, Platform } from '../../oci/descriptor.ts'
import { jsonObject } from '../../oci/json-object.ts'
import { isIndexMediaType } from '../../oci/media-type.ts'
import { chooseChild, manifestFor } from '../../transfer/platform.ts'
import { registrySource } from '../../transfer/registry-source.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import {
  formatImage,
  formatRepository,
  type ImageReference,
  type RepositoryReference,
  referenceOf,
} from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { withMissingHint } from './missing-image.ts'

/** `linux/arm64/v8`, `linux/amd64`. @throws UpstreamError `usage` */
export function parsePlatform(text: string): Platform {
  const [os, architecture, variant, more] = text.split('/')
  if (!os || !architecture || more !== undefined || variant === '') {
    throw new UpstreamError('usage', `${JSON.stringify(text)} is no platform: write OS/ARCHITECTURE[/VARIANT]`, {
      hint: '--platform linux/arm64',
    })
  }
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}

/** The manifest that a reference names. @throws UpstreamError, which names the nearest tags where it is not there */
export async function fetchManifest(upstream: Upstream, image: ImageReference): Promise<FetchedManifest> {
  try {
    return await upstream.manifest(image, referenceOf(image))
  } catch (error) {
    throw await withMissingHint(upstream, image, error)
  }
}

/** The manifest of an image; with a platform, the one for that in an index. @throws UpstreamError */
export async function fetchImage(
  upstream: Upstream,
  image: ImageReference,
  platform: Platform | undefined,
): Promise<FetchedManifest> {
  return await ofPlatform(upstream, image, await fetchManifest(upstream, image), platform)
}

async function ofPlatform(
  upstream: Upstream,
  image: ImageReference,
  root: FetchedManifest,
  platform: Platform | undefined,
): Promise<FetchedManifest> {
  const source = { ...registrySource(upstream, image), name: formatImage(image) }
  return platform === undefined ? root : await manifestFor(source, root, platform)
}

/**
 * As `fetchImage`, but never an index: of several images that for the platform, else for this machine's, else the only one. `root`:
 * what the reference names, where that is known.
 */
export async function fetchSingle(
  upstream: Upstream,
  image: ImageReference,
  platform: Platform | undefined,
  env: Readonly<Record<string, string | undefined>>,
  root?: FetchedManifest,
): Promise<FetchedManifest> {
  const fetched = await ofPlatform(upstream, image, root ?? (await fetchManifest(upstream, image)), platform)
  if (!isIndexMediaType(fetched.mediaType)) return fetched
  const { manifests } = readManifest(formatImage(image), fetched)
  const images = manifests.filter(({ platform: of }) => of?.os !== 'unknown')
  const [only] = images
  if (images.length !== 1 && images.every((one) => one.platform === undefined)) {
    throw new UpstreamError('not-found', `${formatImage(image)} is an index of ${images.length} without platforms`, {
      hint: `berth index list ${formatImage(image)} shows them; name one by its digest`,
    })
  }
  const own = env.DOCKER_DEFAULT_PLATFORM ? parsePlatform(env.DOCKER_DEFAULT_PLATFORM) : ofMachine()
  const child = images.length === 1 && only !== undefined ? only : chooseChild(formatImage(image), images, own)
  return await fetchSingle(upstream, { ...image, digest: child.digest }, undefined, env)
}

function ofMachine(): Platform {
  return { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch }
}

/** Bytes of a config that are taken from a stranger. */
const MAX_CONFIG = 16 * 1024 * 1024

/** @throws UpstreamError */
export async function readConfig(upstream: Upstream, repository: RepositoryReference, config: Descriptor) {
  const what = `the config ${config.digest} of ${formatRepository(repository)}`
  const { body } = await upstream.blobs.get(repository, config.digest, config.size)
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > MAX_CONFIG) throw new UpstreamError('invalid', `${what} has more than ${MAX_CONFIG} bytes`)
    chunks.push(chunk)
  }
  const bytes = new Uint8Array(Buffer.concat(chunks))
  // Undefined where it is none: the config of an artifact may be anything.
  return { bytes, json: jsonObject(bytes) }
}
