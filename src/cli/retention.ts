import { Command, Option } from 'commander'
import type {
  RetentionChangedView,
  RetentionRuleView,
  RetentionRunsView,
  RetentionRunView,
  RetentionView,
  RetentionWishView,
} from '../http/api/retention-schemas.ts'
import { emptyText, type ListFlags, showList, tell } from './answer.ts'
import {
  type AdminContext,
  type AdminFlags,
  type Ask,
  adminOptions,
  listOptions,
  ofProcess,
  segment,
  withApi,
} from './control.ts'
import { warnOfDeadPatterns } from './dead-pattern.ts'
import { CommandError } from './error.ts'
import { spanText } from './gc.ts'
import type { Listing } from './listing.ts'
import { placeFlags } from './place.ts'
import { bytesText, counted } from './progress.ts'
import { type PlanFormat, showPlan } from './retention-plan.ts'
import { printableJson, timeCell } from './table.ts'
import { collect, parsePosition } from './values.ts'

interface RuleFlags extends AdminFlags {
  file?: string
  repository?: string[]
  tag?: string[]
  state?: RetentionRuleView['state']
  expired?: true
  on?: RetentionRuleView['on']
  newest?: number
  oldest?: number
  beyondNewest?: number
  count?: RetentionRuleView['count']
  olderThan?: string
  newerThan?: string
  mayEmpty?: true
  action?: RetentionRuleView['action']
  position?: string
}

interface RunFlags {
  data?: string
  config?: string
  authConfig?: string
  format: PlanFormat
  dryRun?: true
  all?: true
}

/** Milliseconds between two looks at a run. */
const LOOK = 200

export function retentionCommand(context: AdminContext = ofProcess): Command {
  const command = new Command('retention').description(
    'delete tags and images by rules; the first that matches decides',
  )

  listOptions(
    command.command('list').alias('ls').description("list the rules in order; the configuration's come first"),
  ).action(async (flags: ListFlags) => {
    await withApi(context, flags, async (ask) => {
      showList(context, flags, await ask<RetentionView>('GET', '/retention'), rulesListing)
    })
  })

  ruleOptions(
    adminOptions(
      command
        .command('set')
        .description('make or change a rule; or, with --file, put a list in the place of all that were made so')
        .argument('[name]'),
    ),
  )
    .option('--file <rules.yml>', 'rules as in the configuration: a list, or a file with retention.rules')
    .option('--position <n>', '1 is the first of those that were made so')
    .action(async (name: string | undefined, flags: RuleFlags) => {
      if (flags.file !== undefined) {
        if (name !== undefined) throw new CommandError('give either the name of a rule, or --file with all of them', 2)
        const { readRetentionFile } = await import('./retention-file.ts')
        const rules = readRetentionFile(flags.file)
        for (const { repositories, tags } of rules) {
          warnOfDeadPatterns(context, 'repository', repositories)
          warnOfDeadPatterns(context, 'tag', tags)
        }
        await withApi(context, flags, async (ask) => {
          const headers = { 'If-Match': '*' }
          const answer = await ask<RetentionChangedView>('PUT', '/retention/rules', { body: { rules }, headers })
          tell(context, flags, answer, `The list has ${rules.length} rules now.`)
        })
        return
      }
      if (name === undefined) throw new CommandError('name the rule, or give --file with all of them', 2)
      if (flags.action === undefined)
        throw new CommandError('say what the rule does: --action delete, or --action keep', 2)
      const position = flags.position === undefined ? undefined : parsePosition(flags.position)
      const body = { ...ruleOf(flags), action: flags.action, position }
      warnOfDeadPatterns(context, 'repository', flags.repository)
      warnOfDeadPatterns(context, 'tag', flags.tag)
      await withApi(context, flags, async (ask) => {
        const answer = await ask<RetentionChangedView>('PUT', `/retention/rules/${segment(name)}`, { body })
        tell(
          context,
          flags,
          answer,
          `The rule ${name} is set; berth retention run --dry-run${placeFlags(flags)} shows what it does.`,
        )
      })
    })

  adminOptions(command.command('rm').description('remove rules').argument('<name...>')).action(
    async (names: string[], flags: AdminFlags) => {
      await withApi(context, flags, async (ask) => {
        for (const name of names) {
          const answer = await ask('DELETE', `/retention/rules/${segment(name)}`)
          tell(context, flags, answer, `The rule ${name} is removed.`)
        }
      })
    },
  )

  adminOptions(
    command
      .command('run')
      .description('carry the rules out now; with --dry-run show what would go, what would stay, and why')
      .argument('[repository...]', 'these alone'),
    PLAN_FORMATS,
  )
    .option('-d, --dry-run', 'delete nothing')
    .option('--all', 'name what no rule speaks of, too')
    .action(async (repositories: string[], flags: RunFlags) => {
      const wish = { ...(repositories.length === 0 ? {} : { repositories }), ...(flags.all ? { all: true } : {}) }
      await withApi(context, flags, async (ask, stream) => {
        if (flags.dryRun) await showPlan(context, stream, wish, flags.format)
        else await runAndTell(context, ask, wish, flags.format)
      })
    })

  listOptions(command.command('status').description('show when it ran, what it deleted, and when it runs next'))
    .option('--limit <n>', 'runs at most, up to 1000', '20')
    .option('--before <id>', 'only runs before this one')
    .action(async (flags: ListFlags & { limit: string; before?: string }) => {
      const { limit, before } = flags
      await withApi(context, flags, async (ask) => {
        if (flags.format !== 'json' && before === undefined) {
          context.out(`${stateText((await ask<RetentionView>('GET', '/retention')).json)}\n`)
        }
        const answer = await ask<RetentionRunsView>('GET', '/retention/runs', { query: { limit, before } })
        showList(context, flags, answer, (json) => runsListing(json, before))
      })
    })
  return command
}

