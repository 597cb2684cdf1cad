import { Command } from 'commander'
import type { Digest } from '../../oci/digest.ts'
import { isTag } from '../../oci/name.ts'
import { type Copier, createCopier, type Step } from '../../transfer/copy.ts'
import { registrySource } from '../../transfer/registry-source.ts'
import { registryTarget } from '../../transfer/registry-target.ts'
import { UpstreamError } from '../../upstream/error.ts'
import {
  formatImage,
  formatRepository,
  type ImageReference,
  parseImage,
  parseRepository,
  type RepositoryReference,
} from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { CommandError } from '../error.ts'
import { counted } from '../progress.ts'
import { connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { describeFailure } from './failure.ts'
import { fetchImage, parsePlatform } from './image.ts'
import { isHopeless } from './incomplete.ts'
import { connectMover, type MoverFlags, moverOptions, stepListing, summaryOf } from './mover.ts'
import { formatOption, lines, parseFormat, show, type TableFlags, tableOption } from './output.ts'
import { type SideFlags, sideOptions, sidesOf } from './sides.ts'
import { type TagFilterFlags, tagFilter, tagFilterOptions } from './tag-filter.ts'
import { createMeter, tellsInWords } from './transfer-meter.ts'

interface CpFlags extends MoverFlags, SideFlags, TableFlags, TagFilterFlags {
  allTags?: true
  clobber: boolean
  platform?: string
  referrers?: true
  dryRun?: true
  format: string
}

/** What one image became. */
interface Copied {
  source: string
  destination: string
  digest: Digest
  steps: Step[]
}

export function cpCommand(context: ClientContext): Command {
  const command = new Command('cp')
    .argument('<source>', 'REPOSITORY[:TAG][@DIGEST], or a repository with --all-tags')
    .argument('<destination>', 'REPOSITORY[:TAG]; without a tag it gets that of the source')
    .option('-a, --all-tags', 'every tag of the repository, in their order')
    .option('-n, --no-clobber', 'tags that are there stay as they are')
    .option('-p, --platform <os/arch>', 'of an index the image for this platform alone')
    .option('-r, --referrers', 'with signatures, SBOMs and whatever else refers to it')
    .option('--dry-run', 'say what would be copied, and write nothing')
  return tagFilterOptions(tableOption(sideOptions(formatOption(moverOptions(connectionOptions(command)))))).action(
    async (from: string, to: string, flags: CpFlags) => {
      const format = parseFormat(flags.format)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const { include, exclude, omitDigestTags } = flags
      if (!flags.allTags && [include, exclude, omitDigestTags].some((given) => given !== undefined)) {
        throw new UpstreamError('usage', '--include, --exclude and --omit-digest-tags choose of --all-tags', {
          hint: 'add --all-tags',
        })
      }
      const isWanted = tagFilter(flags)
      const source = flags.allTags ? { ...parseRepository(from), tag: undefined, digest: undefined } : parseImage(from)
      const destination = flags.allTags ? { ...parseRepository(to), tag: undefined, digest: undefined } : parseImage(to)
      const { src, dest, isOne } = sidesOf(flags)
      const upstream = connectMover(context, src)
      const target = isOne ? upstream : connectMover(context, dest)
      const meter = createMeter(context, flags)
      const copier = createCopier({
        source: registrySource(upstream, source),
        target: registryTarget(
          target,
          destination,
          source.registry === destination.registry ? source.repository : undefined,
        ),
        ...{ referrers: flags.referrers === true, isDry: flags.dryRun === true, jobs: flags.jobs, meter },
      })
      const done: Copied[] = []
      const failed: Failed[] = []
      try {
        for (const pair of await pairsOf(upstream, target, source, destination, flags, isWanted)) {
          try {
            done.push(await copyOne(upstream, copier, pair, platform))
          } catch (error) {
            if (!flags.allTags || context.signal.aborted || !(error instanceof Error) || isHopeless(error)) throw error
            meter.clear()
            context.error(describeFailure(error).text)
            failed.push({ source: formatImage(pair.from), destination: formatImage(pair.to), error: error.message })
          }
        }
      } finally {
        meter.clear()
      }
      const steps = done.flatMap((one) => one.steps)
      if (flags.dryRun) context.error('Nothing is copied: this is what would be.\n')
      else if (tellsInWords(flags)) context.error(`${summaryOf(steps)}\n`)
      show(
        context,
        format,
        {
          whole: { images: done, failed },
          list: { name: 'images', rows: done },
          text: flags.dryRun ? stepListing(uniqueSteps(steps)) : lines(done.map(({ destination: name }) => name)),
        },
        flags,
      )
      if (failed.length > 0) {
        const names = failed.map((one) => parseImage(one.source).tag).join(', ')
        throw new CommandError(
          `${counted(failed.length, 'tag')} of ${done.length + failed.length} failed: ${names}`,
          1,
          {
            hint: 'the same command again copies what is missing',
          },
        )
      }
    },
  )
}

/** What did not become a copy. */
interface Failed {
  source: string
  destination: string
  error: string
}

interface Pair {
  from: ImageReference
  to: ImageReference
}

/** In the order in which they are copied. @throws UpstreamError */
async function pairsOf(
  upstream: Upstream,
  target: Upstream,
  source: ImageReference,
  destination: ImageReference,
  { allTags, clobber }: CpFlags,
  isWanted: (tag: string) => boolean,
): Promise<Pair[]> {
  const pairs = allTags ? await everyTag(upstream, source, destination, isWanted) : [pairOf(source, destination)]
  if (clobber) return pairs
  const wanted: Pair[] = []
  for (const pair of pairs) {
    const isFree = pair.to.tag === undefined || (await target.head(pair.to, pair.to.tag)) === undefined
    if (isFree) wanted.push(pair)
    else if (!allTags) {
      throw new UpstreamError('conflict', `${formatImage(pair.to)} is there, and --no-clobber leaves it as it is`)
    }
  }
  return wanted
}

async function everyTag(
  upstream: Upstream,
  source: RepositoryReference,
  to: RepositoryReference,
  isWanted: (tag: string) => boolean,
): Promise<Pair[]> {
  const all = await Array.fromAsync(upstream.tags(source))
  const tags = all.filter(isWanted)
  if (tags.length === 0) {
    const what = all.length === 0 ? 'no tags' : 'no tag that was asked for'
    throw new UpstreamError('not-found', `${formatRepository(source)} has ${what}`)
  }
  // Before the first is copied: what a registry calls a tag goes to the other one.
  const wrong = tags.find((tag) => !isTag(tag))
  if (wrong !== undefined) {
    throw new UpstreamError(
      'invalid',
      `${formatRepository(source)} lists ${JSON.stringify(wrong.slice(0, 200))}, which is no tag`,
    )
  }
  return tags.map((tag) => ({
    from: { ...source, tag, digest: undefined },
    to: { ...to, tag, digest: undefined },
  }))
}

/** A copy keeps its tag, as a file its name. What was named by its digest alone has none. */
function pairOf(from: ImageReference, to: ImageReference): Pair {
  if (to.digest !== undefined && to.tag !== undefined) {
    throw new UpstreamError('usage', `${formatImage(to)}: a destination has a tag or a digest`)
  }
  if (to.tag !== undefined || to.digest !== undefined) return { from, to }
  const tag = from.tag ?? (from.digest === undefined ? 'latest' : undefined)
  return { from, to: { ...to, tag } }
}

async function copyOne(
  upstream: Upstream,
  copier: Copier,
  { from, to }: Pair,
  platform: ReturnType<typeof parsePlatform> | undefined,
): Promise<Copied> {
  const root = await fetchImage(upstream, from, platform)
  const steps = await copier.copy(root, to.digest ?? to.tag ?? root.digest)
  const destination = formatImage({ ...to, digest: root.digest })
  return {
    source: formatImage({ ...from, digest: from.digest ?? root.digest }),
    destination,
    digest: root.digest,
    steps,
  }
}

/** A part that several images have is told of once. */
function uniqueSteps(steps: readonly Step[]): Step[] {
  const seen = new Map<string, Step>()
  for (const step of steps) {
    const key = `${step.kind} ${step.tag ?? step.digest}`
    if (!seen.has(key)) seen.set(key, step)
  }
  return [...seen.values()]
}
