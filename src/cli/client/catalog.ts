import { Command, Option } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
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
import { compareNames, compareTimes } from './tag-order.ts'

interface CatalogFlags extends ConnectionFlags, TableFlags {
  long?: true
  fullRef?: true
  limit?: number
  last?: string
  prefix?: string
  sort?: CatalogKey
  desc?: true
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
    .addOption(new Option('--sort <key>', 'in this order').choices(CATALOG_KEYS))
    .option('--desc', 'the last first')
    .action(async (server: string | undefined, flags: CatalogFlags) => {
      const format = parseFormat(flags.format)
      const { limit = Number.POSITIVE_INFINITY, last, prefix = '', sort = 'name', desc } = flags
      const names: string[] = []
      const upstream = connect(context, flags)
      const registry = chosenRegistry(upstream, server, 'berth catalog HOST:PORT')
      for await (const name of upstream.catalog(registry, last === undefined ? {} : { last })) {
        if (name.startsWith(prefix)) names.push(name)
        // In the order of the registry, what comes later is of no interest.
        if (sort === 'name' && !desc && names.length >= limit) break
      }
      const needsUsage = flags.long || sort !== 'name'
      const usage = needsUsage
        ? await upstream.catalogOverview(registry, { last, until: names.at(-1) ?? '' })
        : undefined
      const counts = flags.long && usage === undefined ? await countTags(upstream, registry, names) : undefined
      if (sort !== 'name' && usage === undefined) {
        throw new UpstreamError('unsupported', `${registry} tells of no sizes, changes and pulls`, {
          hint: '--sort name, in which every registry lists them',
        })
      }
      const found = names.map(
        (name, index): Row => ({
          ...{ registry, name: flags.fullRef ? `${registry}/${name}` : name },
          ...usageOf(usage?.get(name)),
          ...counts?.[index],
        }),
      )
      const sorted = sort === 'name' ? found : sortRepositories(found, sort)
      const rows = (desc ? sorted.toReversed() : sorted).slice(0, limit)
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

const CATALOG_KEYS = ['name', 'updated', 'size', 'pulls'] as const
type CatalogKey = (typeof CATALOG_KEYS)[number]

/** What nobody knows comes first, as in a list of tags. */
function sortRepositories(rows: readonly Row[], key: Exclude<CatalogKey, 'name'>): Row[] {
  const compare = {
    updated: (a: Row, b: Row) => compareTimes(a.updatedAt, b.updatedAt),
    size: (a: Row, b: Row) => (a.size ?? 0) - (b.size ?? 0),
    pulls: (a: Row, b: Row) => (a.pulls ?? 0) - (b.pulls ?? 0),
  }
  return rows.toSorted((a, b) => compare[key](a, b) || compareNames(a.name, b.name))
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
