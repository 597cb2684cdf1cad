import { Command } from 'commander'
import type { GroupsView, MembersView } from '../http/api/schemas.ts'
import { emptyText, type ListFlags, show, showList, tell, tellOfMore } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  type Answer,
  adminOptions,
  ofProcess,
  pageOptions,
  segment,
  withApi,
} from './control.ts'
import type { Listing } from './listing.ts'
import { placeFlags } from './place.ts'
import { printable, shellWord, timeCell } from './table.ts'

export function groupCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('group').description('manage groups of users, which rules match by the label "groups"')

  pageOptions(command.command('list').alias('ls').description('list groups')).action(
    async (flags: ListFlags & { limit: string; last?: string }) => {
      const query = { limit: flags.limit, last: flags.last }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<GroupsView>('GET', '/groups', { query })
        showList(context, flags, answer, (json) => groupsListing(json, flags.last))
      })
    },
  )

  adminOptions(command.command('add').description('make a group').argument('<name>'))
    .option('--description <text>')
    .action(async (name: string, flags: AdminFlags & { description?: string }) => {
      const body = { name, description: flags.description }
      await withApi(context, flags, async (ask) => {
        tell(context, flags, await ask('POST', '/groups', { body }), `The group ${name} is made.`)
      })
    })

  adminOptions(
    command.command('rm').description('remove groups; their members stay users').argument('<name...>'),
  ).action(async (names: string[], flags: AdminFlags) => {
    await withApi(context, flags, async (ask) => {
      for (const name of names) {
        tell(context, flags, await ask('DELETE', `/groups/${segment(name)}`), `The group ${name} is removed.`)
      }
    })
  })

  pageOptions(command.command('members').description('list the members of a group').argument('<group>')).action(
    async (group: string, flags: ListFlags & { limit: string; last?: string }) => {
      const query = { limit: flags.limit, last: flags.last }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<MembersView>('GET', `/groups/${segment(group)}/members`, { query })
        showMembers(context, flags, answer, group)
      })
    },
  )

  adminOptions(
    command.command('join').description('put users into a group').argument('<group>').argument('<user...>'),
  ).action(async (group: string, users: string[], flags: AdminFlags) => {
    await withApi(context, flags, async (ask) => {
      for (const user of users) {
        const answer = await ask('PUT', `/groups/${segment(group)}/members/${segment(user)}`)
        tell(context, flags, answer, `${user} is in ${group}.`)
      }
    })
  })

  adminOptions(
    command.command('leave').description('take users out of a group').argument('<group>').argument('<user...>'),
  ).action(async (group: string, users: string[], flags: AdminFlags) => {
    await withApi(context, flags, async (ask) => {
      for (const user of users) {
        const answer = await ask('DELETE', `/groups/${segment(group)}/members/${segment(user)}`)
        tell(context, flags, answer, `${user} is no longer in ${group}.`)
      }
    })
  })
  return command
}

/** One name a line. */
function showMembers(context: AdminContext, flags: ListFlags, answer: Answer<MembersView>, group: string): void {
  show(context, flags, answer, ({ members }) => members.map((name) => [name]))
  tellOfMore(context, answer)
  if (flags.format !== 'json' && answer.json.members.length === 0) {
    context.error(
      `${printable(group)} has no members: berth group join ${shellWord(printable(group))} USER${placeFlags(flags)}\n`,
    )
  }
}

function groupsListing({ groups }: GroupsView, last: string | undefined): Listing {
  const rows = groups.map(({ name, description, createdAt }) => [name, timeCell(createdAt), description])
  return {
    titles: ['NAME', 'CREATED', 'DESCRIPTION'],
    ...{ rows, keep: ['NAME'], empty: emptyText('There are no groups: berth group add NAME', [last]) },
  }
}
