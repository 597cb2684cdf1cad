import { Command } from 'commander'
import type { RetentionWishView } from '../http/api/retention-schemas.ts'
import { type AdminContext, adminOptions, ofProcess, withApi } from './control.ts'
import { warnOfDeadPatterns } from './dead-pattern.ts'
import { CommandError } from './error.ts'
import { PLAN_FORMATS, runAndTell } from './retention.ts'
import { type PlanFormat, showPlan } from './retention-plan.ts'
import { collect } from './values.ts'

interface PruneFlags {
  data?: string
  config?: string
  authConfig?: string
  format: PlanFormat
  keep?: string
  olderThan?: string
  notPulledFor?: string
  include?: string[]
  exclude?: string[]
  untagged?: true
  mayEmpty?: true
  all?: true
  yes?: true
}

export function pruneCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('prune')
    .description('delete tags by a rule for once: shows what would go, and deletes with --yes; rules that keep hold')
    .argument('<repository...>')
    .option('--keep <n>', 'all but the newest so many of each repository')
    .option('--older-than <age>', 'only what was pushed longer ago: 30d, 12h, 2w')
    .option('--not-pulled-for <age>', 'in its place: only what was neither pulled nor pushed since')
    .option('--include <pattern>', 'tags that match: a glob, or /RE2/; may be repeated', collect)
    .option('--exclude <pattern>', 'tags that stay; may be repeated', collect)
    .option('--untagged', 'manifests without a tag in place of tags')
    .option('--may-empty', 'even if nothing is left in a repository')
    .option('--all', 'name what stays untouched, too')
    .option('-y, --yes', 'delete')
  return adminOptions(command, PLAN_FORMATS).action(async (repositories: string[], flags: PruneFlags) => {
    warnOfDeadPatterns(context, 'repository', repositories)
    warnOfDeadPatterns(context, 'tag', [...(flags.include ?? []), ...(flags.exclude ?? [])])
    const wish: RetentionWishView = { repositories, rule: ruleOf(flags), ...(flags.all ? { all: true } : {}) }
    await withApi(context, flags, async (ask, stream) => {
      // The answer for programs is one: the plan, or what was done.
      const isShown = flags.yes === undefined || flags.format === 'table'
      const total = isShown ? await showPlan(context, stream, wish, flags.format) : undefined
      const isEmpty = total !== undefined && total.tags === 0 && total.manifests === 0
      if (flags.yes && !isEmpty) await runAndTell(context, ask, wish, flags.format)
      else if (!flags.yes && !isEmpty) context.error('Nothing is deleted yet: --yes does it.\n')
    })
  })
}

/** @throws CommandError */
function ruleOf(flags: PruneFlags): NonNullable<RetentionWishView['rule']> {
  const { keep, olderThan, notPulledFor, include = [], exclude = [], untagged, mayEmpty } = flags
  if (keep !== undefined && !/^[1-9]\d{0,5}$/.test(keep)) {
    throw new CommandError(`--keep: ${JSON.stringify(keep)} is no number from 1; to delete all, leave it out`, 2)
  }
  if (olderThan !== undefined && notPulledFor !== undefined) {
    throw new CommandError('give either --older-than or --not-pulled-for', 2)
  }
  const tags = [...include, ...exclude.map((pattern) => `!${pattern}`)]
  if (untagged && tags.length > 0) throw new CommandError('--untagged goes without --include and --exclude', 2)
  if (keep === undefined && olderThan === undefined && notPulledFor === undefined && tags.length === 0 && !untagged) {
    throw new CommandError(
      'say what goes: --keep, --older-than, --not-pulled-for, --include, --exclude or --untagged',
      2,
    )
  }
  return {
    action: 'delete',
    ...(keep === undefined ? {} : { beyondnewest: Number(keep) }),
    ...(olderThan === undefined ? {} : { olderthan: olderThan }),
    ...(notPulledFor === undefined ? {} : { on: 'pulled' as const, olderthan: notPulledFor }),
    ...(tags.length === 0 ? {} : { tags }),
    ...(untagged ? { state: 'untagged' as const } : {}),
    ...(mayEmpty ? { mayempty: true } : {}),
    // A rule for once has its repositories beside it.
    repositories: ['**'],
  }
}
