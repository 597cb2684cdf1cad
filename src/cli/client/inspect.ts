import { Command, Option } from 'commander'
import type { Manifest } from '../../oci/manifest.ts'
import { isIndexMediaType } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { describeImage, type ImageIndex } from './description.ts'
import { fetchImage, fetchManifest, fetchSingle, parsePlatform, readConfig } from './image.ts'
import { formatOption, parseFormat, show } from './output.ts'

interface InspectFlags extends ConnectionFlags {
  platform?: string
  config?: true
  raw?: true
  tags?: true
  format: string
}

export function inspectCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('inspect').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')), 'raw')
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .option('--tags', 'with the tags of its repository')
    .option('--no-tags', 'without them, which need not be said')
    .addOption(new Option('--config', 'the configuration of the image, byte for byte').conflicts('tags'))
    .addOption(new Option('--raw', 'the same as --format raw').conflicts(['format', 'tags']))
    .action(async (name: string, flags: InspectFlags) => {
      const format = parseFormat(flags.raw ? 'raw' : flags.format, 'raw')
      const image = parseImage(name)
      const what = formatImage(image)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const upstream = connect(context, flags)
      if (format === 'raw' && !flags.config) {
        context.out((await fetchImage(upstream, image, platform)).bytes)
        return
      }
      const root = await fetchManifest(upstream, image)
      const fetched = await fetchSingle(upstream, image, platform, context.env, root)
      const manifest = readManifest(what, fetched)
      if (manifest.config === undefined) {
        throw new UpstreamError('invalid', `${what} has no configuration`, { hint: `berth manifest ${what}` })
      }
      const { bytes, json = {} } = await readConfig(upstream, image, manifest.config)
      if (flags.config && (format === 'table' || format === 'raw')) {
        context.out(bytes)
        return
      }
      if (flags.config) {
        show(context, format, { whole: json, text: '' })
        return
      }
      const repoTags = flags.tags ? (await Array.fromAsync(upstream.tags(image))).sort() : undefined
      const room = context.outIsTerminal ? context.columns : undefined
      const index = indexOf(root, readManifest(what, root))
      show(context, format, describeImage({ name: what, fetched, manifest, json, index, repoTags }, room))
    })
}

/** Undefined for an image that stands for itself. */
function indexOf({ digest, mediaType }: FetchedManifest, { manifests }: Manifest): ImageIndex | undefined {
  if (!isIndexMediaType(mediaType)) return undefined
  const platforms = manifests.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]))
  return { digest, mediaType, platforms: [...new Set(platforms)].filter((one) => !one.startsWith('unknown/')) }
}
