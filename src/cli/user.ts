import { randomBytes } from 'node:crypto'
import { Command, Option } from 'commander'
import type { UserDetailView, UsersView, UserView } from '../http/api/schemas.ts'
import { emptyText, type ListFlags, show, showList, tell } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  adminOptions,
  ofProcess,
  pageOptions,
  segment,
  withApi,
} from './control.ts'
import { CommandError, withHint } from './error.ts'
import type { Listing } from './listing.ts'
import { placeFlags } from './place.ts'
import { labelsCell, printable, shellWord, timeCell } from './table.ts'
import { collect, parseLabels } from './values.ts'

interface PasswordFlags extends AdminFlags {
  passwordStdin?: true
  generate?: true
  /** False with `--no-password`. */
  password?: boolean
}

interface UserFlags extends PasswordFlags {
  admin?: boolean
  enable?: true
  disable?: true
  /** False with `--no-labels`. */
  labels?: boolean
  label?: string[]
  description?: string
  group?: string[]
}

export function userCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('user').description('manage users')

  pageOptions(command.command('list').alias('ls').description('list users')).action(
    async (flags: ListFlags & { limit: string; last?: string }) => {
      const query = { limit: flags.limit, last: flags.last }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<UsersView>('GET', '/users', { query })
        showList(context, flags, answer, (json) => usersListing(json, flags.last))
      })
    },
  )

  passwordOptions(adminOptions(command.command('add').description('make a user').argument('<name>')))
    .option('--no-password', 'it logs in with tokens alone')
    .option('--admin', 'an administrator')
    .option('--label <name=value>', 'a label that rules can match; may be repeated', collect)
    .option('--group <group>', 'a group that it joins; may be repeated', collect)
    .option('--description <text>')
    .action(async (name: string, flags: UserFlags) => {
      const password = flags.password === false ? undefined : await choosePassword(context, flags, name)
      const { admin, description, group: groups } = flags
      const labels = flags.label === undefined ? undefined : parseLabels(flags.label)
      const word = shellWord(printable(name))
      const body = { name, password, admin, description, labels, groups }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<UserView>('POST', '/users', { body }).catch((error: unknown) => {
          throw withHint(
            error,
            / already$/,
            `berth user set ${word}, berth user passwd ${word} or berth group join GROUP ${word}`,
          )
        })
        tell(context, flags, answer, `The user ${name} is made.`)
        if (flags.format !== 'json' && !admin) context.error(rightsText(word, groups ?? [], placeFlags(flags)))
      })
      if (flags.generate === true) context.out(`${password}\n`)
    })

  adminOptions(command.command('show').description('show a user with its groups').argument('<name>')).action(
    async (name: string, flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        show(context, flags, await ask<UserDetailView>('GET', `/users/${segment(name)}`), userTable)
      })
    },
  )

  adminOptions(command.command('set').description('change a user; what is not named stays').argument('<name>'))
    .option('--admin', 'an administrator')
    .option('--no-admin', 'no administrator')
    .option('--enable', 'may log in')
    .option('--disable', 'may not log in; its tokens do not count')
    .option('--label <name=value>', 'all its labels; may be repeated', collect)
    .option('--no-labels', 'without labels')
    .option('--description <text>')
    // For whoever knows it from `user add`: the answer says where groups are changed.
    .addOption(new Option('--group <group>').argParser(collect).hideHelp())
    .action(async (name: string, flags: UserFlags) => {
      const { admin, description, group } = flags
      if (group !== undefined) {
        const [first = 'GROUP', word] = [group.at(0), shellWord(printable(name))]
        throw new CommandError('user set does not change the groups of a user', 2, {
          hint: `berth group join ${shellWord(printable(first))} ${word}, or berth group leave ${shellWord(printable(first))} ${word}`,
        })
      }
      const disabled = disabledOf(flags)
      const labels = flags.label !== undefined ? parseLabels(flags.label) : flags.labels === false ? {} : undefined
      const body = { admin, disabled, labels, description }
      if (Object.values(body).every((value) => value === undefined)) throw new CommandError('name what is to change')
      await withApi(context, flags, async (ask) => {
        const answer = await ask<UserView>('PATCH', `/users/${segment(name)}`, { body })
        tell(context, flags, answer, `The user ${name} is changed.`)
      })
    })

  adminOptions(
    command.command('rm').description('remove users, with their memberships and tokens').argument('<name...>'),
  ).action(async (names: string[], flags: AdminFlags) => {
    await withApi(context, flags, async (ask) => {
      for (const name of names) {
        tell(context, flags, await ask('DELETE', `/users/${segment(name)}`), `The user ${name} is removed.`)
      }
    })
  })

  passwordOptions(
    adminOptions(
      command
        .command('passwd')
        .description('give a user a new password, whether the server runs or not')
        .argument('<name>'),
    ),
  ).action(async (name: string, flags: PasswordFlags) => {
    // Before anybody types for nobody.
    if (flags.generate !== true)
      await withApi(context, flags, async (ask) => void (await ask('GET', `/users/${segment(name)}`)))
    const password = await choosePassword(context, flags, name)
    await withApi(context, flags, async (ask) => {
      const answer = await ask('PUT', `/users/${segment(name)}/password`, { body: { password } })
      tell(context, flags, answer, `The password of ${name} is changed.`)
    })
    if (flags.generate === true) context.out(`${password}\n`)
  })
  return command
}

