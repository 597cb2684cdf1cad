import { Command } from 'commander'
import type { RepositoriesView, RepositoryDeletedView, RepositoryTagsView } from '../http/api/repository-schemas.ts'
import { emptyText, type ListFlags, showList, tell } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  adminOptions,
  listOptions,
  ofProcess,
  segment,
  withApi,
} from './control.ts'
import { CommandError, withHintOf } from './error.ts'
import { ruleHint } from './immutable-hint.ts'
import type { Listing } from './listing.ts'
import { placeFlags } from './place.ts'
import { bytesText, counted } from './progress.ts'
import { timeCell } from './table.ts'

interface PageFlags extends ListFlags {
  limit: string
  last?: string
}

interface DeleteFlags extends AdminFlags {
  yes?: true
  purge?: true
  force?: true
}

export function repositoryCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('repository')
    .alias('repo')
    .description('list whole repositories, delete them, or give them other names')

  pageOptions(
    command.command('list').alias('ls').description('list repositories with size, tags and pulls'),
    '100',
  ).action(async (flags: PageFlags) => {
    await withApi(context, flags, async (ask) => {
      const { limit, last } = flags
      const answer = await ask<RepositoriesView>('GET', '/repositories', { query: { limit, last } })
      showList(context, flags, answer, (json) => listing(json, last))
    })
  })

  pageOptions(
    command
      .command('tags')
      .description('list the tags of a repository: who pushed them when, and pulls')
      .argument('<name>'),
    '1000',
  ).action(async (name: string, flags: PageFlags) => {
    await withApi(context, flags, async (ask) => {
      const { limit, last } = flags
      const path = `/repositories/${segment(name)}/tags`
      const answer = await ask<RepositoryTagsView>('GET', path, { query: { limit, last } })
      showList(context, flags, answer, (json) => tagsListing(json, last))
    })
  })

  adminOptions(
    command
      .command('delete')
      .alias('rm')
      .description('move everything in a repository to the trash, from which one command brings it back')
      .argument('<name>'),
  )
    .option('-y, --yes', 'do not ask')
    .option('--purge', 'for good, and give the space back at once')
    .option('--force', 'even where tags are immutable')
    .action(async (name: string, flags: DeleteFlags) => {
      if (!flags.yes) await confirm(context, name, flags)
      await withApi(context, flags, async (ask) => {
        const query = { purge: flags.purge && 'true', force: flags.force && 'true' }
        const answer = await ask<RepositoryDeletedView>('DELETE', `/repositories/${segment(name)}`, { query }).catch(
          explained(flags),
        )
        tell(context, flags, answer, deletedText(name, answer.json, flags))
      })
    })

  adminOptions(
    command
      .command('rename')
      .alias('mv')
      .description('give a repository another name, with its tags, trash, history and pulls; no bytes move')
      .argument('<name>')
      .argument('<new-name>'),
  )
    .option('--force', 'even where tags are immutable')
    .action(async (name: string, to: string, flags: AdminFlags & { force?: true }) => {
      await withApi(context, flags, async (ask) => {
        const body = { to, force: flags.force }
        const answer = await ask('POST', `/repositories/${segment(name)}/rename`, { body }).catch(explained(flags))
        tell(context, flags, answer, `${name} is ${to} now; pulls and pushes by the old name do not find it.`)
      })
    })
  return command
}

/** Throws the error, with what an administrator can do about a rule of immutable tags. */
function explained(flags: AdminFlags): (error: unknown) => never {
  return (error) => {
    throw withHintOf(error, ({ immutable }) => ruleHint(immutable, { forceable: true, place: placeFlags(flags) }))
  }
}

function pageOptions(command: Command, most: string): Command {
  return listOptions(command)
    .option('--limit <n>', `rows at most, up to ${most}`, '100')
    .option('--last <name>', 'only what comes after this one')
}

function listing({ repositories }: RepositoriesView, last: string | undefined): Listing {
  const rows = repositories.map(({ name, tags, size, complete, updatedAt, pulls, lastPullAt }) => {
    const least = complete ? '' : '>'
    return [
      ...[name, `${least}${tags}`, `${least}${bytesText(size)}`],
      ...[timeCell(updatedAt), String(pulls), timeCell(lastPullAt)],
    ]
  })
  return {
    titles: ['REPOSITORY', 'TAGS', 'SIZE', 'UPDATED', 'PULLS', 'LAST PULL'],
    ...{
      rows,
      spare: ['PULLS', 'LAST PULL'],
      empty: emptyText('There are no repositories: nothing was pushed yet.', [last]),
    },
  }
}

function tagsListing({ tags }: RepositoryTagsView, last: string | undefined): Listing {
  const rows = tags.map(({ name, digest, size, pushedAt, pushedBy, pulls, lastPullAt }) => [
    ...[name, digest, bytesText(size), timeCell(pushedAt), pushedBy === '' ? '(anonymous)' : (pushedBy ?? '-')],
    ...[String(pulls), timeCell(lastPullAt)],
  ])
  return {
    titles: ['TAG', 'DIGEST', 'SIZE', 'PUSHED', 'BY', 'PULLS', 'LAST PULL'],
    ...{ rows, spare: ['BY', 'PULLS', 'LAST PULL'], empty: emptyText('The repository has no tags.', [last]) },
  }
}

/** Who deletes a whole repository types its name. @throws CommandError */
async function confirm(context: AdminContext, name: string, { purge }: DeleteFlags): Promise<void> {
  const what = purge ? 'and its images are gone for good' : 'which the trash can bring back until its window ends'
  const answer = await context.ask(`This deletes all of ${name}, ${what}. Type its name to go on: `)
  if (answer === undefined)
    throw new CommandError('there is no terminal to ask on: add --yes to delete it without a question', 2)
  if (answer.trim() !== name) throw new CommandError('nothing was deleted')
}

function deletedText(
  name: string,
  { batch, manifests, tags, uploads, purged }: RepositoryDeletedView,
  flags: DeleteFlags,
): string {
  const ended =
    uploads === 0 ? '' : `, and ${counted(uploads, 'upload')} under way ${uploads === 1 ? 'was' : 'were'} ended`
  const went = `${name} is deleted: ${counted(manifests, 'manifest')} with ${counted(tags, 'tag')}${ended}.`
  if (flags.purge) return `${went} Gone for good: ${counted(purged, 'manifest')}.`
  if (manifests === 0) return went
  return `${went} To have it back: berth trash restore ${name} --batch ${batch}${placeFlags(flags)}`
}
