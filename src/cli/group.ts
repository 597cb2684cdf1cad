import { Command } from 'commander'
import type { GroupsView, MembersView } from '../http/api/schemas.ts'
import {
  type AdminContext,
  type AdminFlags,
  adminOptions,
  ofProcess,
  pageOptions,
  segment,
  withApi,
} from './control.ts'
import { show, tell, timeCell } from './table.ts'

export function groupCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('group').description('manage groups of users, which rules match by the label "groups"')

  pageOptions(command.command('list').alias('ls').description('list groups')).action(
    async (flags: AdminFlags & { limit: string; last?: string }) => {
      const query = { limit: flags.limit, last: flags.last }
      await withApi(context, flags, async (ask) => {
        show(context, flags, await ask<GroupsView>('GET', '/groups', { query }), groupsTable)
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
    async (group: string, flags: AdminFlags & { limit: string; last?: string }) => {
      const query = { limit: flags.limit, last: flags.last }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<MembersView>('GET', `/groups/${segment(group)}/members`, { query })
        show(context, flags, answer, ({ members }) => members.map((name) => [name]))
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

function groupsTable({ groups }: GroupsView): string[][] {
  const rows = groups.map(({ name, description, createdAt }) => [name, timeCell(createdAt), description])
  return [['NAME', 'CREATED', 'DESCRIPTION'], ...rows]
}