/** What a new user may do, and how it comes to more: whoever made it will ask that next. */
function rightsText(name: string, [group]: readonly string[], place: string): string {
  const which = group === undefined ? 'GROUP' : shellWord(printable(group))
  const join =
    group === undefined
      ? `berth group join ${which} ${name}${place}, and a rule for that group:`
      : `a rule for its group:`
  return `What it may do: berth acl test ${name} repository:NAME:pull,push${place}
To change that: ${join}
  berth acl add --label groups=${which} --name 'NAME/**' --actions pull,push,delete${place}
`
}

function passwordOptions(command: Command): Command {
  return command
    .option('--password-stdin', 'the password is the first line of standard input')
    .option('--generate', 'make a password, and print it this once')
}

/** @throws CommandError */
async function choosePassword(context: AdminContext, flags: PasswordFlags, name: string): Promise<string> {
  if (flags.generate !== true) {
    // Before anybody types, and without holding the data directory while they do.
    context.configOf(flags)
    return await context.readPassword(`New password for ${name}: `)
  }
  if (flags.passwordStdin === true) throw new CommandError('choose one of --generate and --password-stdin')
  if (flags.format === 'json') throw new CommandError('--generate prints the password alone, not as JSON')
  return randomBytes(18).toString('base64url')
}

/** @throws CommandError */
export function disabledOf({ enable, disable }: { enable?: true; disable?: true }): boolean | undefined {
  if (enable === true && disable === true) throw new CommandError('choose one of --enable and --disable')
  return disable === true ? true : enable === true ? false : undefined
}

function usersListing({ users }: UsersView, last: string | undefined): Listing {
  const rows = users.map(({ name, admin, disabled, hasPassword, source, labels, description }) => [
    name,
    admin ? 'admin' : 'user',
    disabled ? 'disabled' : 'enabled',
    hasPassword ? 'yes' : 'no',
    source,
    labelsCell(labels),
    description,
  ])
  return {
    titles: ['NAME', 'ROLE', 'STATE', 'PASSWORD', 'SOURCE', 'LABELS', 'DESCRIPTION'],
    ...{
      rows,
      keep: ['NAME'],
      spare: ['DESCRIPTION', 'SOURCE', 'PASSWORD'],
      empty: emptyText('There are no users: berth user add NAME', [last]),
    },
  }
}

function userTable(user: UserDetailView): string[][] {
  return [
    ['Name', user.name],
    ['Role', user.admin ? 'admin' : 'user'],
    ['State', user.disabled ? 'disabled' : 'enabled'],
    ['Password', user.hasPassword ? 'yes' : 'no'],
    ['Source', user.source],
    ['Groups', user.groups.join(', ')],
    ['Labels', labelsCell(user.labels)],
    ['Description', user.description],
    ['Created', timeCell(user.createdAt)],
    ['Changed', timeCell(user.updatedAt)],
  ]
}
