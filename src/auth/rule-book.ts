import type { RuleRow, Rules } from '../metadata/metadata.ts'
import type { AclEntry } from './acl.ts'
import { type Actor, answered, ChangeError, type Changes, invalid, notFound } from './administration.ts'
import { checkRules } from './rule-check.ts'

export type Rule = RuleRow

/** A rule as an administrator writes it; without an id it gets one. */
export interface NewRule {
  id?: string | undefined
  match: RuleRow['match']
  actions: readonly string[]
  comment?: string | undefined
}

/** What is absent stays as it is. */
export interface RuleChange {
  match?: RuleRow['match'] | undefined
  actions?: readonly string[] | undefined
  comment?: string | undefined
}

export interface RuleList {
  /** Grows with each change. */
  revision: number
  rules: readonly Rule[]
}

/**
 * Berth's own list of rules, in docker_auth's terms. It is read once and kept: one process owns the database. A change
 * counts for the next question after it.
 */
export interface RuleBook {
  list(): Promise<RuleList>
  /** The list as the ACL takes it; the same array until it changes. `where` is `rule ID`. */
  entries(): Promise<readonly AclEntry[]>
  /** The next question reads the database again. */
  forget(): void
  /** @param position from 0; undefined or past the end: last. */
  add(rule: NewRule, position: number | undefined, actor: Actor): Promise<RuleList & { rule: Rule }>
  change(id: string, change: RuleChange, actor: Actor): Promise<RuleList & { rule: Rule }>
  move(id: string, position: number, actor: Actor): Promise<RuleList & { rule: Rule }>
  remove(id: string, actor: Actor): Promise<RuleList>
  /** Puts another list in its place, if it still has that revision (`any`: whatever it has). */
  replace(revision: number | 'any', rules: readonly NewRule[], actor: Actor): Promise<RuleList>
}

/** How often a change is tried again when another one came first. */
const ATTEMPTS = 5
const ID = /^[a-zA-Z0-9-]{1,64}$/

export function createRuleBook(deps: {
  rules: Rules
  /** Unique in the list, letters, digits and `-`. */
  newId: () => string
  changes: Changes
}): RuleBook {
  const { changes, newId } = deps
  let known: Promise<{ list: RuleList; entries: readonly AclEntry[] }> | undefined

  function current(): Promise<{ list: RuleList; entries: readonly AclEntry[] }> {
    if (known !== undefined) return known
    const reading = answered(() => deps.rules.list()).then((list) => ({ list, entries: list.rules.map(entryOf) }))
    known = reading
    // A failure is not remembered.
    reading.catch(() => {
      if (known === reading) known = undefined
    })
    return reading
  }

  function ruleOf({ id, match, actions, comment = '' }: NewRule): Rule {
    return { id: id ?? newId(), match, actions: [...actions], comment }
  }

  /** Writes the list that `next` makes of the one that is there, again when another process was faster. */
  async function rewrite(next: (rules: readonly Rule[]) => Rule[]): Promise<RuleList> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { revision, rules } = await deps.rules.list()
      const list = next(rules)
      if (await store(revision, list)) return (await current()).list
    }
    throw new ChangeError('conflict', 'the rules keep changing; try again')
  }

  async function store(revision: number, rules: readonly Rule[]): Promise<boolean> {
    checkRules(rules)
    try {
      return await deps.rules.replace(revision, rules)
    } finally {
      // Also when it failed: whether it was written may be unknown.
      known = undefined
    }
  }

  function pick(rules: readonly Rule[], id: string): Rule {
    const rule = rules.find((candidate) => candidate.id === id)
    if (rule === undefined) throw notFound(`rule ${id}`)
    return rule
  }

  return {
    list: async () => (await current()).list,
    entries: async () => (await current()).entries,
    forget() {
      known = undefined
    },

    async add(wanted, position, actor) {
      const rule = ruleOf({ ...wanted, id: undefined })
      return await changes.run(actor, `rule ${rule.id}`, `made: ${JSON.stringify(wanted)}`, async () => {
        checkRules([rule], '')
        const list = await rewrite((rules) => rules.toSpliced(position ?? rules.length, 0, rule))
        return { ...list, rule }
      })
    },

    async change(id, change, actor) {
      return await changes.run(actor, `rule ${id}`, `changed: ${JSON.stringify(change)}`, async () => {
        let rule: Rule | undefined
        const list = await rewrite((rules) => {
          const old = pick(rules, id)
          const { match = old.match, actions = old.actions, comment = old.comment } = change
          const next = { id, match, actions, comment }
          rule = next
          checkRules([next], '')
          return rules.map((candidate) => (candidate.id === id ? next : candidate))
        })
        return { ...list, rule: rule ?? pick(list.rules, id) }
      })
    },

    async move(id, position, actor) {
      return await changes.run(actor, `rule ${id}`, `moved to place ${position + 1}`, async () => {
        const list = await rewrite((rules) => {
          const rule = pick(rules, id)
          return rules.filter((candidate) => candidate.id !== id).toSpliced(position, 0, rule)
        })
        return { ...list, rule: pick(list.rules, id) }
      })
    },

    async remove(id, actor) {
      return await changes.run(actor, `rule ${id}`, 'removed', async () => {
        return await rewrite((rules) => {
          pick(rules, id)
          return rules.filter((candidate) => candidate.id !== id)
        })
      })
    },

    async replace(revision, wanted, actor) {
      return await changes.run(actor, 'all rules', `put in their place: ${wanted.length} rules`, async () => {
        const bad = wanted.findIndex(({ id }) => id !== undefined && !ID.test(id))
        if (bad !== -1) throw invalid(`rules.${bad}.id`, 'an id has 1 to 64 letters, digits and -')
        const rules = wanted.map(ruleOf)
        if (revision === 'any') return await rewrite(() => rules)
        if (await store(revision, rules)) return (await current()).list
        const now = (await current()).list.revision
        throw new ChangeError('conflict', `the rules have changed: their revision is ${now} now`)
      })
    },
  }
}

function entryOf({ id, match, actions, comment }: Rule): AclEntry {
  return { match, actions, comment: comment === '' ? undefined : comment, where: `rule ${id}` }
}
