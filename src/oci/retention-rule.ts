import { parseAge } from './age.ts'
import { selectorProblem } from './selector.ts'

/**
 * One rule of retention, in the words in which a configuration, the API and the command line have it. Of the rules of a list
 * the first that matches a tag (or a manifest without one) decides about it; what none matches stays.
 */
export interface RetentionRule {
  name: string
  /** Patterns as `compileSelector` takes them; none: every repository. */
  repositories: readonly string[]
  /** The same for tags; only where `state` is `tagged`. */
  tags: readonly string[]
  /** `untagged`: manifests that have no tag. */
  state: 'tagged' | 'untagged' | 'any'
  /** Only what says of itself that it has expired. */
  expired: boolean
  /** What the ages and counts below go by: the last push, or the last pull (or push, where that was later). */
  on: 'pushed' | 'pulled'
  /** Only the newest so many, of what `repositories`, `tags` and `state` match in one repository; only the oldest; all but the newest. */
  newest: number | undefined
  oldest: number | undefined
  beyondnewest: number | undefined
  /** `images`: tags of the same manifest count once, and stand where the newest of them does. */
  count: 'tags' | 'images'
  /** Ages as `parseAge` takes them. */
  olderthan: string | undefined
  newerthan: string | undefined
  /** Whether what this rule deletes may be the last that a repository has. */
  mayempty: boolean
  action: 'delete' | 'keep'
}

/** As somebody wrote it: what is not there has its default. */
export type WrittenRetentionRule = { [K in keyof RetentionRule]?: RetentionRule[K] | undefined }

export interface RuleProblem {
  /** Of the key, and the element of a list: `tags.0`. */
  path: string
  message: string
}

const MAX_PATTERNS = 100
/** What a rule may count to: so many names are in memory while one repository is looked at. */
const MAX_COUNT = 100_000
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
/** Names of what deletes without being a rule of a list. */
export const EXPIRY_RULE = 'expiry'
export const PRUNE_RULE = 'prune'

const COUNTS = ['newest', 'oldest', 'beyondnewest'] as const

/** The rule with its defaults, and everything that is wrong with it. */
export function readRetentionRule(written: WrittenRetentionRule): { rule: RetentionRule; problems: RuleProblem[] } {
  const rule: RetentionRule = {
    name: written.name ?? '',
    repositories: written.repositories ?? [],
    tags: written.tags ?? [],
    state: written.state ?? 'tagged',
    expired: written.expired ?? false,
    on: written.on ?? 'pushed',
    newest: written.newest,
    oldest: written.oldest,
    beyondnewest: written.beyondnewest,
    count: written.count ?? 'tags',
    olderthan: written.olderthan,
    newerthan: written.newerthan,
    mayempty: written.mayempty ?? false,
    action: written.action ?? 'keep',
  }
  return { rule, problems: [...wordProblems(rule), ...sumProblems(written, rule)] }
}

/** What is written, without the defaults: what files and answers show. */
export function writtenRule(rule: RetentionRule): WrittenRetentionRule {
  const { rule: plain } = readRetentionRule({ name: rule.name, action: rule.action })
  const keys = Object.keys(rule) as (keyof RetentionRule)[]
  return Object.fromEntries(
    keys
      .filter((key) => key === 'name' || key === 'action' || JSON.stringify(rule[key]) !== JSON.stringify(plain[key]))
      .map((key) => [key, rule[key]]),
  )
}

/** Each word by itself. */
function wordProblems(rule: RetentionRule): RuleProblem[] {
  const problems: RuleProblem[] = []
  const { name } = rule
  if (!NAME.test(name)) {
    problems.push({
      path: 'name',
      message: 'a name has 1 to 63 letters, digits and . _ -, and begins with one of the first two',
    })
  } else if (name === EXPIRY_RULE || name === PRUNE_RULE) {
    problems.push({ path: 'name', message: `${name} is the name of what deletes without a rule; choose another` })
  }
  for (const key of ['repositories', 'tags'] as const) {
    if (rule[key].length > MAX_PATTERNS) problems.push({ path: key, message: `at most ${MAX_PATTERNS} patterns` })
    for (const [index, pattern] of rule[key].slice(0, MAX_PATTERNS).entries()) {
      const message = selectorProblem(pattern)
      if (message !== undefined) problems.push({ path: `${key}.${index}`, message })
    }
  }
  for (const key of COUNTS) {
    const count = rule[key]
    if (count === undefined || (Number.isInteger(count) && count >= 1 && count <= MAX_COUNT)) continue
    problems.push({ path: key, message: `must be a number from 1 to ${MAX_COUNT}` })
  }
  for (const key of ['olderthan', 'newerthan'] as const) {
    const age = rule[key]
    if (age === undefined || parseAge(age) !== undefined) continue
    problems.push({ path: key, message: `${JSON.stringify(age)} is no age: write one such as 30d, 12h, 2w or 1h30m` })
  }
  return problems
}

/** The words together: what would match nothing, or more than it seems to. */
function sumProblems(written: WrittenRetentionRule, rule: RetentionRule): RuleProblem[] {
  const problems: RuleProblem[] = []
  const say = (path: string, message: string) => problems.push({ path, message })
  const { action, tags, state, olderthan, newerthan } = rule
  if (written.action === undefined) say('action', 'say what the rule does: delete or keep')
  if (tags.length > 0 && state !== 'tagged')
    say('tags', `names tags, and state ${state} asks for manifests that have none`)
  const counts = COUNTS.filter((key) => rule[key] !== undefined)
  const [first, second] = counts
  if (second !== undefined) say(second, `cannot stand beside ${first}: a rule has one count`)
  if (action === 'delete' && (first === 'newest' || first === 'oldest')) {
    say(first, 'cannot be deleted: each run would delete as many again; beyondnewest deletes all but the newest')
  }
  if (action === 'keep' && first === 'beyondnewest') say(first, 'is for rules that delete; newest keeps the newest')
  const [older, newer] = [parseAge(olderthan ?? ''), parseAge(newerthan ?? '')]
  if (older !== undefined && newer !== undefined && older >= newer) {
    say('newerthan', `nothing is older than ${olderthan} and newer than ${newerthan}`)
  }
  const hasAge = olderthan !== undefined || newerthan !== undefined
  if (written.on !== undefined && counts.length === 0 && !hasAge) say('on', 'says nothing without an age or a count')
  if (written.count !== undefined && counts.length === 0)
    say('count', 'says nothing without newest, oldest or beyondnewest')
  if (rule.mayempty && action === 'keep') say('mayempty', 'says nothing of a rule that keeps')
  const isBare = rule.repositories.length === 0 && tags.length === 0 && !rule.expired && counts.length === 0 && !hasAge
  if (written.action === 'delete' && isBare) {
    say('', "this rule would delete everything in every repository; where that is meant, write repositories: ['**']")
  }
  return problems
}

/** The later push; of two at one time, the name that is later in byte order. What a plan spares, its run spares, too. */
export function isNewer(a: Pushed, b: Pushed): boolean {
  return a.pushedAt > b.pushedAt || (a.pushedAt === b.pushedAt && a.name > b.name)
}

interface Pushed {
  pushedAt: number
  /** The tag, or a manifest's digest. */
  name: string
}
