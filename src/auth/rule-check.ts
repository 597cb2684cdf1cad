import type { RuleRow } from '../metadata/metadata.ts'
import { aclProblems } from './acl.ts'
import { ChangeError, type ChangeProblem } from './administration.ts'
import { isDeadPattern } from './pattern.ts'

const MAX_RULES = 1000
const MAX_PATTERN = 1000
const MAX_COMMENT = 500
const MAX_ACTIONS = 50
const MAX_LABELS = 20

const PATTERNS = ['account', 'type', 'name', 'service'] as const
const KEYS: readonly string[] = [...PATTERNS, 'ip', 'labels']
const ACTION = /^[^\s,\p{Cc}]{1,64}$/u

/**
 * Refuses what the ACL would refuse, and what it would take without doing what it says: a condition that nobody reads
 * would widen access, and a glob that can never match would undo a prohibition.
 * @param prefix before each path; that of the list unless told.
 * @throws ChangeError with every problem
 */
export function checkRules(rules: readonly RuleRow[], prefix?: ''): void {
  const problems: ChangeProblem[] = []
  if (rules.length > MAX_RULES) problems.push({ path: 'rules', message: `there can be at most ${MAX_RULES} rules` })
  const ids = new Set<string>()
  for (const [index, rule] of rules.slice(0, MAX_RULES).entries()) {
    const at = prefix ?? `rules.${index}.`
    if (ids.has(rule.id)) problems.push({ path: `${at}id`, message: `two rules have the id ${rule.id}` })
    ids.add(rule.id)
    problems.push(...ruleProblems(rule).map(({ path, message }) => ({ path: at + path, message })))
  }
  if (problems.length > 0) throw new ChangeError('invalid', problems[0]?.message ?? '', problems)
}

function ruleProblems({ id, match, actions, comment }: RuleRow): ChangeProblem[] {
  const problems: ChangeProblem[] = []
  const labels = Object.entries(match.labels ?? {})
  for (const key of Object.keys(match)) {
    if (!KEYS.includes(key)) problems.push({ path: `match.${key.slice(0, 64)}`, message: 'there is no such condition' })
  }
  if (labels.length > MAX_LABELS) problems.push({ path: 'match.labels', message: `at most ${MAX_LABELS} labels` })
  const texts = [
    ...PATTERNS.map((key) => [`match.${key}`, match[key]] as const),
    ['match.ip', match.ip] as const,
    ...labels.slice(0, MAX_LABELS).map(([label, text]) => [`match.labels.${label.slice(0, 64)}`, text] as const),
  ]
  for (const [path, text] of texts) {
    if (text !== undefined) problems.push(...textProblems(path, text))
  }
  if (comment.length > MAX_COMMENT) problems.push({ path: 'comment', message: `at most ${MAX_COMMENT} characters` })
  if (actions.length > MAX_ACTIONS) problems.push({ path: 'actions', message: `at most ${MAX_ACTIONS} actions` })
  if (actions.some((action) => !ACTION.test(action))) {
    problems.push({ path: 'actions', message: 'an action has 1 to 64 characters, without space or comma' })
  }
  if (problems.length > 0) return problems
  const said = aclProblems([{ match, actions, comment, where: `rule ${id}` }])
  // What stands before the last of these words is the place, which the path says already.
  return said.map((text) => ({ path: 'match', message: text.split('invalid match conditions: ').at(-1) ?? text }))
}

function textProblems(path: string, text: string): ChangeProblem[] {
  if (text.length > MAX_PATTERN) return [{ path, message: `at most ${MAX_PATTERN} characters` }]
  if (path === 'match.ip' || !isDeadPattern(text)) return []
  return [{ path, message: 'this pattern is malformed, so the rule would never match; write \\[ for a bracket' }]
}