export const PLAN_FORMATS = ['table', 'json', 'ndjson'] as const

function ruleOptions(command: Command): Command {
  const number = (text: string): number => {
    if (!/^[1-9]\d{0,5}$/.test(text)) throw new CommandError(`${JSON.stringify(text)} is no number from 1`, 2)
    return Number(text)
  }
  return command
    .option('--repository <pattern>', "repositories: a glob, /RE2/, '!' before either; may be repeated", collect)
    .option('--tag <pattern>', 'tags; may be repeated', collect)
    .addOption(new Option('--state <state>', 'of what').choices(['tagged', 'untagged', 'any']))
    .option('--expired', 'only what says of itself that it has expired')
    .addOption(new Option('--on <time>', 'what ages and counts go by').choices(['pushed', 'pulled']))
    .option('--newest <n>', 'only the newest so many of each repository', number)
    .option('--oldest <n>', 'only the oldest so many', number)
    .option('--beyond-newest <n>', 'all but the newest so many', number)
    .addOption(new Option('--count <what>', 'what is counted').choices(['tags', 'images']))
    .option('--older-than <age>', 'only what is older: 30d, 12h, 2w')
    .option('--newer-than <age>', 'only what is newer')
    .option('--may-empty', 'what it deletes may be the last of a repository')
    .addOption(new Option('--action <action>', 'what the rule does').choices(['delete', 'keep']))
}

function ruleOf(flags: RuleFlags): Omit<RetentionRuleView, 'name' | 'action'> {
  const { repository, tag, beyondNewest, olderThan, newerThan, mayEmpty, state, expired, on, newest, oldest, count } =
    flags
  return {
    ...{ repositories: repository, tags: tag, state, expired, on, newest, oldest, count },
    ...{ beyondnewest: beyondNewest, olderthan: olderThan, newerthan: newerThan, mayempty: mayEmpty },
  }
}

/** Begins a run, waits for its end, and says what it did. @throws CommandError when it failed */
export async function runAndTell(
  context: AdminContext,
  ask: Ask,
  wish: RetentionWishView,
  format: PlanFormat,
): Promise<void> {
  let run = (await ask<RetentionRunView>('POST', '/retention/runs', { body: wish })).json
  while (run.state === 'running') {
    await new Promise((resolve) => setTimeout(resolve, LOOK))
    run = (await ask<RetentionRunView>('GET', `/retention/runs/${run.id}`)).json
  }
  if (format === 'table') context.out(`${runText(run)}\n`)
  else context.out(printableJson(JSON.stringify(run)))
  if (run.state !== 'done') throw new CommandError(`the run ${run.state}${run.error === null ? '' : `: ${run.error}`}`)
}

function runText({ tags, manifests, bytes, skipped }: RetentionRunView): string {
  const left = skipped === 0 ? '' : `; ${skipped} were left, for they changed meanwhile`
  return `${tags} tags are deleted; ${manifests} manifests with ${bytesText(bytes)} are in the trash${left}`
}

function rulesListing({ rules, expiry }: RetentionView): Listing {
  const rows = rules.map(({ source, rule: { name, action, ...conditions } }, index) => [
    ...[String(index + 1), name, action, source, conditionsText(conditions)],
  ])
  const own = ['', 'expiry', 'delete', 'config', `what has expired by its own word (${expiry.names.join(', ')})`]
  return {
    titles: ['#', 'NAME', 'ACTION', 'SOURCE', 'WHAT'],
    ...{ rows: [...rows, ...(expiry.enabled ? [own] : [])], keep: ['NAME'], spare: ['SOURCE'], wraps: true },
    empty: 'There are no rules: berth retention set NAME --action delete',
  }
}

function conditionsText(conditions: Omit<RetentionRuleView, 'name' | 'action'>): string {
  const texts = Object.entries(conditions).map(([key, value]) => {
    if (value === true) return key
    return `${key}=${Array.isArray(value) ? value.join(',') : value}`
  })
  return texts.join(' ') || 'everything'
}

function stateText({ enabled, intervalMs, last, rules, expiry }: RetentionView): string {
  if (!enabled) return 'Nothing is deleted by itself (retention.enabled); berth retention run does it.'
  const next = last === null ? undefined : new Date(Date.parse(last.startedAt) + intervalMs).toISOString()
  const when = next === undefined ? 'a minute after the server has started' : timeCell(next)
  const own = expiry.enabled ? ', and what images say of their expiry' : ''
  return `${counted(rules.length, 'rule')}${own}, carried out every ${spanText(intervalMs)}; the next time ${when}.`
}

function runsListing({ runs }: RetentionRunsView, before: string | undefined): Listing {
  const rows = runs.map((run) => [
    ...[String(run.id), timeCell(run.startedAt), timeCell(run.endedAt), run.state, run.cause, run.actor || '-'],
    ...[String(run.repositories), String(run.tags), String(run.manifests), bytesText(run.bytes), String(run.skipped)],
    run.error ?? '-',
  ])
  return {
    titles: ['ID', 'BEGAN', 'ENDED', 'STATE', 'CAUSE', 'BY', 'REPOS', 'TAGS', 'MANIFESTS', 'BYTES', 'SKIPPED', 'ERROR'],
    ...{ rows, spare: ['SKIPPED', 'REPOS', 'BY', 'MANIFESTS', 'ENDED'], wraps: true },
    empty: emptyText('It did not run yet.', [before]),
  }
}
