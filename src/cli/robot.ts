import { Command } from 'commander'
import type { RobotMadeView, RobotsView, RobotView } from '../http/api/schemas.ts'
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
import { CommandError } from './error.ts'
import type { Listing } from './listing.ts'
import { timeCell } from './table.ts'
import { disabledOf } from './user.ts'
import { collect, parseExpiry } from './values.ts'

interface RobotFlags extends AdminFlags {
  grant?: string[]
  description?: string
  expires?: string
  enable?: true
  disable?: true
}

const GRANT = 'a right, such as repository:team/**:pull,push; may be repeated'

export function robotCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('robot').description(
    'manage accounts of programs: rights of their own, tokens, no password',
  )

  pageOptions(command.command('list').alias('ls').description('list robots')).action(
    async (flags: ListFlags & { limit: string; last?: string }) => {
      const query = { limit: flags.limit, last: flags.last }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<RobotsView>('GET', '/robots', { query })
        showList(context, flags, answer, (json) => robotsListing(json, flags.last))
      })
    },
  )

  adminOptions(
    command
      .command('add')
      .alias('create')
      .description('make a robot, and print its token this once')
      .argument('<name>'),
  )
    .requiredOption('--grant <type:name:actions>', GRANT, collect)
    .option('--expires <end>', 'when its token ends: 90d, 12h, 4w, 1y, a date, or never', 'never')
    .option('--description <text>')
    .action(async (name: string, flags: RobotFlags) => {
      const { grant: grants, description } = flags
      const body = { name, grants, description, expiresAt: parseExpiry(flags.expires ?? 'never', context.now()) }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<RobotMadeView>('POST', '/robots', { body })
        const message = `The robot ${answer.json.robot.name} is made. Its token is shown this once.`
        tell(context, flags, answer, message)
        if (flags.format !== 'json') context.out(`${answer.json.secret}\n`)
      })
    })

  adminOptions(command.command('show').description('show a robot').argument('<name>')).action(
    async (name: string, flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        show(context, flags, await ask<RobotView>('GET', `/robots/${segment(name)}`), robotTable)
      })
    },
  )

  adminOptions(command.command('set').description('change a robot; what is not named stays').argument('<name>'))
    .option('--grant <type:name:actions>', `${GRANT}; all its rights`, collect)
    .option('--enable', 'its tokens count')
    .option('--disable', 'its tokens do not count')
    .option('--description <text>')
    .action(async (name: string, flags: RobotFlags) => {
      const body = { grants: flags.grant, disabled: disabledOf(flags), description: flags.description }
      if (Object.values(body).every((value) => value === undefined)) throw new CommandError('name what is to change')
      await withApi(context, flags, async (ask) => {
        const answer = await ask<RobotView>('PATCH', `/robots/${segment(name)}`, { body })
        tell(context, flags, answer, `The robot ${answer.json.name} is changed.`)
      })
    })

  adminOptions(command.command('rm').description('remove robots, with their tokens').argument('<name...>')).action(
    async (names: string[], flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        for (const name of names) {
          tell(
            context,
            flags,
            await ask('DELETE', `/robots/${segment(name)}`),
            `The robot ${name.startsWith('robot-') ? name : `robot-${name}`} is removed.`,
          )
        }
      })
    },
  )
  return command
}

/** When one of its tokens was used last, and when the last of those that count ends, as cells. */
function useOf({ lastUsedAt, tokens, tokensEndAt }: RobotView): [string, string] {
  return [timeCell(lastUsedAt, 'never'), tokens === 0 ? 'no token' : timeCell(tokensEndAt, 'never')]
}

function robotsListing({ robots }: RobotsView, last: string | undefined): Listing {
  const rows = robots.map((robot) => [
    ...[robot.name, robot.disabled ? 'disabled' : 'enabled', robot.grants.join(' ')],
    ...[...useOf(robot), robot.description],
  ])
  return {
    titles: ['NAME', 'STATE', 'RIGHTS', 'LAST USED', 'ENDS', 'DESCRIPTION'],
    ...{ rows, keep: ['NAME'], spare: ['DESCRIPTION'] },
    empty: emptyText('There are no robots: berth robot add NAME --grant …', [last]),
  }
}

function robotTable(robot: RobotView): string[][] {
  const [last, ends] = useOf(robot)
  return [
    ['Name', robot.name],
    ['State', robot.disabled ? 'disabled' : 'enabled'],
    ...robot.grants.map((grant, index) => [index === 0 ? 'Rights' : '', grant]),
    ['Last used', last],
    ['Ends', ends],
    ['Description', robot.description],
    ['Created', timeCell(robot.createdAt)],
    ['Changed', timeCell(robot.updatedAt)],
  ]
}
