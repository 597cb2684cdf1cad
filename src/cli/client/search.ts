import { Command } from 'commander'
import { isRepositoryName } from '../../oci/name.ts'
import { inParallel } from '../../transfer/parallel.ts'
import { UpstreamError } from '../../upstream/error.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { printable } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions, parseCount } from './connection.ts'
import type { ClientContext } from './context.ts'
import { mustBeWhole, problemOf, type Unread } from './incomplete.ts'
import { type LabelReader, labelReader } from './label-reader.ts'
import { formatOption, lines, parseFormat, show } from './output.ts'
import { chosenRegistry, REGISTRY_ARGUMENT } from './registry-choice.ts'

interface SearchFlags extends ConnectionFlags {
  tags?: true
  labels?: true
  limit: number
  repositories: number
  fullRef?: true
  format: string
}

const LIMIT = 1000
const REPOSITORIES = 10_000

export function searchCommand(context: ClientContext): Command {
  return formatOption(
    connectionOptions(
      new Command('search')
        .argument('<term>', 'a part of a name; capitals do not count')
        .argument('[registry]', REGISTRY_ARGUMENT),
    ),
  )
    .option('--tags', 'tags whose name has it, too: in every repository')
    .option('--labels', 'tags of images with a label that has it, too: reads the configuration of every image')
    .option('-n, --limit <n>', `at most so many (${LIMIT} unless told)`, parseCount, LIMIT)
    .option(
      '--repositories <n>',
      `look at so many repositories (${REPOSITORIES} unless told)`,
      parseCount,
      REPOSITORIES,
    )
    .option('--full-ref', 'with the registry before each name')
    .action(async (term: string, server: string | undefined, flags: SearchFlags) => {
      const format = parseFormat(flags.format)
      if (term === '')
        throw new UpstreamError('usage', 'the term is empty', { hint: 'berth catalog lists all there is' })
      const upstream = connect(context, flags)
      const registry = chosenRegistry(upstream, server, 'berth search TERM HOST:PORT')
      const labelsOf = flags.labels ? labelReader(upstream, context.env) : undefined
      const { rows, isCut, unread, looked } = await find(upstream, registry, term.toLowerCase(), flags, labelsOf)
      const nameOf = ({ repository, tag }: Row) =>
        `${flags.fullRef ? `${registry}/` : ''}${repository}${tag === null ? '' : `:${tag}`}`
      show(context, format, {
        whole: { registry, term, results: rows, complete: isCut === undefined && unread.length === 0, unread },
        list: { name: 'results', rows },
        text: lines(rows.map(nameOf)),
      })
      if (isCut !== undefined) context.error(`${isCut}\n`)
      else if (rows.length === 0 && unread.length === 0) {
        context.error(
          `Nothing at ${registry} has ${printable(JSON.stringify(term))} in its name${flags.labels ? ' or its labels' : ''}.\n`,
        )
      }
      mustBeWhole(context, unread, looked, ['repository', 'repositories'])
    })
}

interface Found {
  rows: Row[]
  /** Repositories whose tags could not be read. */
  unread: Unread[]
  /** How many were looked at. */
  looked: number
  isCut: string | undefined
}

interface Row {
  repository: string
  /** Null: the repository itself has the term in its name. */
  tag: string | null
  /** `name=value` of the image, where it is that which has the term. */
  label: string | null
}

/** Images that are read at a time. */
const READERS = 8

async function find(
  upstream: Upstream,
  registry: string,
  term: string,
  { tags, limit, repositories }: SearchFlags,
  labelsOf: LabelReader | undefined,
): Promise<Found> {
  const rows: Row[] = []
  const unread: Unread[] = []
  const more = `There is more: these are the first ${limit}; add --limit ${limit * 10}`
  let looked = 0
  for await (const repository of upstream.catalog(registry)) {
    if (looked >= repositories) {
      const isCut = `Only ${repositories} repositories were looked at; add --repositories ${repositories * 10}`
      return { rows, unread, looked, isCut }
    }
    looked++
    if (repository.toLowerCase().includes(term)) {
      if (rows.length >= limit) return { rows, unread, looked, isCut: more }
      rows.push({ repository, tag: null, label: null })
    }
    // What is no name would be a path to somewhere else.
    if ((!tags && labelsOf === undefined) || !isRepositoryName(repository)) continue
    for await (const { tag, label } of candidatesOf(upstream, registry, repository, unread, labelsOf, term)) {
      if (label === null && !(tags && tag.toLowerCase().includes(term))) continue
      if (rows.length >= limit) return { rows, unread, looked, isCut: more }
      rows.push({ repository, tag, label })
    }
  }
  return { rows, unread, looked, isCut: undefined }
}

/** Each tag, and a label of its image that has the term; null where none has, or labels were not asked for. */
async function* candidatesOf(
  upstream: Upstream,
  registry: string,
  repository: string,
  unread: Unread[],
  labelsOf: LabelReader | undefined,
  term: string,
): AsyncIterable<{ tag: string; label: string | null }> {
  const tags = tagsOf(upstream, registry, repository, unread)
  if (labelsOf === undefined) {
    for await (const tag of tags) yield { tag, label: null }
    return
  }
  yield* await inParallel(await Array.fromAsync(tags), READERS, async (tag) => {
    try {
      const labels = await labelsOf({ registry, repository, tag, digest: undefined })
      return { tag, label: labels.find((one) => one.toLowerCase().includes(term)) ?? null }
    } catch (error) {
      // It may have gone meanwhile, or be for other machines alone.
      if (!(error instanceof UpstreamError && error.fault === 'not-found')) {
        const problem = `${tag}: ${problemOf(error, `${registry}/${repository}:${tag}`)}`
        if (unread.every(({ name }) => name !== repository)) unread.push({ name: repository, problem })
      }
      return { tag, label: null }
    }
  })
}

/** A repository of the catalog that has gone meanwhile, or that this account may not read, has none to show. One that cannot be read is told of. */
async function* tagsOf(
  upstream: Upstream,
  registry: string,
  repository: string,
  unread: Unread[],
): AsyncIterable<string> {
  try {
    yield* upstream.tags({ registry, repository })
  } catch (error) {
    const isHidden = error instanceof UpstreamError && ['not-found', 'denied', 'unauthorized'].includes(error.fault)
    if (isHidden) return
    unread.push({ name: repository, problem: problemOf(error, `the tags of ${registry}/${repository}`) })
  }
}
