import { Command } from 'commander'
import type { CollectionStatusView, RunView, WhyView } from '../http/api/collection-schemas.ts'
import { isDigest } from '../oci/digest.ts'
import { type ListFlags, roomOf, show } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  type Ask,
  adminOptions,
  listOptions,
  ofProcess,
  segment,
  withApi,
} from './control.ts'
import { CommandError } from './error.ts'
import { shortDigests } from './listing.ts'
import { bytesText, counted } from './progress.ts'
import { printable, printableJson, timeCell } from './table.ts'

interface RunFlags extends ListFlags {
  now?: true
  dryRun?: true
  untagged?: true
}

/** Milliseconds between two looks at a run. */
const LOOK = 200

export function gcCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('gc').description('give back the space of what nobody needs any more')

  adminOptions(command.command('status').description('show what waits to be collected, and what was collected')).action(
    async (flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        show(context, flags, await ask<CollectionStatusView>('GET', '/gc'), statusTable)
      })
    },
  )

  listOptions(command.command('run').description('collect what is due now, besides the cycles that run by themselves'))
    .option('--now', 'also what deletions freed, without its undo window and delays')
    .option('-m, --untagged', 'also untagged manifests that the configuration would keep')
    .option('-d, --dry-run', 'only tell what would go')
    .action(async (flags: RunFlags) => {
      await withApi(context, flags, async (ask) => {
        const run = await collect(ask, flags, (sofar) => showProgress(context, flags, sofar))
        if (flags.format === 'json') context.out(printableJson(JSON.stringify(run)))
        else context.out(roomOf(context, flags) === undefined ? runText(run) : shortDigests(runText(run)))
        if (run.state === 'failed')
          throw new CommandError(`the run failed: ${run.error ?? 'see the log of the server'}`)
        if (run.failures > 0) throw new CommandError(`${run.failures} candidates were put off; the log says why`)
      })
    })

  adminOptions(
    command.command('why').description('show what keeps a blob or a manifest, from a tag down').argument('<digest>'),
  ).action(async (digest: string, flags: AdminFlags) => {
    if (!isDigest(digest)) {
      throw new CommandError(`${JSON.stringify(digest)} is no whole digest: sha256: and 64 hex digits`, 2, {
        hint: 'lists show whole digests with --no-trunc',
      })
    }
    await withApi(context, flags, async (ask) => {
      const answer = await ask<WhyView>('GET', `/gc/why/${segment(digest)}`)
      if (isNothing(answer.json)) throw new CommandError(`${digest} is not here: no blob, and no manifest`)
      context.out(flags.format === 'json' ? printableJson(answer.text) : whyText(answer.json))
    })
  })
  return command
}

/** Begins a run and waits for its end. @throws CommandError when another one is under way. */
export async function collect(
  ask: Ask,
  wanted: { now?: boolean; dryRun?: boolean; untagged?: boolean },
  onProgress: (run: RunView) => void = () => {},
): Promise<RunView> {
  const { now = false, dryRun = false, untagged = false } = wanted
  let run = (await ask<RunView>('POST', '/gc/runs', { body: { now, dryRun, untagged } })).json
  const { id } = run
  while (run.state === 'running') {
    onProgress(run)
    await new Promise((resolve) => setTimeout(resolve, LOOK))
    run = (await ask<RunView>('GET', '/gc/runs/latest')).json
    if (run.id !== id) throw new CommandError('another run began meanwhile; see berth gc status')
  }
  return run
}

function showProgress(context: AdminContext, flags: AdminFlags, { manifests, unlinked }: RunView): void {
  if (flags.format === 'json' || !process.stderr.isTTY) return
  context.error(
    `\r\u001b[K${counted(manifests.count, 'manifest')}, ${counted(unlinked.count, 'blob')}, ${bytesText(unlinked.bytes)} freed`,
  )
}

