import { Command } from 'commander'
import type { QuotaCheckedView, QuotaDetailView, QuotasView, QuotaView } from '../http/api/limit-schemas.ts'
import { type ListFlags, roomOf, showList, tell } from './answer.ts'
import { type AdminContext, type AdminFlags, adminOptions, listOptions, ofProcess, withApi } from './control.ts'
import { CommandError } from './error.ts'
import { type Listing, writeListing } from './listing.ts'
import { bytesText, counted } from './progress.ts'
import { printableJson, timeCell } from './table.ts'
import { parseBytes } from './values.ts'

interface SetFlags extends AdminFlags {
  bytes?: string
  tags?: string
  repositories?: string
}

export function quotaCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('quota').description('limit what repositories below a prefix may hold')

  listOptions(command.command('list').alias('ls').description('list the quotas, with what is used of each')).action(
    async (flags: ListFlags) => {
      await withApi(context, flags, async (ask) => {
        showList(context, flags, await ask<QuotasView>('GET', '/quotas'), ({ quotas }) => quotasListing(quotas))
      })
    },
  )

  adminOptions(
    command
      .command('set')
      .description("make a quota, or give it other limits: what is not named is not limited; '*' is over all")
      .argument('<prefix>', 'such as team: the repository team, and those that begin with team/'),
  )
    .option('--bytes <size>', 'of manifests and the blobs that they need, such as 50GiB')
    .option('--tags <n>')
    .option('--repositories <n>')
    .action(async (prefix: string, { bytes, tags, repositories, ...flags }: SetFlags) => {
      const body = {
        prefix,
        bytes: bytes === undefined ? undefined : parseBytes(bytes),
        tags: numberOf('--tags', tags),
        repositories: numberOf('--repositories', repositories),
      }
      if (bytes === undefined && tags === undefined && repositories === undefined) {
        throw new CommandError('name a limit: --bytes, --tags or --repositories (berth quota rm removes a quota)', 2)
      }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<QuotaView>('PUT', '/quotas', { body })
        tell(context, flags, answer, settled(answer.json))
      })
    })

  adminOptions(command.command('rm').description('remove quotas').argument('<prefix...>')).action(
    async (prefixes: string[], flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        for (const prefix of prefixes) {
          const answer = await ask('DELETE', '/quotas', { query: { prefix } })
          tell(context, flags, answer, `The quota of ${prefix} is removed.`)
        }
      })
    },
  )

  listOptions(
    command
      .command('show')
      .description('show what is used of a quota, and the repositories that hold most')
      .argument('<prefix>'),
  ).action(async (prefix: string, flags: ListFlags) => {
    await withApi(context, flags, async (ask) => {
      const { text, json } = await ask<QuotaDetailView>('GET', '/quotas/usage', { query: { prefix } })
      if (flags.format === 'json') context.out(printableJson(text))
      else showDetail(context, flags, json)
    })
  })

  listOptions(
    command.command('check').description('compare what was counted with what there is; exits with 1 where they differ'),
  )
    .option('--repair', 'count anew what is wrong')
    .action(async ({ repair, ...flags }: ListFlags & { repair?: true }) => {
      await withApi(context, flags, async (ask) => {
        const answer = await ask<QuotaCheckedView>('POST', '/quotas/check', { body: { repair } })
        showList(context, flags, answer, (json) => checkedListing(json, repair === true))
        if (answer.json.quotas.some(({ right }) => !right)) context.setExitCode(1)
      })
    })
  return command
}

/** @throws CommandError */
function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new CommandError(`${option}: ${JSON.stringify(text)} is no number`, 2)
  return Number(text)
}

function settled({ prefix, state, used, limits }: QuotaView): string {
  if (state === 'counting') {
    return `The quota of ${prefix} is set. It counts what is there, and refuses nothing until berth quota ls says exact.`
  }
  const over = KINDS.filter((kind) => isOver(used[kind], limits[kind]))
  const note =
    over.length === 0 ? '' : ` More is there already (${over.join(', ')}): pushes that add to it are refused.`
  return `The quota of ${prefix} is set.${note}`
}

const KINDS = ['bytes', 'tags', 'repositories'] as const

function isOver(used: number, limit: number | null): boolean {
  return limit !== null && used > limit
}

function quotasListing(quotas: readonly QuotaView[]): Listing {
  const rows = quotas.map(({ prefix, source, limits, used, waitingBytes, state, updatedAt }) => [
    ...[prefix, share(used.bytes, limits.bytes, bytesText), share(used.tags, limits.tags, String)],
    ...[share(used.repositories, limits.repositories, String), bytesText(waitingBytes), state],
    ...[source === 'config' ? 'configuration' : 'berth quota', timeCell(updatedAt)],
  ])
  return {
    titles: ['PREFIX', 'BYTES', 'TAGS', 'REPOSITORIES', 'WAITING', 'STATE', 'FROM', 'UPDATED'],
    ...{ rows, keep: ['PREFIX'], spare: ['STATE', 'WAITING', 'FROM', 'UPDATED'] },
    empty: 'There are no quotas: berth quota set PREFIX --bytes 50GiB',
  }
}

/** `9.8 GiB of 10 GiB (98%)` */
function share(used: number, limit: number | null, text: (amount: number) => string): string {
  if (limit === null) return text(used)
  const percent = limit === 0 ? (used === 0 ? 0 : 100) : Math.floor((used / limit) * 100)
  return `${text(used)} of ${text(limit)} (${percent}%)`
}

function showDetail(context: AdminContext, flags: ListFlags, { quotas, largest }: QuotaDetailView): void {
  const rows = largest.map(({ repository, bytes, tags }) => [repository, bytesText(bytes), String(tags)])
  writeListing(context, quotasListing(quotas), roomOf(context, flags))
  if (rows.length > 0) context.out('\n')
  const listing = { titles: ['REPOSITORY', 'HOLDS', 'TAGS'], rows, empty: 'No repository below it holds anything.' }
  writeListing(context, listing, roomOf(context, flags))
}

function checkedListing({ quotas }: QuotaCheckedView, isRepaired: boolean): Listing {
  const rows = quotas.map(({ prefix, counted: { bytes, tags, repositories }, found, right }) => {
    const wrong = [
      difference(bytes - found.bytes, bytesText),
      difference(tags - found.tags, (count) => counted(count, 'tag')),
      difference(repositories - found.repositories, (count) => counted(count, 'repository', 'repositories')),
    ].flatMap((one) => (one === undefined ? [] : [one]))
    const state = right ? 'right' : `${isRepaired ? 'was wrong, counted anew' : 'wrong'}: ${wrong.join(', ')}`
    return [prefix, bytesText(bytes), String(tags), String(repositories), state]
  })
  const titles = ['PREFIX', 'BYTES', 'TAGS', 'REPOSITORIES', 'CHECK']
  return { titles, rows, keep: ['PREFIX'], wraps: true, empty: 'There are no quotas to check.' }
}

/** Undefined where there is none. */
function difference(more: number, text: (amount: number) => string): string | undefined {
  return more === 0 ? undefined : `${text(Math.abs(more))} too ${more > 0 ? 'many' : 'few'}`
}
