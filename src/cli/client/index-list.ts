import { Command } from 'commander'
import { formatPlatform } from '../../oci/platform.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchIndex } from './index-entries.ts'
import { formatOption, parseFormat, show, type TableFlags, tableOption } from './output.ts'

export function indexListCommand(context: ClientContext): Command {
  const command = new Command('list').alias('ls').argument('<index>', 'REPOSITORY[:TAG][@DIGEST]')
  return tableOption(formatOption(connectionOptions(command), 'raw'))
    .description('list the images of an index')
    .action(async (name: string, flags: ConnectionFlags & TableFlags & { format: string }) => {
      const format = parseFormat(flags.format, 'raw')
      const image = parseImage(name)
      const { bytes, index } = await fetchIndex(connect(context, flags), image)
      const rows = index.manifests.map(({ digest, size, mediaType, platform, annotations }) => ({
        ...{ digest, platform: platform === undefined ? null : formatPlatform(platform), size, mediaType },
        annotations: annotations ?? {},
      }))
      const table = rows.map(({ digest, platform, size, mediaType }) => [
        digest,
        platform ?? '-',
        bytesText(size),
        mediaType,
      ])
      const text = {
        titles: ['DIGEST', 'PLATFORM', 'SIZE', 'TYPE'],
        ...{ rows: table, spare: ['TYPE'], empty: `${formatImage(image)} names no images.` },
      }
      const whole = { name: formatImage(image), manifests: rows }
      show(context, format, { whole, list: { name: 'manifests', rows }, text, raw: bytes }, flags)
    })
}
