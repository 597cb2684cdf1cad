import { Command } from 'commander'
import { readManifest } from '../../transfer/tree.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { formatTable } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchSingle, parsePlatform } from './image.ts'
import { formatOption, parseFormat, show } from './output.ts'

interface LayersFlags extends ConnectionFlags {
  platform?: string
  format: string
}

export function layersCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('layers').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')))
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .action(async (name: string, flags: LayersFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const fetched = await fetchSingle(connect(context, flags), image, platform, context.env)
      const { layers } = readManifest(formatImage(image), fetched)
      const rows = layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType }))
      const table = rows.map(({ digest, size, mediaType }) => [digest, bytesText(size), mediaType])
      show(context, format, {
        whole: { digest: fetched.digest, layers: rows },
        list: { name: 'layers', rows },
        text: formatTable([['DIGEST', 'SIZE', 'TYPE'], ...table]),
      })
    })
}
