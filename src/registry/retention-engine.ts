import { ageText, parseAge } from '../oci/age.ts'
import type { Digest } from '../oci/digest.ts'
import type { RetentionRule } from '../oci/retention-rule.ts'
import { compileSelector, type Selector } from '../oci/selector.ts'
import { createRanking, type Ranking } from './retention-ranking.ts'

/** What a rule decides about: a tag, or a manifest that has none. */
export interface RetentionItem {
  kind: 'tag' | 'manifest'
  /** The tag, or the manifest's digest. */
  name: string
  digest: Digest
  /** Milliseconds since the epoch: the last push of the tag; of a manifest, when it was pushed, or lost its last tag. */
  pushedAt: number
  /** When it was pulled or pushed last, whichever was later. */
  usedAt: number
  /** When the image itself says that it ends; undefined: it does not. */
  expiresAt: number | undefined
}

/** What is to become of one item. `keep` without a rule: none speaks of it. */
export interface Verdict {
  action: 'delete' | 'keep'
  rule: string | undefined
  /** In words, for whoever reads the plan. */
  reason: string
  /** A rule further down that would have deleted it. */
  inspite: string | undefined
  mayEmpty: boolean
}

interface CompiledRule {
  rule: RetentionRule
  repositories: Selector
  tags: Selector
  olderThan: number | undefined
  newerThan: number | undefined
}

/** A list of rules, ready to be asked. */
export interface RuleSet {
  /** The rules that may speak of a repository, in their order; undefined: none. */
  of(repository: string): RepositoryRules | undefined
}

/** The rules of one repository, and who is the newest there: everything is shown to `rank` before `decide` is asked. */
export interface RepositoryRules {
  /** Whether `rank` must have seen everything of the repository before `decide` is asked. */
  needsRanks: boolean
  /** Whether pulls count for anything. */
  needsPulls: boolean
  /** Whether it matters what images say of their own end. */
  needsExpiry: boolean
  /** Whether manifests without a tag matter. */
  needsUntagged: boolean
  rank(item: RetentionItem): void
  decide(item: RetentionItem, now: number): Verdict
}

/** @throws RangeError for rules that `readRetentionRule` has something against */
export function compileRules(rules: readonly RetentionRule[]): RuleSet {
  const compiled = rules.map((rule): CompiledRule => {
    const { olderthan, newerthan } = rule
    return {
      rule,
      repositories: compileSelector(rule.repositories),
      tags: compileSelector(rule.tags),
      olderThan: olderthan === undefined ? undefined : millisecondsOf(olderthan),
      newerThan: newerthan === undefined ? undefined : millisecondsOf(newerthan),
    }
  })
  return {
    of(repository) {
      const own = compiled.filter((each) => each.repositories.matches(repository))
      return own.some(({ rule }) => rule.action === 'delete') ? rulesOf(own) : undefined
    },
  }
}

function millisecondsOf(age: string): number {
  const milliseconds = parseAge(age)
  if (milliseconds === undefined) throw new RangeError(`${age} is no age`)
  return milliseconds
}

function rulesOf(rules: readonly CompiledRule[]): RepositoryRules {
  const ranked = rules.map((each) => ({ ...each, ranking: rankingOf(each.rule) }))
  const asks = (has: (rule: RetentionRule) => boolean) => rules.some(({ rule }) => has(rule))
  return {
    needsRanks: ranked.some(({ ranking }) => ranking !== undefined),
    needsPulls: asks(({ on }) => on === 'pulled'),
    needsExpiry: asks(({ expired }) => expired),
    needsUntagged: asks(({ state, action }) => state !== 'tagged' && action === 'delete'),

    rank(item) {
      for (const each of ranked) {
        if (each.ranking !== undefined && speaksOf(each, item))
          each.ranking.see(rankedId(each.rule, item), timeOf(each.rule, item), item.name)
      }
    },

    decide(item, now) {
      let kept: Verdict | undefined
      for (const each of ranked) {
        if (!speaksOf(each, item)) continue
        const reason = matchOf(each, item, now)
        if (reason === undefined) continue
        const { name, action, mayempty } = each.rule
        if (action === 'keep') kept ??= { action, rule: name, reason, inspite: undefined, mayEmpty: false }
        else if (kept !== undefined) return { ...kept, inspite: name }
        else return { action, rule: name, reason, inspite: undefined, mayEmpty: mayempty }
      }
      return kept ?? UNSPOKEN
    },
  }
}

const UNSPOKEN: Verdict = { action: 'keep', rule: undefined, reason: 'no rule', inspite: undefined, mayEmpty: false }

/** Whether `state` and `tags` of the rule match: what its counts go by. */
function speaksOf({ rule, tags }: CompiledRule, { kind, name }: RetentionItem): boolean {
  if (kind === 'manifest') return rule.state !== 'tagged'
  return rule.state !== 'untagged' && tags.matches(name)
}

/** How the rule's conditions are met, in words; undefined when one of them is not. */
function matchOf(
  each: CompiledRule & { ranking: Ranking | undefined },
  item: RetentionItem,
  now: number,
): string | undefined {
  const { rule, olderThan, newerThan, ranking } = each
  const reasons: string[] = []
  if (rule.expired) {
    if (item.expiresAt === undefined || item.expiresAt > now) return undefined
    reasons.push(`expired ${ageText(now - item.expiresAt)} ago by its own word`)
  }
  if (olderThan !== undefined || newerThan !== undefined) {
    const age = now - timeOf(rule, item)
    if (olderThan !== undefined && age <= olderThan) return undefined
    if (newerThan !== undefined && age >= newerThan) return undefined
    reasons.push(ageReason(rule, item, age))
  }
  if (ranking !== undefined) {
    const among = ranking.has(rankedId(rule, item))
    if (among === (rule.beyondnewest !== undefined)) return undefined
    reasons.push(rankReason(rule))
  }
  if (reasons.length === 0)
    return rule.action === 'keep' ? 'kept by the rule' : 'the rule has no condition of age or count'
  return reasons.join(', ')
}

function ageReason({ on, olderthan, newerthan }: RetentionRule, { kind }: RetentionItem, age: number): string {
  const since = on === 'pulled' ? 'last used' : kind === 'tag' ? 'pushed' : 'untagged'
  const bounds = [
    ...(olderthan === undefined ? [] : [`more than ${olderthan}`]),
    ...(newerthan === undefined ? [] : [`less than ${newerthan}`]),
  ]
  return `${since} ${ageText(age)} ago (${bounds.join(', ')})`
}

function rankReason({ newest, oldest, beyondnewest, count, on }: RetentionRule): string {
  const what = `${count === 'images' ? ' images' : ''}${on === 'pulled' ? ' by use' : ''}`
  if (beyondnewest !== undefined) return `not among the ${beyondnewest} newest${what}`
  return newest === undefined ? `among the ${oldest} oldest${what}` : `among the ${newest} newest${what}`
}

function timeOf({ on }: RetentionRule, { pushedAt, usedAt }: RetentionItem): number {
  return on === 'pulled' ? usedAt : pushedAt
}

function rankedId({ count }: RetentionRule, { name, digest }: RetentionItem): string {
  return count === 'images' ? digest : name
}

function rankingOf({ newest, oldest, beyondnewest }: RetentionRule): Ranking | undefined {
  const first = newest ?? beyondnewest
  if (first !== undefined) return createRanking(first, 'newest')
  return oldest === undefined ? undefined : createRanking(oldest, 'oldest')
}
