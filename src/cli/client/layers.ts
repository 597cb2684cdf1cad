import { Command } from 'commander'
import { readManifest } from '../../transfer/tree.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchSingle, parsePlatform } from './image.ts'
import { formatOption, parseFormat, show, type TableFlags, tableOption } from './output.ts'

interface LayersFlags extends ConnectionFlags, TableFlags {
  platform?: string
  format: string
}

export function layersCommand(context: ClientContext): Command {
  const command = new Command('layers').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')
  return tableOption(formatOption(connectionOptions(command)))
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .action(async (name: string, flags: LayersFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const fetched = await fetchSingle(connect(context, flags), image, platform, context.env)
      const { layers } = readManifest(formatImage(image), fetched)
      const rows = layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType }))
      const table = rows.map(({ digest, size, mediaType }) => [digest, bytesText(size), mediaType])
      const text = {
        titles: ['DIGEST', 'SIZE', 'TYPE'],
        ...{ rows: table, empty: `${formatImage(image)} has no layers.` },
      }
      const whole = { digest: fetched.digest, layers: rows }
      show(context, format, { whole, list: { name: 'layers', rows }, text }, flags)
    })
}
