import { Command } from 'commander'
import type { TagHistoryView, TagRestoredView } from '../http/api/collection-schemas.ts'
import { emptyText, type ListFlags, showList, tell } from './answer.ts'
import { type AdminContext, type AdminFlags, adminOptions, listOptions, ofProcess, withApi } from './control.ts'
import { CommandError, withHintOf } from './error.ts'
import { ruleHint } from './immutable-hint.ts'
import type { Listing } from './listing.ts'
import { placeFlags } from './place.ts'
import { parseReference } from './reference.ts'
import { wholeDigest } from './short-digest.ts'
import { timeCell } from './table.ts'

export function tagCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('tag')
    .description('give an image further tags, see where tags pointed, point them there again')
    .usage('IMAGE TAG...\n       berth tag [options] [command]')
    .addHelpText(
      'after',
      '\nberth tag IMAGE TAG... gives an image of any registry further tags (--force: also immutable ones of Berth).',
    )

  listOptions(
    command
      .command('history')
      .description('show who moved a tag from which manifest to which, the newest first')
      .argument('<repository[:tag]>'),
  )
    .option('--limit <n>', 'rows at most, up to 1000', '100')
    .option('--before <id>', 'only what came before this one')
    .action(async (reference: string, flags: ListFlags & { limit: string; before?: string }) => {
      const { repository, tag } = parseReference(reference)
      const query = { repository, tag, limit: flags.limit, before: flags.before }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<TagHistoryView>('GET', '/tags/history', { query })
        showList(context, flags, answer, (json) => historyListing(json, reference, flags.before))
      })
    })

  adminOptions(
    command
      .command('restore')
      .description('point a tag to what it pointed to before its last move')
      .argument('<repository:tag>'),
  )
    .option('--to <digest>', 'to this manifest of the repository, in the trash or not')
    .option('--force', 'even where the tag is immutable')
    .action(async (reference: string, flags: AdminFlags & { to?: string; force?: true }) => {
      const { repository, tag } = parseReference(reference)
      if (tag === undefined) throw new CommandError(`${reference} names no tag: write REPOSITORY:TAG`, 2)
      await withApi(context, flags, async (ask) => {
        const page = (before: string | undefined) =>
          ask<TagHistoryView>('GET', '/tags/history', { query: { repository, limit: '1000', before } })
        const digestsOf = ({ moves }: TagHistoryView) => moves.flatMap(({ from, to }) => [from, to])
        const to = flags.to === undefined ? undefined : await wholeDigest(flags.to, page, digestsOf)
        const body = { repository, tag, digest: to, force: flags.force }
        const answer = await ask<TagRestoredView>('POST', '/tags/restore', { body }).catch((error: unknown) => {
          throw withHintOf(error, ({ immutable }) => ruleHint(immutable, { forceable: true, place: placeFlags(flags) }))
        })
        const { digest, from } = answer.json
        tell(context, flags, answer, `${reference} points to ${digest}${from === null ? '' : ` (before: ${from})`}.`)
      })
    })
  return command
}

function historyListing({ moves }: TagHistoryView, reference: string, before: string | undefined): Listing {
  const rows = moves.map(({ id, at, tag, from, to, actor }) => [
    ...[String(id), timeCell(at), tag, from ?? '-', to ?? '(deleted)', actor === '' ? '(anonymous)' : actor],
  ])
  return {
    titles: ['ID', 'TIME', 'TAG', 'FROM', 'TO', 'BY'],
    ...{ rows, keep: ['ID'], spare: ['BY'], empty: emptyText(`No move of ${reference} is known.`, [before]) },
  }
}
