import { Command } from 'commander'
import { formatPlatform } from '../../oci/platform.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { formatTable } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchIndex } from './index-entries.ts'
import { formatOption, parseFormat, show } from './output.ts'

export function indexListCommand(context: ClientContext): Command {
  return formatOption(
    connectionOptions(new Command('list').alias('ls').argument('<index>', 'REPOSITORY[:TAG][@DIGEST]')),
  )
    .description('list the images of an index')
    .action(async (name: string, flags: ConnectionFlags & { format: string }) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const { manifests } = await fetchIndex(connect(context, flags), image)
      const rows = manifests.map(({ digest, size, mediaType, platform, annotations }) => ({
        ...{ digest, platform: platform === undefined ? null : formatPlatform(platform), size, mediaType },
        annotations: annotations ?? {},
      }))
      const table = rows.map(({ digest, platform, size, mediaType }) => [
        digest,
        platform ?? '-',
        bytesText(size),
        mediaType,
      ])
      show(context, format, {
        whole: { name: formatImage(image), manifests: rows },
        list: { name: 'manifests', rows },
        text: formatTable([['DIGEST', 'PLATFORM', 'SIZE', 'TYPE'], ...table]),
      })
    })
}