/** What it took, a line each. */
function runText(run: RunView): string {
  const { listed, manifests, blobs, unlinked, dryRun, now } = run
  const clear = process.stderr.isTTY ? '\r\u001b[K' : ''
  if (clear !== '') process.stderr.write(clear)
  const lines = [
    ...listed.manifests.map(({ repository, digest }) => `manifest  ${repository}@${digest}`),
    ...listed.blobs.map(({ digest, size }) => `blob      ${digest}  ${bytesText(size)}`),
  ]
  const more = manifests.count + blobs.count - lines.length
  if (more > 0) lines.push(`... and ${more} more`)
  // Without --now they can be restored still.
  const trashed = now || dryRun || manifests.count === 0 ? '' : ' (in the trash until its window ends)'
  const sum = `${counted(manifests.count, 'manifest')}${trashed} and ${counted(blobs.count, 'blob')} (${bytesText(blobs.bytes)})`
  lines.push(dryRun ? `${sum} would go` : `${sum} are gone; ${bytesText(unlinked.bytes)} are free again`)
  if (!run.complete) lines.push('There are more: a dry run tries the first 5000 candidates.')
  return `${lines.map(printable).join('\n')}\n`
}

function statusTable(status: CollectionStatusView): string[][] {
  const { settings, queue, garbage, trash, uploads, discarded, collected } = status
  const count = (what: { count: number; bytes: number }) => [String(what.count), bytesText(what.bytes)]
  const least = (complete: boolean) => (complete ? '' : '+')
  const untagged = settings.untaggedMs === null ? 'kept' : `collected after ${spanText(settings.untaggedMs)}`
  return [
    ['', 'COUNT', 'BYTES', ''],
    [
      'garbage now',
      ...count(garbage).map((text) => `${text}${least(garbage.complete)}`),
      `goes ${spanText(settings.delayMs)} after its last use`,
    ],
    ['being unlinked', ...count(discarded), ''],
    [
      'trash',
      String(trash.count),
      `${bytesText(trash.bytes)}${least(trash.complete)}`,
      `kept for ${spanText(settings.windowMs)}; oldest ${timeCell(trash.oldest)}`,
    ],
    ['uploads under way', ...count(uploads), `oldest ${timeCell(uploads.oldest)}`],
    ['links to review', String(queue.links), '', ''],
    ['manifests to review', String(queue.manifests), '', `untagged ones are ${untagged}`],
    ['put off after a failure', String(queue.failing), '', queue.failing > 0 ? 'the log of the server says why' : ''],
    ['blobs collected so far', ...count(collected.blob), ''],
    ['manifests collected so far', ...count(collected.manifest), ''],
    ['uploads expired so far', ...count(collected.upload), ''],
    ['stray files removed so far', ...count(collected.copy), ''],
  ]
}

function isNothing({ blob, keepers, reviews, trash, discarded }: WhyView): boolean {
  return blob === null && keepers.length + reviews.length + trash.length + discarded.length === 0
}

function whyText(why: WhyView): string {
  const lines: string[] = []
  const { digest, blob } = why
  if (blob !== null) {
    const state = blob.state === 'deleting' ? 'being removed' : `in ${blob.repositories} repositories`
    lines.push(`blob ${digest}, ${bytesText(blob.size)}, ${state}`)
  }
  for (const { repository, tag, path, waitsSince } of why.keepers) {
    const since = waitsSince === null ? '' : ` (waits for its collection since ${timeCell(waitsSince)})`
    lines.push(tag === null ? `kept by ${repository}, by an untagged manifest${since}` : `kept by ${repository}:${tag}`)
    for (const [depth, each] of path.entries()) lines.push(`${'  '.repeat(depth + 1)}${each}`)
  }
  for (const { repository, since, cause } of why.reviews) {
    lines.push(`in ${repository} nothing needs it since ${timeCell(since)} (${cause})`)
  }
  for (const row of why.trash) {
    lines.push(`in the trash: ${row.repository}@${row.digest}, deleted ${timeCell(row.deletedAt)}`)
  }
  for (const { dueAt, attempts } of why.discarded) {
    lines.push(`bytes to be unlinked, next try ${timeCell(dueAt)}${attempts > 0 ? `, failed ${attempts} times` : ''}`)
  }
  return `${lines.map(printable).join('\n')}\n`
}

/** `36h`, `90m`, `5s`: the largest unit that divides it. */
export function spanText(ms: number): string {
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
  ] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`
  }
  return `${ms / 1000}s`
}
