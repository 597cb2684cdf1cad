import { Command } from 'commander'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { timeCell } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchSingle, parsePlatform, readConfig } from './image.ts'
import { formatOption, parseFormat, show, type TableFlags, tableOption } from './output.ts'

interface HistoryFlags extends ConnectionFlags, TableFlags {
  platform?: string
  format: string
}

export function historyCommand(context: ClientContext): Command {
  const command = new Command('history').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')
  return tableOption(formatOption(connectionOptions(command)))
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .action(async (name: string, flags: HistoryFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const upstream = connect(context, flags)
      const { config, layers } = readManifest(
        formatImage(image),
        await fetchSingle(upstream, image, platform, context.env),
      )
      const json = config && (await readConfig(upstream, image, config)).json
      const steps = Array.isArray(json?.history) ? (json.history as unknown[]) : undefined
      if (steps === undefined) {
        throw new UpstreamError('not-found', `${formatImage(image)} says nothing of how it was made`, {
          hint: `berth inspect --config ${formatImage(image)} has what there is`,
        })
      }
      const left = [...layers]
      const rows = steps.map((step) => {
        const { created, created_by: command, empty_layer: isEmpty } = Object(step) as Record<string, unknown>
        const layer = isEmpty === true ? undefined : left.shift()
        const text = (value: unknown) => (typeof value === 'string' ? value : '')
        return { created: text(created), command: text(command), layer: layer?.digest ?? null, size: layer?.size ?? 0 }
      })
      // The newest first, as docker has it.
      rows.reverse()
      const table = rows.map(({ created, command: by, size }) => [timeCell(created || null), bytesText(size), line(by)])
      const text = {
        titles: ['CREATED', 'SIZE', 'CREATED BY'],
        ...{ rows: table, empty: `The history of ${formatImage(image)} has no steps.` },
      }
      show(context, format, { whole: { history: rows }, list: { name: 'history', rows }, text }, flags)
    })
}

function line(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
