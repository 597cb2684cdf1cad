import type { Command } from 'commander'
import { type Budget, createBudget } from '../../archive/budget.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { isImageConfig } from '../../oci/media-type.ts'
import type { LayerSource, Oddities } from '../../rootfs/layer.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference } from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { counted } from '../progress.ts'
import { printable } from '../table.ts'
import type { ClientContext } from './context.ts'
import { fetchSingle, parsePlatform } from './image.ts'
import { type LimitFlags, limitOption, limitsOf } from './limit-option.ts'

/** Flags of every verb that reads layers. */
export interface LayerFlags extends LimitFlags {
  platform?: string
}

export function layerOptions(command: Command): Command {
  return limitOption(command.option('-p, --platform <os/arch>', 'of the image for this platform'))
}

export function budgetOf(flags: LimitFlags): Budget {
  return createBudget(limitsOf(flags))
}

/** One image, and its layers as they can be read, the lowest first. */
export interface LayeredImage {
  fetched: FetchedManifest
  manifest: Manifest
  sources: LayerSource[]
}

/** @throws UpstreamError */
export async function openImage(
  upstream: Upstream,
  image: ImageReference,
  { platform }: LayerFlags,
  env: ClientContext['env'],
): Promise<LayeredImage> {
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const fetched = await fetchSingle(upstream, image, wanted, env)
  const manifest = readManifest(formatImage(image), fetched)
  const sources = manifest.layers.map(({ digest, mediaType, size, annotations }) => ({
    ...{ digest, mediaType },
    ...(isFile(manifest, mediaType) ? { file: { name: annotations?.[TITLE] || digest, size } } : {}),
    open: async () => (await upstream.blobs.get(image, digest as Digest, size)).body,
  }))
  return { fetched, manifest, sources }
}

/** The name of a file that an artifact keeps as a layer, as ORAS has it (OCI Image Specification 1.1, "Pre-Defined Annotation Keys"). */
const TITLE = 'org.opencontainers.image.title'

/**
 * Whether a layer is a file, as those of artifacts and attestations are. What calls itself a tar is one there, too: a chart, or a
 * folder of ORAS.
 */
function isFile({ artifactType, config }: Manifest, mediaType: string): boolean {
  if (/\btar\b/.test(mediaType)) return false
  return /\+json$/.test(mediaType) || !isImageConfig(config?.mediaType ?? artifactType ?? '')
}

/** The layer of `--layer`: its number, 1 for the lowest, or the beginning of its digest. @throws UpstreamError */
export function chooseLayer(image: ImageReference, sources: readonly LayerSource[], text: string): number {
  const isNumber = /^\d{1,4}$/.test(text)
  const digest = text.includes(':') ? text : `sha256:${text}`
  const found = isNumber ? Number(text) - 1 : sources.findIndex((source) => source.digest.startsWith(digest))
  if (!isNumber && !/^[a-z0-9]+:[0-9a-f]{6,}$/.test(digest)) {
    throw new UpstreamError('usage', `--layer: ${JSON.stringify(text)} is neither a number nor a digest`, {
      hint: `berth layers ${formatImage(image)}`,
    })
  }
  if (sources[found] !== undefined) return found
  const count = counted(sources.length, 'layer')
  throw new UpstreamError('not-found', `${formatImage(image)} has ${count}, and none that is ${text}`, {
    hint: `berth layers ${formatImage(image)}`,
  })
}

/** Names of an image that lead out of it are said, for no runtime takes such an image. */
export function warnOfOddities(context: ClientContext, image: ImageReference, { count, first }: Oddities): void {
  if (first === undefined) return
  const which =
    count === 1 ? 'a name that leads out of it or means nothing' : `${count} names that lead out of it or mean nothing`
  context.error(
    `warning: ${formatImage(image)} has ${which}, such as ${printable(JSON.stringify(first.slice(0, 100)))}\n`,
  )
}
