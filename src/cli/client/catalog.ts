import { Command } from 'commander'
import type { Listing } from '../listing.ts'
import { bytesText } from '../progress.ts'
import { timeCell } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions, parseCount } from './connection.ts'
import type { ClientContext } from './context.ts'
import { mustBeWhole, PROBLEM_TITLE } from './incomplete.ts'
import { formatOption, lines, parseFormat, show, type TableFlags, tableOption } from './output.ts'
import { PULL_TITLES, pullCells, type Usage, usageOf } from './overview.ts'
import { chosenRegistry, REGISTRY_ARGUMENT } from './registry-choice.ts'
import { countTags, type TagCount } from './tag-counts.ts'

interface CatalogFlags extends ConnectionFlags, TableFlags {
  long?: true
  fullRef?: true
  limit?: number
  last?: string
  prefix?: string
  format: string
}

export function catalogCommand(context: ClientContext): Command {
  const command = new Command('catalog').argument('[registry]', REGISTRY_ARGUMENT)
  return tableOption(formatOption(connectionOptions(command)))
    .option('-l, --long', 'with tags; with size, changes and pulls where the registry tells of them')
    .option('--full-ref', 'with the registry before each name')
    .option('-n, --limit <n>', 'at most so many', parseCount)
    .option('--last <repository>', 'only what comes after this one')
    .option('--prefix <text>', 'only names that begin so')
    .action(async (server: string | undefined, flags: CatalogFlags) => {
      const format = parseFormat(flags.format)
      const { limit = Number.POSITIVE_INFINITY, last, prefix = '' } = flags
      const names: string[] = []
      const upstream = connect(context, flags)
      const registry = chosenRegistry(upstream, server, 'berth catalog HOST:PORT')
      for await (const name of upstream.catalog(registry, last === undefined ? {} : { last })) {
        if (name.startsWith(prefix)) names.push(name)
        if (names.length >= limit) break
      }
      const usage = flags.long
        ? await upstream.catalogOverview(registry, { last, until: names.at(-1) ?? '' })
        : undefined
      const counts = flags.long && usage === undefined ? await countTags(upstream, registry, names) : undefined
      const rows = names.map(
        (name, index): Row => ({
          ...{ registry, name: flags.fullRef ? `${registry}/${name}` : name },
          ...usageOf(usage?.get(name)),
          ...counts?.[index],
        }),
      )
      const shown = rows.map(({ name }) => name)
      const isPart = last !== undefined || prefix !== ''
      const empty = isPart ? 'No repository fits what was asked for.' : `${registry} has no repositories.`
      const table = usage === undefined ? countListing(rows, empty) : usageListing(rows, empty)
      const text = flags.long ? table : lines(shown)
      const whole = { registry, repositories: flags.long ? rows : shown }
      show(context, format, { whole, list: { name: 'repositories', rows }, text, empty }, flags)
      if (counts !== undefined && rows.length > 0 && format === 'table') {
        context.error(`${registry} tells of no sizes, changes and pulls; tags were counted.\n`)
      }
      const unread = rows.flatMap(({ name, problem }) => (problem === undefined ? [] : [{ name, problem }]))
      mustBeWhole(context, unread, rows.length, ['repository', 'repositories'])
    })
}

type Row = { registry: string; name: string } & Usage & TagCount

function usageListing(rows: readonly Row[], empty: string): Listing {
  const cells = rows.map(({ name, tags, size, updatedAt, ...usage }) => [
    ...[name, countCell(tags), size === undefined ? '-' : bytesText(size), timeCell(updatedAt ?? null)],
    ...pullCells(usage),
  ])
  const titles = ['REPOSITORY', 'TAGS', 'SIZE', 'UPDATED', ...PULL_TITLES]
  return { titles, rows: cells, spare: PULL_TITLES, empty }
}

function countListing(rows: readonly Row[], empty: string): Listing {
  const hasProblems = rows.some(({ problem }) => problem !== undefined)
  return {
    titles: ['REPOSITORY', 'TAGS', ...(hasProblems ? [PROBLEM_TITLE] : [])],
    rows: rows.map(({ name, tags, problem = '' }) => [name, countCell(tags), ...(hasProblems ? [problem] : [])]),
    empty,
  }
}

function countCell(count: number | undefined): string {
  return count === undefined ? '-' : String(count)
}
