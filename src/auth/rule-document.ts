import type { AclEntry } from './acl.ts'
import { isDeadPattern } from './pattern.ts'
import { isRecord } from './trust.ts'

const PATTERNS = ['account', 'type', 'name', 'service', 'ip'] as const
const CONDITIONS: readonly string[] = [...PATTERNS, 'labels']

/** The entry cannot be taken as a rule; the message names it. */
export class RuleDocumentError extends Error {}

/**
 * A rule out of a document `{match: {account, type, name, service, ip, labels}, actions, comment}`, as docker_auth stores them.
 * Names may be in capitals, as Go reads and writes them; null is absent. What is not a condition is refused, for without it
 * the rule would match more than was meant; patterns are the business of `compileAcl`.
 * @throws RuleDocumentError
 */
export function readRule(document: unknown, where: string): AclEntry {
  const refuse = (problem: string): never => {
    throw new RuleDocumentError(`${where}: ${problem}`)
  }
  const rule = fieldsOf(document) ?? refuse('is no document')
  const match = fieldsOf(rule.get('match')) ?? refuse('has no match')
  for (const key of match.keys()) {
    if (!CONDITIONS.includes(key))
      refuse(`match.${key} is no condition; without it the rule would match more than was meant`)
  }
  const text = (key: string): string | undefined => {
    const value = match.get(key) ?? undefined
    return value === undefined || typeof value === 'string' ? value : refuse(`match.${key} is no text`)
  }
  const actions = rule.get('actions')
  if (!Array.isArray(actions)) return refuse('has no list of actions')
  if (!actions.every((action): action is string => typeof action === 'string'))
    return refuse('has an action that is no text')
  const comment = rule.get('comment') ?? undefined
  if (comment !== undefined && typeof comment !== 'string') return refuse('comment is no text')
  const [account, type, name, service, ip] = PATTERNS.map(text)
  const labels = labelsOf(match.get('labels') ?? undefined, refuse)
  return { match: { account, type, name, service, ip, labels }, actions, comment, where }
}

/** Patterns of a rule that can never match anything, which docker_auth does not say. */
export function deadPatterns({ match, where }: AclEntry): string[] {
  const { account, type, name, service, labels } = match
  return [account, type, name, service, ...Object.values(labels ?? {})]
    .filter((pattern) => pattern !== undefined && isDeadPattern(pattern))
    .map((pattern) => `${where}: ${JSON.stringify(pattern)} is a malformed pattern, so the rule never matches`)
}

function labelsOf(value: unknown, refuse: (problem: string) => never): Record<string, string> | undefined {
  if (value === undefined) return undefined
  if (!isRecord(value)) return refuse('match.labels is no map')
  return Object.fromEntries(
    Object.entries(value).map(([label, pattern]): [string, string] => {
      if (typeof pattern !== 'string') return refuse(`match.labels.${label} is no text`)
      return [label, pattern]
    }),
  )
}

/** The members under their names in small letters; undefined for what is no map, or has one name twice. */
function fieldsOf(value: unknown): Map<string, unknown> | undefined {
  if (!isRecord(value)) return undefined
  const entries = Object.entries(value)
  const fields = new Map(entries.map(([key, member]) => [key.toLowerCase(), member]))
  return fields.size === entries.length ? fields : undefined
}
