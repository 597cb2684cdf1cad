import { Command, Option } from 'commander'
import type { RevokedView, TokenMadeView, TokensView } from '../http/api/schemas.ts'
import { emptyText, type ListFlags, showList, tell } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  type Ask,
  adminOptions,
  ofProcess,
  pageOptions,
  segment,
  withApi,
} from './control.ts'
import { CommandError } from './error.ts'
import type { Listing } from './listing.ts'
import { timeCell } from './table.ts'
import { collect, parseExpiry } from './values.ts'

interface TokensFlags extends ListFlags {
  limit: string
  last?: string
  account?: string
  kind?: string
}

interface CreateFlags extends AdminFlags {
  name: string
  scope?: string[]
  expires: string
  source?: string
}

export function tokenCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('token').description('manage tokens that stand for a password')

  pageOptions(command.command('list').alias('ls').description('list tokens'))
    .option('--account <account>', 'of this account alone')
    .addOption(new Option('--kind <kind>', 'of this kind alone').choices(['personal', 'refresh']))
    .action(async (flags: TokensFlags) => {
      const { limit, last, account, kind } = flags
      await withApi(context, flags, async (ask) => {
        const answer = await ask<TokensView>('GET', '/tokens', { query: { limit, last, account, kind } })
        showList(context, flags, answer, (json) => tokensListing(json, [last, account, kind]))
      })
    })

  adminOptions(
    command
      .command('create')
      .alias('add')
      .description('make a token for a user or robot, and print it this once')
      .argument('<account>'),
  )
    .option('--name <text>', 'what it is for', 'command line')
    .option('--scope <type:name:actions>', 'what it may do at most; may be repeated', collect)
    .option('--expires <end>', 'when it ends: 90d, 12h, 4w, 1y, a date, or never', 'never')
    .option('--source <name>', 'the source of users that knows the account, where several do')
    .action(async (account: string, flags: CreateFlags) => {
      const { name, scope: limits, source } = flags
      const body = { account, source, name, limits, expiresAt: parseExpiry(flags.expires, context.now()) }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<TokenMadeView>('POST', '/tokens', { body })
        const { id, expiresAt } = answer.json.token
        const end = expiresAt === null ? 'never' : `at ${timeCell(expiresAt)}`
        tell(context, flags, answer, `The token ${id} of ${account} is shown this once. It ends ${end}.`)
        if (flags.format !== 'json') context.out(`${answer.json.secret}\n`)
      })
    })

  adminOptions(
    command
      .command('revoke')
      .alias('rm')
      .description('end tokens')
      .argument('[id...]', 'as the list shows it, or its first digits'),
  )
    .option('--all <account>', 'all tokens of an account')
    .action(async (ids: string[], flags: AdminFlags & { all?: string }) => {
      const { all } = flags
      if ((all === undefined) === (ids.length === 0))
        throw new CommandError('name tokens by their ids, or --all ACCOUNT')
      await withApi(context, flags, async (ask) => {
        // What one of them does not name is known before the first ends.
        const whole: string[] = []
        for (const id of ids) whole.push(await wholeId(ask, id))
        for (const id of whole) {
          tell(context, flags, await ask('DELETE', `/tokens/${segment(id)}`), `The token ${id} has ended.`)
        }
        if (all === undefined) return
        const answer = await ask<RevokedView>('DELETE', '/tokens', { query: { account: all } })
        const { revoked } = answer.json
        tell(context, flags, answer, `${revoked} ${revoked === 1 ? 'token' : 'tokens'} of ${all} ended.`)
      })
    })
  return command
}

/** Beginnings of an id, which is a UUID. */
const START_OF_ID = /^[0-9a-f]{6,8}(?:-[0-9a-f-]{0,26})?$/
/** Tokens that begin alike and are named in an error. */
const ALIKE = 5

/** The id that begins so, for lists on a terminal show eight digits; what is no beginning is left as it is. @throws CommandError */
async function wholeId(ask: Ask, text: string): Promise<string> {
  if (!START_OF_ID.test(text)) return text
  // They are in the order of their ids: those that begin so come right after it.
  const query = { last: text, limit: String(ALIKE) }
  const { tokens } = (await ask<TokensView>('GET', '/tokens', { query })).json
  const [only, ...others] = tokens.map(({ id }) => id).filter((id) => id.startsWith(text))
  if (only === undefined) throw new CommandError(`there is no token whose id begins with ${text}`)
  if (others.length === 0) return only
  throw new CommandError(`several tokens have ids that begin with ${text}: ${[only, ...others].join(', ')}`)
}

function tokensListing({ tokens }: TokensView, conditions: readonly unknown[]): Listing {
  const rows = tokens.map((token) => [
    ...[token.id, token.account, token.name, token.limits?.join(' ') ?? '-'],
    ...[timeCell(token.lastUsedAt, 'never'), token.ended ? 'ended' : timeCell(token.expiresAt, 'never')],
    ...[token.kind, token.source, token.lastUsedFrom ?? ''],
  ])
  return {
    titles: ['ID', 'ACCOUNT', 'NAME', 'SCOPES', 'LAST USED', 'ENDS', 'KIND', 'SOURCE', 'FROM'],
    ...{ rows, keep: ['ID'], brief: ['ID'], spare: ['KIND', 'SOURCE', 'FROM'] },
    empty: emptyText('There are no tokens: berth token create ACCOUNT', conditions),
  }
}
