import { Command } from 'commander'
import type { RestoredView, TrashView } from '../http/api/collection-schemas.ts'
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
import { CommandError } from './error.ts'
import type { Listing } from './listing.ts'
import { placeFlags } from './place.ts'
import { bytesText, counted } from './progress.ts'
import { printable, timeCell } from './table.ts'
import { askedFor, isTrashId, restorationOf } from './trash-restoration.ts'

export function trashCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('trash').description('see what was deleted, and bring it back')

  listOptions(command.command('list').alias('ls').description('list manifests that can be restored, the last first'))
    .option('--repository <name>', 'of this repository alone')
    .option('--limit <n>', 'rows at most, up to 1000', '100')
    .option('--before <id>', 'only what came before this one')
    .action(async (flags: ListFlags & { repository?: string; limit: string; before?: string }) => {
      const { repository, limit, before } = flags
      await withApi(context, flags, async (ask) => {
        const answer = await ask<TrashView>('GET', '/trash', { query: { repository, limit, before } })
        showList(context, flags, answer, (json) => trashListing(json, [repository, before]))
        if (answer.json.manifests.length > 0 || before !== undefined || flags.format === 'json') return
        const [name, place] = [repository ?? 'REPOSITORY', placeFlags(flags)]
        context.error(
          `Hint: a tag that went alone is not here: berth tag history ${printable(name)}${place}, berth tag restore ${printable(name)}:TAG${place}\n`,
        )
      })
    })

  adminOptions(
    command
      .command('restore')
      .description('bring a manifest back, with its tags and children; or all of one deletion with --batch')
      .argument('[manifest]', 'REPOSITORY@DIGEST, or its ID of berth trash list; with --batch the repository'),
  )
    .option('--batch <id>', 'all that the deletion of the repository took: its BATCH, or the first digits')
    .action(async (named: string | undefined, flags: AdminFlags & { batch?: string }) => {
      const asked = askedFor(named, flags.batch)
      await withApi(context, flags, async (ask) => {
        const body = await restorationOf(ask, asked)
        const { repository } = body
        const answer = await ask<RestoredView>('POST', '/trash/restore', { body })
        const { digests, tags, taken } = answer.json
        const kept = taken.length === 0 ? '' : `; taken by another manifest meanwhile: ${taken.join(', ')}`
        const back = tags.length === 0 ? 'no tags' : `${tags.length === 1 ? 'tag' : 'tags'} ${tags.join(', ')}`
        tell(
          context,
          flags,
          answer,
          `${counted(digests.length, 'manifest')} of ${repository} ${digests.length === 1 ? 'is' : 'are'} back, with ${back}${kept}.`,
        )
      })
    })

  adminOptions(
    command.command('purge').description('take a manifest out of the trash for good, with its space').argument('<id>'),
  ).action(async (id: string, flags: AdminFlags) => {
    if (!isTrashId(id)) {
      throw new CommandError(`${JSON.stringify(id)} is no ID of the trash: a number, as berth trash list shows it`, 2, {
        hint: 'berth delete --purge REPOSITORY@DIGEST takes an image by its name',
      })
    }
    await withApi(context, flags, async (ask) => {
      tell(context, flags, await ask('DELETE', `/trash/${segment(id)}`), `${id} is gone for good.`)
    })
  })
  return command
}

function trashListing({ manifests }: TrashView, conditions: readonly unknown[]): Listing {
  const rows = manifests.map((row) => [
    ...[String(row.id), row.repository, row.digest, row.tags.join(',') || '-', bytesText(row.size)],
    ...[row.reason, row.actor === '' ? '(anonymous)' : row.actor, timeCell(row.deletedAt), timeCell(row.endsAt)],
    row.batch ?? '-',
  ])
  return {
    titles: ['ID', 'REPOSITORY', 'DIGEST', 'TAGS', 'SIZE', 'REASON', 'BY', 'DELETED', 'UNTIL', 'BATCH'],
    ...{ rows, keep: ['ID', 'DIGEST', 'BATCH'], brief: ['BATCH'], spare: ['DELETED', 'BY', 'SIZE', 'REASON'] },
    empty: emptyText('The trash is empty.', conditions),
  }
}
