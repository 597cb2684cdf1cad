import { Command, Option } from 'commander'
import type { KeysView, KeyView } from '../http/api/schemas.ts'
import { type ListFlags, showList, tell } from './answer.ts'
import { type AdminContext, type AdminFlags, adminOptions, listOptions, ofProcess, withApi } from './control.ts'
import type { Listing } from './listing.ts'
import { timeCell } from './table.ts'

const ALGORITHMS = ['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA']

export function keyCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('key').description('manage the key that signs tokens')

  listOptions(command.command('list').alias('ls').description('list keys that are trusted')).action(
    async (flags: ListFlags) => {
      await withApi(context, flags, async (ask) => {
        showList(context, flags, await ask<KeysView>('GET', '/keys'), keysListing)
      })
    },
  )

  adminOptions(
    command.command('rotate').description('sign with a new key; what the old one signed counts until it ends'),
  )
    .addOption(new Option('--algorithm <name>', 'without it that of the key now').choices(ALGORITHMS))
    .option('--now', 'at once, and distrust what the old one signed: for a key that somebody stole')
    .action(async (flags: AdminFlags & { algorithm?: string; now?: true }) => {
      const body = { algorithm: flags.algorithm, immediately: flags.now }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<KeyView>('POST', '/keys/rotate', { body })
        const { id, signsFrom, state } = answer.json
        const when = state === 'next' && signsFrom !== null ? `from ${timeCell(signsFrom)} on` : 'from now on'
        tell(context, flags, answer, `The key ${id} signs ${when}.`)
      })
    })
  return command
}

function keysListing({ keys }: KeysView): Listing {
  const rows = keys.map((key) => [key.id, key.algorithm, key.state, timeCell(key.signsFrom), timeCell(key.endsAt)])
  return {
    titles: ['ID', 'ALGORITHM', 'STATE', 'SIGNS FROM', 'TRUSTED UNTIL'],
    ...{ rows, keep: ['ID'], empty: 'There are no keys.' },
  }
}
