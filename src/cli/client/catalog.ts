import { Command } from 'commander'
import { parseRegistry } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions, parseCount } from './connection.ts'
import type { ClientContext } from './context.ts'
import { formatOption, lines, parseFormat, show } from './output.ts'

interface CatalogFlags extends ConnectionFlags {
  fullRef?: true
  limit?: number
  last?: string
  prefix?: string
  format: string
}

export function catalogCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('catalog').argument('<registry>', 'HOST or HOST:PORT')))
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
        if (name.startsWith(prefix)) names.push(flags.fullRef ? `${registry}/${name}` : name)
        if (names.length >= limit) break
      }
      show(context, format, {
        whole: { registry, repositories: names },
        list: { name: 'repositories', rows: names.map((name) => ({ registry, name })) },
        text: lines(names),
      })
    })
}
