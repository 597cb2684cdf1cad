import { Command } from 'commander'
import { parseRegistry } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { timeCell } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions, parseCount } from './connection.ts'
import type { ClientContext } from './context.ts'
import { formatOption, lines, parseFormat, show, type TableFlags, tableOption } from './output.ts'
import { PULL_TITLES, pullCells, type Usage, usageOf } from './overview.ts'

interface CatalogFlags extends ConnectionFlags, TableFlags {
  long?: true
  fullRef?: true
  limit?: number
  last?: string
  prefix?: string
  format: string
}

export function catalogCommand(context: ClientContext): Command {
  const command = new Command('catalog').argument('<registry>', 'HOST or HOST:PORT')
  return tableOption(formatOption(connectionOptions(command)))
    .option('-l, --long', 'with tags, size, changes and pulls, where the registry tells of them')
    .option('--full-ref', 'with the registry before each name')
    .option('-n, --limit <n>', 'at most so many', parseCount)
    .option('--last <repository>', 'only what comes after this one')
    .option('--prefix <text>', 'only names that begin so')
    .action(async (server: string, flags: CatalogFlags) => {
      const format = parseFormat(flags.format)
      const registry = parseRegistry(server)
      const { limit = Number.POSITIVE_INFINITY, last, prefix = '' } = flags
      const names: string[] = []
      const upstream = connect(context, flags)
      for await (const name of upstream.catalog(registry, last === undefined ? {} : { last })) {
        if (name.startsWith(prefix)) names.push(name)
        if (names.length >= limit) break
      }
      const usage = flags.long
        ? await upstream.catalogOverview(registry, { last, until: names.at(-1) ?? '' })
        : undefined
      const rows = names.map((name) => ({
        ...{ registry, name: flags.fullRef ? `${registry}/${name}` : name },
        ...usageOf(usage?.get(name)),
      }))
      const shown = rows.map(({ name }) => name)
      const isPart = last !== undefined || prefix !== ''
      const empty = isPart ? 'No repository fits what was asked for.' : `${registry} has no repositories.`
      const table = { titles: TITLES, rows: rows.map(cellsOf), spare: PULL_TITLES, empty }
      const text = usage === undefined ? lines(shown) : table
      const whole = { registry, repositories: flags.long ? rows : shown }
      show(context, format, { whole, list: { name: 'repositories', rows }, text, empty }, flags)
    })
}

const TITLES = ['REPOSITORY', 'TAGS', 'SIZE', 'UPDATED', ...PULL_TITLES]

function cellsOf({ name, tags, size, updatedAt, ...usage }: { name: string } & Usage): string[] {
  const counts = [tags === undefined ? '-' : String(tags), size === undefined ? '-' : bytesText(size)]
  return [name, ...counts, timeCell(updatedAt ?? null), ...pullCells(usage)]
}
