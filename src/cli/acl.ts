import { Command } from 'commander'
import { wrapped } from '../doctor/wrapped.ts'
import type { AclAnswerView, RuleChangedView, RulesView, RuleView } from '../http/api/schemas.ts'
import { type ListFlags, showList, tell } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  adminOptions,
  listOptions,
  ofProcess,
  segment,
  withApi,
} from './control.ts'
import { warnOfDeadPatterns } from './dead-pattern.ts'
import { CommandError } from './error.ts'
import type { Listing } from './listing.ts'
import { printable, printableJson } from './table.ts'
import { collect, parseActions, parseLabels, parsePosition, splitPair } from './values.ts'

interface AddFlags extends AdminFlags {
  account?: string
  type?: string
  name?: string
  service?: string
  ip?: string
  label?: string[]
  all?: true
  actions: string
  comment?: string
  position?: string
}

interface TestFlags extends AdminFlags {
  ip?: string
  label?: string[]
  service?: string
}

export function aclCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('acl').description(
    "manage Berth's own rules, and test any; the first that matches decides",
  )

  listOptions(command.command('list').alias('ls').description('list the rules in order')).action(
    async (flags: ListFlags) => {
      await withApi(context, flags, async (ask) => {
        showList(context, flags, await ask<RulesView>('GET', '/acl'), rulesListing)
      })
    },
  )

  adminOptions(command.command('add').description('add a rule; patterns are globs, or RE2 between slashes'))
    .option('--account <pattern>', "'' for clients without credentials")
    .option('--type <pattern>', 'repository, registry')
    .option('--name <pattern>', 'of the repository')
    .option('--service <pattern>', 'the registry that the token is for')
    .option('--ip <address>', "the client's address, or a block of them")
    .option('--label <name=pattern>', 'a label of the account; may be repeated', collect)
    .option('--all', 'for everybody and everything')
    .requiredOption('--actions <list>', "what is allowed: pull,push,delete; '*' for all that is asked; '' for nothing")
    .option('--comment <text>')
    .option('--position <n>', 'its place; without it 1, the first')
    .action(async (flags: AddFlags) => {
      const { position } = flags
      const place = position === undefined ? 1 : parsePosition(position)
      const body = {
        match: matchOf(flags),
        actions: parseActions(flags.actions),
        comment: flags.comment,
        position: place,
      }
      const { type = 'repository', name } = body.match
      if (type === 'repository' && name !== undefined) warnOfDeadPatterns(context, 'repository', [name])
      await withApi(context, flags, async (ask) => {
        const answer = await ask<RuleChangedView>('POST', '/acl', { body })
        tell(context, flags, answer, `The rule ${answer.json.rule.id} is added.`)
      })
    })

  adminOptions(command.command('rm').description('remove rules').argument('<id...>')).action(
    async (ids: string[], flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        for (const id of ids) {
          tell(context, flags, await ask('DELETE', `/acl/${segment(id)}`), `The rule ${id} is removed.`)
        }
      })
    },
  )

  adminOptions(
    command.command('move').description('move a rule; 1 is the first').argument('<id>').argument('<position>'),
  ).action(async (id: string, text: string, flags: AdminFlags) => {
    const position = parsePosition(text)
    await withApi(context, flags, async (ask) => {
      const answer = await ask<RuleChangedView>('PATCH', `/acl/${segment(id)}`, { body: { position } })
      tell(context, flags, answer, `The rule ${id} is moved.`)
    })
  })

  adminOptions(
    command
      .command('test')
      .description('say what an account would be granted, and why; exits with 1 when something asked is refused')
      .argument('<account>', "'' for a client without credentials")
      .argument('<scope...>', 'such as repository:team/app:pull,push'),
  )
    .option('--ip <address>', "the client's address")
    .option('--label <name=value>', 'labels in place of those that the account has; may be repeated', collect)
    .option('--service <name>', 'the registry that the token is for')
    .action(async (account: string, scopes: string[], flags: TestFlags) => {
      const { ip, service } = flags
      const labels = flags.label === undefined ? undefined : parseLabels(flags.label)
      await withApi(context, flags, async (ask) => {
        for (const scope of scopes) {
          const body = { account, scope, ip, service, labels }
          const { text, json } = await ask<AclAnswerView>('POST', '/acl/test', { body })
          context.out(flags.format === 'json' ? printableJson(text) : explanation(json, context.columns))
          if (json.missing.length > 0) context.setExitCode(1)
        }
      })
    })
  return command
}

