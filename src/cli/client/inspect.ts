import { Command, Option } from 'commander'
import { formatPlatform } from '../../oci/platform.ts'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { timeCell } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchImage, fetchSingle, parsePlatform, readConfig } from './image.ts'
import { fields, formatOption, parseFormat, show } from './output.ts'

interface InspectFlags extends ConnectionFlags {
  platform?: string
  config?: true
  format: string
}

export function inspectCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('inspect').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')), 'raw')
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .addOption(new Option('--config', 'the configuration of the image, byte for byte'))
    .action(async (name: string, flags: InspectFlags) => {
      const format = parseFormat(flags.format, 'raw')
      const image = parseImage(name)
      const what = formatImage(image)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const upstream = connect(context, flags)
      if (format === 'raw' && !flags.config) {
        context.out((await fetchImage(upstream, image, platform)).bytes)
        return
      }
      const fetched = await fetchSingle(upstream, image, platform, context.env)
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
      const { layers, config, annotations = {}, artifactType, subject } = manifest
      const size = [...layers, config].reduce((sum, one) => sum + one.size, fetched.bytes.byteLength)
      const created = typeof json.created === 'string' ? json.created : null
      const system = typeof json.os === 'string' ? formatPlatform(json as { os: string }) : null
      const labels = labelsOf(json)
      show(context, format, {
        whole: {
          ...{ name: what, digest: fetched.digest, mediaType: fetched.mediaType, platform: system, created, size },
          ...{ artifactType: artifactType ?? null, subject: subject?.digest ?? null },
          ...{ layers: layers.map(({ digest, size: bytesOf, mediaType }) => ({ digest, size: bytesOf, mediaType })) },
          ...{ labels, annotations },
        },
        text: fields([
          ['Name', what],
          ['Digest', fetched.digest],
          ['Media type', fetched.mediaType],
          ['Platform', system ?? undefined],
          ['Created', created === null ? undefined : timeCell(created)],
          ['Size', `${bytesText(size)} in ${layers.length} ${layers.length === 1 ? 'layer' : 'layers'}`],
          ['Subject', subject?.digest],
          ...Object.entries(labels).map(([label, value]) => ['Label', `${label}=${value}`] as const),
          ...Object.entries(annotations).map(([key, value]) => ['Annotation', `${key}=${value}`] as const),
        ]),
      })
    })
}

/** Of an image's configuration, which may hold anything. */
function labelsOf({ config }: Record<string, unknown>): Record<string, string> {
  const labels = typeof config === 'object' && config !== null && 'Labels' in config ? config.Labels : undefined
  if (typeof labels !== 'object' || labels === null) return {}
  return Object.fromEntries(Object.entries(labels).map(([label, value]) => [label, String(value)]))
}
