import type { Metadata } from '../metadata/metadata.ts'
import {
  EXPIRY_RULE,
  type RetentionRule,
  type RuleProblem,
  readRetentionRule,
  type WrittenRetentionRule,
  writtenRule,
} from '../oci/retention-rule.ts'

export interface ListedRule {
  rule: RetentionRule
  /** `config`: of the configuration, where alone it can be changed. */
  source: 'config' | 'api'
}

export type RuleChange =
  | { kind: 'done'; revision: number }
  /** What is wrong; `rules.2.tags.0` where the whole list was given. */
  | { kind: 'invalid'; problems: RuleProblem[] }
  /** The list has this revision by now. */
  | { kind: 'stale'; revision: number }
  | { kind: 'unknown'; name: string; configured: boolean }

/** Rules of the configuration, which come first, and those that administrators made. */
export interface RetentionRules {
  list(): Promise<{ revision: number; rules: ListedRule[] }>
  /** Puts a list in the place of the database's, if that still has the revision. */
  replace(revision: number | 'any', rules: readonly WrittenRetentionRule[]): Promise<RuleChange>
  /** Makes a rule, or puts it in the place of the one with its name. @param position from 0 among the database's; undefined: where it is, else last */
  set(rule: WrittenRetentionRule, position: number | undefined): Promise<RuleChange>
  remove(names: readonly string[]): Promise<RuleChange>
}

const MAX_RULES = 200
/** How often a change is tried again when another one came first. */
const ATTEMPTS = 5

export function createRetentionRules(deps: {
  retention: Pick<Metadata['retention'], 'rules' | 'replaceRules'>
  configured: () => readonly RetentionRule[]
}): RetentionRules {
  const { retention, configured } = deps

  function check(rules: readonly WrittenRetentionRule[]): RuleProblem[] {
    const problems: RuleProblem[] = []
    if (rules.length > MAX_RULES) problems.push({ path: 'rules', message: `there can be at most ${MAX_RULES} rules` })
    const names = new Set(configured().map(({ name }) => name))
    for (const [index, written] of rules.slice(0, MAX_RULES).entries()) {
      const at = `rules.${index}`
      const { rule, problems: own } = readRetentionRule(written)
      problems.push(...own.map(({ path, message }) => ({ path: path === '' ? at : `${at}.${path}`, message })))
      if (names.has(rule.name)) problems.push({ path: `${at}.name`, message: `there are two rules ${rule.name}` })
      names.add(rule.name)
    }
    return problems
  }

  async function rewrite(next: (rules: readonly WrittenRetentionRule[]) => WrittenRetentionRule[] | RuleChange) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { revision, rules } = await retention.rules()
      const list = next(rules)
      if (!Array.isArray(list)) return list
      const stored = await store(revision, list)
      if (stored.kind !== 'stale') return stored
    }
    return { kind: 'stale', revision: (await retention.rules()).revision } as const
  }

  async function store(revision: number, rules: readonly WrittenRetentionRule[]): Promise<RuleChange> {
    const problems = check(rules)
    if (problems.length > 0) return { kind: 'invalid', problems }
    const plain = rules.map((written) => writtenRule(readRetentionRule(written).rule))
    if (await retention.replaceRules(revision, plain)) return { kind: 'done', revision: revision + 1 }
    return { kind: 'stale', revision: (await retention.rules()).revision }
  }

  return {
    async list() {
      const { revision, rules } = await retention.rules()
      const first = configured().map((rule): ListedRule => ({ rule, source: 'config' }))
      const own = rules.map((written): ListedRule => ({ rule: readRetentionRule(written).rule, source: 'api' }))
      return { revision, rules: [...first, ...own] }
    },

    async replace(revision, rules) {
      return revision === 'any' ? await rewrite(() => [...rules]) : await store(revision, rules)
    },

    async set(rule, position) {
      // Its own problems are told without its place in the list.
      const { problems } = readRetentionRule(rule)
      if (problems.length > 0) return { kind: 'invalid', problems }
      return await rewrite((rules) => {
        const at = rules.findIndex(({ name }) => name === rule.name)
        const others = rules.filter(({ name }) => name !== rule.name)
        return others.toSpliced(position ?? (at === -1 ? others.length : at), 0, rule)
      })
    },

    async remove(names) {
      return await rewrite((rules) => {
        const missing = names.find((name) => !rules.some((rule) => rule.name === name))
        if (missing === undefined) return rules.filter(({ name = '' }) => !names.includes(name))
        const isConfigured = configured().some(({ name }) => name === missing)
        return { kind: 'unknown', name: missing, configured: isConfigured }
      })
    },
  }
}

/** What images say of their own end, as the last rule: any other one comes before it. */
export const EXPIRY: RetentionRule = readRetentionRule({
  ...{ name: EXPIRY_RULE, state: 'any', expired: true, mayempty: true, action: 'delete' },
}).rule