/** @throws CommandError */
function matchOf({ account, type, name, service, ip, label, all }: AddFlags): RuleView['match'] {
  const labels = label === undefined ? undefined : labelPatterns(label)
  const match = { account, type, name, service, ip, labels }
  const isEmpty = Object.values(match).every((value) => value === undefined)
  if (isEmpty && all !== true) throw new CommandError('name a condition, or --all for everybody and everything')
  if (!isEmpty && all === true) throw new CommandError('--all goes without conditions')
  return match
}

/** @throws CommandError */
function labelPatterns(pairs: readonly string[]): Record<string, string> {
  const patterns = new Map<string, string>()
  for (const [label, pattern] of pairs.map(splitPair)) {
    if (patterns.has(label)) throw new CommandError(`the label ${label} has two patterns: a rule can match one`)
    patterns.set(label, pattern)
  }
  return Object.fromEntries(patterns)
}

function rulesListing({ rules }: RulesView): Listing {
  const rows = rules.map(({ id, match, actions, comment }, index) => [
    String(index + 1),
    id,
    matchCell(match),
    actions.join(',') || 'nothing',
    comment,
  ])
  return {
    titles: ['#', 'ID', 'MATCH', 'ACTIONS', 'COMMENT'],
    ...{ rows, keep: ['ID'], spare: ['COMMENT'] },
    empty: 'There are no rules: nobody may do anything (berth acl add).',
  }
}

function matchCell({ labels = {}, ...match }: RuleView['match']): string {
  const fields = Object.entries(match).flatMap(([key, pattern]) => (pattern === undefined ? [] : [[key, pattern]]))
  const all = [...fields, ...Object.entries(labels).map(([label, pattern]) => [`label:${label}`, pattern])]
  return all.map(([key, pattern]) => `${key}=${pattern === '' ? "''" : pattern}`).join(' ') || 'everything'
}

/** The decision, what made it, and what each rule before lacked. */
function explanation(
  { account, source, scope, granted, missing, rule, trace }: AclAnswerView,
  room = Number.POSITIVE_INFINITY,
): string {
  const who = account === '' ? 'a client without credentials' : account
  const lines = [`${who}: ${scope}`]
  if (account !== '' && source === null) {
    lines.push(
      '  note: nobody knows this account, as far as can be told without its password: it is missing or disabled',
    )
  }
  if (granted.length > 0) lines.push(`  granted: ${granted.join(', ')}`)
  if (missing.length > 0) lines.push(`  refused: ${missing.join(', ')}`)
  lines.push(`  decided by: ${rule ?? 'no rule, for none speaks of it'}`)
  for (const step of trace) {
    const comment = step.comment === '' ? '' : ` (${step.comment})`
    const lacks = step.lacks.map(({ condition, wanted, had }) => `${condition} is ${quote(had)}, not ${quote(wanted)}`)
    const matched = `matches, and grants ${step.actions.join(', ') || 'nothing of that'}`
    lines.push(`    ${step.rule}${comment}: ${lacks.length === 0 ? matched : lacks.join('; ')}`)
  }
  return `${lines.flatMap((line) => folded(line, room)).join('\n')}\n`
}

/** What follows the first stands further in than it does. */
function folded(line: string, room: number): string[] {
  const first = /^ */.exec(line)?.[0] ?? ''
  return wrapped(printable(line.trimStart()), { first, rest: `${first}  `, room })
}

function quote(text: string): string {
  return text === '' ? 'empty' : JSON.stringify(text)
}
