import { Command } from 'commander'
import type { ImmutableAnswerView, ImmutableRulesView, ImmutableRuleView } from '../http/api/limit-schemas.ts'
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
import { parseReference } from './reference.ts'
import { printable, printableJson, timeCell } from './table.ts'
import { collect } from './values.ts'

interface AddFlags extends AdminFlags {
  repository?: string[]
  tag?: string[]
  comment?: string
}

export function immutableCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('immutable').description('keep tags where they are: once pushed, they do not move')

  listOptions(command.command('list').alias('ls').description('list the rules')).action(async (flags: ListFlags) => {
    await withApi(context, flags, async (ask) => {
      showList(context, flags, await ask<ImmutableRulesView>('GET', '/immutable'), rulesListing)
    })
  })

  adminOptions(
    command
      .command('add')
      .description(
        "add a rule; patterns are globs, or RE2 between slashes, and '!' before one takes out what it matches",
      )
      .argument('<name>'),
  )
    .option('--repository <pattern>', 'repositories; may be repeated; all without it', collect)
    .option('--tag <pattern>', 'tags; may be repeated; all without it', collect)
    .option('--comment <text>')
    .action(async (name: string, { repository, tag, comment, ...flags }: AddFlags) => {
      if (repository === undefined && tag === undefined) {
        throw new CommandError("name tags with --tag, or repositories with --repository; '**' stands for all", 2)
      }
      warnOfDeadPatterns(context, 'repository', repository)
      warnOfDeadPatterns(context, 'tag', tag)
      await withApi(context, flags, async (ask) => {
        const body = { name, repositories: repository, tags: tag, comment }
        const answer = await ask<ImmutableRuleView>('POST', '/immutable', { body })
        tell(context, flags, answer, `The rule ${name} is added.`)
      })
    })

  adminOptions(command.command('rm').description('remove rules').argument('<name...>')).action(
    async (names: string[], flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        for (const name of names) {
          tell(context, flags, await ask('DELETE', `/immutable/${segment(name)}`), `The rule ${name} is removed.`)
        }
      })
    },
  )

  adminOptions(
    command
      .command('test')
      .description('say whether a rule protects a tag; exits with 1 when none does')
      .argument('<repository:tag>'),
  ).action(async (reference: string, flags: AdminFlags) => {
    const { repository, tag } = parseReference(reference)
    if (tag === undefined) throw new CommandError(`${reference} names no tag: write REPOSITORY:TAG`, 2)
    await withApi(context, flags, async (ask) => {
      const { text, json } = await ask<ImmutableAnswerView>('POST', '/immutable/test', { body: { repository, tag } })
      context.out(flags.format === 'json' ? printableJson(text) : `${printable(verdict(reference, json))}\n`)
      if (!json.immutable) context.setExitCode(1)
    })
  })
  return command
}

function verdict(reference: string, { rule }: ImmutableAnswerView): string {
  if (rule === null) return `${reference} is not immutable: no rule speaks of it`
  return `${reference} is immutable by the rule ${rule.name} (${sourceCell(rule)})`
}

function rulesListing({ rules }: ImmutableRulesView): Listing {
  const rows = rules.map((rule) => [
    ...[rule.name, listCell(rule.repositories), listCell(rule.tags), sourceCell(rule)],
    ...[timeCell(rule.createdAt), rule.comment],
  ])
  return {
    titles: ['NAME', 'REPOSITORIES', 'TAGS', 'FROM', 'CREATED', 'COMMENT'],
    ...{ rows, keep: ['NAME'], spare: ['COMMENT', 'CREATED'] },
    empty: 'No tag is immutable: berth immutable add NAME --tag PATTERN',
  }
}

function sourceCell({ source }: Pick<ImmutableRuleView, 'source'>): string {
  return source === 'config' ? 'configuration' : 'berth immutable'
}

function listCell(patterns: readonly string[]): string {
  return patterns.length === 0 ? 'all' : patterns.join(' ')
}
