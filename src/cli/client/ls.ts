import { Command, Option } from 'commander'
import type { Platform } from '../../oci/descriptor.ts'
import { fitsPlatform } from '../../oci/platform.ts'
import { inParallel } from '../../transfer/parallel.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatRepository, parseRepository, type RepositoryReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { bytesText } from '../progress.ts'
import { timeCell } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions, parseCount } from './connection.ts'
import type { ClientContext } from './context.ts'
import { parsePlatform } from './image.ts'
import { mustBeWhole, PROBLEM_TITLE } from './incomplete.ts'
import { withMissingHint } from './missing-image.ts'
import { formatOption, lines, parseFormat, show, type TableFlags, tableOption, type View } from './output.ts'
import { PULL_TITLES, pullCells, type Usage, usageOf } from './overview.ts'
import { type TagDetails, tagReader } from './tag-details.ts'
import { type TagFilterFlags, tagFilter, tagFilterOptions } from './tag-filter.ts'
import { SORT_KEYS, type SortKey, sortTags } from './tag-order.ts'

interface LsFlags extends ConnectionFlags, TableFlags, TagFilterFlags {
  long?: true
  fullRef?: true
  platform?: string
  sort?: SortKey
  desc?: true
  limit?: number
  last?: string
  format: string
}

type Row = { tag: string; problem?: string } & Partial<TagDetails> & Usage

/** Tags that are read at a time. */
const READERS = 8
export function lsCommand(context: ClientContext): Command {
  const command = new Command('ls').argument('<repository>', 'HOST[:PORT]/NAME')
  return tagFilterOptions(tableOption(formatOption(connectionOptions(command))))
    .option('-p, --platform <os/arch>', 'only tags of an image for this platform')
    .option('-l, --long', 'with digest, platforms and size; with pushes and pulls where the registry tells of them')
    .option('--full-ref', 'with the repository before each tag')
    .addOption(new Option('--sort <key>', 'in this order').choices(SORT_KEYS))
    .option('--desc', 'the last first')
    .option('-n, --limit <n>', 'at most so many', parseCount)
    .option('--last <tag>', 'only what the registry lists after this one')
    .action(async (name: string, flags: LsFlags) => {
      const format = parseFormat(flags.format)
      const repository = parseRepository(name)
      const isWanted = tagFilter(flags)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const upstream = connect(context, flags)
      const tags = await listed(upstream, repository, flags, isWanted).catch(async (error: unknown) => {
        throw await withMissingHint(upstream, { ...repository, tag: undefined, digest: undefined }, error)
      })
      const needsDetails = flags.long || platform !== undefined || flags.sort === 'created' || flags.sort === 'size'
      const needsUsage = flags.long || flags.sort === 'pushed' || flags.sort === 'pulled' || flags.sort === 'pulls'
      const usage = needsUsage ? await upstream.tagOverview(repository, rangeOf(flags, tags)) : undefined
      if (needsUsage && !flags.long && usage === undefined) {
        throw new UpstreamError('unsupported', `${repository.registry} does not tell when tags were pushed or pulled`, {
          hint: '--sort created goes by the time that images say',
        })
      }
      const details: Row[] = needsDetails
        ? (await inParallel(tags, READERS, tagReader(upstream, repository))).filter((row) => row !== undefined)
        : tags.map((tag) => ({ tag }))
      const fits = ({ platforms = [] }: Row) =>
        platform === undefined || platforms.some((name) => fitsPlatform(partsOf(name), platform))
      const found: Row[] = details.map((row) => ({ ...usageOf(usage?.get(row.tag)), ...row }))
      const fitting = found.filter((row) => fits(row) || (flags.long && row.problem !== undefined))
      const sorted = flags.sort === undefined ? fitting : sortTags(fitting, flags.sort)
      const rows = (flags.desc ? sorted.toReversed() : sorted).slice(0, flags.limit)
      show(context, format, viewOf(repository, rows, flags, usage !== undefined), flags)
      // One that is not among the first may be so because nobody knows its size.
      const unread = found.flatMap(({ tag, problem }) => (problem === undefined ? [] : [{ name: tag, problem }]))
      mustBeWhole(context, unread, found.length, ['tag'])
    })
}

/** What an index says, which may be anything. */
function partsOf(name: string): Platform {
  const [os = '', architecture = '', variant] = name.split('/')
  return { os, architecture, ...(variant === undefined ? {} : { variant }) }
}

async function listed(
  upstream: Upstream,
  repository: RepositoryReference,
  { last, limit, sort, desc, platform }: LsFlags,
  isWanted: (tag: string) => boolean,
): Promise<string[]> {
  const tags: string[] = []
  for await (const tag of upstream.tags(repository, last === undefined ? {} : { last })) {
    if (isWanted(tag)) tags.push(tag)
    // In the order of the registry, what comes later is of no interest.
    if (sort === undefined && !desc && platform === undefined && tags.length === limit) break
  }
  return tags
}

/** No more than what is shown. */
function rangeOf({ last }: LsFlags, tags: readonly string[]): { last: string | undefined; until: string } {
  return { last, until: tags.toSorted().at(-1) ?? '' }
}

function viewOf(
  repository: RepositoryReference,
  rows: readonly Row[],
  { long, fullRef, include, exclude, last, omitDigestTags, platform }: LsFlags,
  hasUsage: boolean,
): View {
  const nameOf = (tag: string) => (fullRef ? `${formatRepository(repository)}:${tag}` : tag)
  const shown = rows.map((row) => (long ? { ...row, tag: nameOf(row.tag) } : { tag: nameOf(row.tag) }))
  const hasProblems = rows.some(({ problem }) => problem !== undefined)
  const table = rows.map(({ tag, digest = '-', platforms = [], size, problem, ...usage }) => [
    nameOf(tag),
    digest,
    platforms.join(',') || '-',
    size === undefined ? '-' : bytesText(size),
    ...(hasUsage ? [timeCell(usage.pushedAt ?? null), ...pullCells(usage)] : []),
    ...(hasProblems ? [problem ?? ''] : []),
  ])
  const titles = [
    ...['TAG', 'DIGEST', 'PLATFORMS', 'SIZE', ...(hasUsage ? ['PUSHED', ...PULL_TITLES] : [])],
    ...(hasProblems ? [PROBLEM_TITLE] : []),
  ]
  const isPart = [include, exclude, last, omitDigestTags, platform].some((condition) => condition !== undefined)
  const empty = isPart ? 'No tag fits what was asked for.' : `${formatRepository(repository)} has no tags.`
  return {
    whole: { ...repository, tags: long ? shown : shown.map(({ tag }) => tag) },
    list: { name: 'tags', rows: shown },
    text: long ? { titles, rows: table, spare: PULL_TITLES, empty } : lines(shown.map(({ tag }) => tag)),
    empty,
  }
}
