import type { Metadata, RetentionCandidate, TagProtection } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { isNewer } from '../oci/retention-rule.ts'
import { compileSelector } from '../oci/selector.ts'
import { createIdSet, type IdSet } from './id-set.ts'
import type { ImmutableTags } from './immutable.ts'
import type { Pace } from './pace.ts'
import type { RepositoryRules, RetentionItem, RuleSet, Verdict } from './retention-engine.ts'
import { endOf, type ImageExpiries } from './retention-expiry.ts'

/** What is to become of one tag, or of a manifest that has none. */
export interface PlanItem extends Verdict {
  repository: string
  kind: 'tag' | 'manifest'
  /** The tag, or the manifest's digest. */
  name: string
  digest: Digest
  manifestId: number
  pushedAt: number
  usedAt: number
}

/** Ends what is said of one repository. */
export interface PlanEnd {
  kind: 'end'
  repository: string
  /** Manifests of which all tags go, and those without a tag that go. */
  losing: IdSet
  tags: number
  kept: number
}

/** Rows of one look: whoever is served waits while the thread decides about them. */
const PAGE = 250

/** Runs the look at one page: see `Pace`. */
type Turn = Pace['turn']

export interface Planner {
  /** Every tag, and every manifest without one that a rule could speak of: what is to become of it, and why. */
  plan(repository: string, rules: RuleSet, turn: Turn, order?: PlanOrder): AsyncGenerator<PlanItem | PlanEnd>
}

/**
 * `newest last`: the newest deletion comes at the end, so that whatever changes meanwhile it is what stays. `by name`: tags, then
 * manifests without one, each in the order of bytes, for people to read; what stays is found out beforehand.
 */
export type PlanOrder = 'newest last' | 'by name'

/**
 * Decides about one repository page by page, in memory that does not grow with it: rules that count see all of it first. Nothing is changed here.
 *
 * The newest deletion of each kind waits until it is known whether anything stays: a rule leaves a repository its newest tag (or,
 * where it has none, its newest manifest) unless it says that it may empty it.
 */
export function createPlanner(deps: {
  metadata: Pick<Metadata, 'retention' | 'pulls'>
  immutable: Pick<ImmutableTags, 'of'>
  expiries: ImageExpiries
  now: () => number
}): Planner {
  const { metadata, immutable, expiries, now } = deps
  const { retention, pulls } = metadata

  async function* tagsOf(repository: string, rules: RepositoryRules, turn: Turn): AsyncGenerator<Item[]> {
    for (let last: string | undefined; ; ) {
      const { page, items } = await turn(async () => {
        const page = await retention.tags(repository, { last, limit: PAGE })
        return { page, items: await itemsOf(repository, rules, 'tag', page) }
      })
      if (items.length > 0) yield items
      last = page.at(-1)?.name
      if (page.length < PAGE) return
    }
  }

  async function* untaggedOf(repository: string, rules: RepositoryRules, turn: Turn): AsyncGenerator<Item[]> {
    if (!rules.needsUntagged) return
    for (let last: string | undefined; ; ) {
      const { items, next } = await turn(async () => {
        const { manifests, next } = await retention.untagged(repository, { last, limit: PAGE })
        const page = manifests.map((row) => ({ ...row, name: row.digest }))
        return { items: await itemsOf(repository, rules, 'manifest', page), next }
      })
      if (items.length > 0) yield items
      if (next === undefined) return
      last = next
    }
  }

  async function itemsOf(
    repository: string,
    rules: RepositoryRules,
    kind: Item['kind'],
    page: readonly (RetentionCandidate & { name: string })[],
  ): Promise<Item[]> {
    if (page.length === 0) return []
    const ends = rules.needsExpiry ? await expiries.of(repository, page) : undefined
    const used = rules.needsPulls ? await usesOf(repository, kind, page) : undefined
    return page.map(({ name, digest, manifestId, pushedAt }) => {
      const expiry = ends?.get(manifestId)
      return {
        ...{ kind, name, digest, manifestId, pushedAt },
        usedAt: Math.max(pushedAt, used?.(name, digest) ?? 0),
        expiresAt: expiry === undefined ? undefined : endOf(expiry, pushedAt),
      }
    })
  }

  /** A pull by digest counts for the tags of the manifest, too: clusters ask so. What was never pulled was, as far as is known, when the counting began. */
  async function usesOf(repository: string, kind: Item['kind'], page: readonly { name: string; digest: Digest }[]) {
    const digests = [...new Set(page.map(({ digest }) => digest))]
    const began = await pulls.since()
    const byDigest = new Map((await pulls.ofManifests(repository, digests)).map((row) => [row.digest, row.lastAt]))
    const names = kind === 'tag' ? page.map(({ name }) => name) : []
    const byTag = new Map((await pulls.ofTags(repository, names)).map((row) => [row.tag, row.lastAt]))
    return (name: string, digest: Digest) => Math.max(byTag.get(name) ?? began, byDigest.get(digest) ?? began)
  }

  return {
    async *plan(repository, ruleSet, turn, order = 'newest last') {
      const rules = ruleSet.of(repository)
      if (rules === undefined) return
      if (rules.needsRanks) {
        for (const pages of [tagsOf, untaggedOf]) {
          for await (const page of pages(repository, rules, turn)) for (const item of page) rules.rank(item)
        }
      }
      const at = now()
      const ruleOf = protectionOf(await immutable.of(repository))
      const [losing, staying] = [createIdSet(), createIdSet()]
      const counts = { tag: { seen: 0, kept: 0 }, manifest: { seen: 0, kept: 0 } }
      const held: Partial<Record<Item['kind'], PlanItem>> = {}
      const decide = (item: Item) => guarded(item, rules.decide(item, at), ruleOf)
      /** What stays because it is the last, found out beforehand: as a rule the first page tells that something stays anyhow. */
      const findLast = async (): Promise<Pick<Item, 'kind' | 'name'>> => {
        for (const pages of [tagsOf, untaggedOf]) {
          let newest: Item | undefined
          for await (const page of pages(repository, rules, turn)) {
            for (const item of page) {
              const { action, mayEmpty } = decide(item)
              if (action === 'keep') return NOTHING
              if (!mayEmpty && (newest === undefined || isNewer(item, newest))) newest = item
            }
          }
          if (newest !== undefined) return newest
        }
        return NOTHING
      }
      const last = order === 'by name' ? await findLast() : undefined
      const settle = (item: PlanItem): PlanItem => {
        if (item.action === 'keep') counts[item.kind].kept++
        const set = item.action === 'keep' ? staying : losing
        set.add(item.manifestId)
        return item
      }

      for (const pages of [tagsOf, untaggedOf]) {
        for await (const page of pages(repository, rules, turn)) {
          for (const item of page) {
            counts[item.kind].seen++
            const verdict = decide(item)
            const { expiresAt: _, ...planned } = { repository, ...item, ...verdict }
            if (verdict.action === 'keep' || verdict.mayEmpty) {
              yield settle(planned)
              continue
            }
            if (last !== undefined) {
              const isLast = item.kind === last.kind && item.name === last.name
              yield settle(isLast ? spared(planned) : planned)
              continue
            }
            const before = held[item.kind]
            if (before === undefined) {
              held[item.kind] = planned
            } else {
              const [newer, older] = isNewer(planned, before) ? [planned, before] : [before, planned]
              held[item.kind] = newer
              yield settle(older)
            }
          }
        }
      }
      // Manifests without a tag only count where there is no tag at all.
      const hasTag = counts.tag.kept > 0
      if (held.tag !== undefined) yield settle(hasTag ? held.tag : spared(held.tag))
      if (held.manifest !== undefined) {
        const isLast = counts.tag.kept === 0 && counts.manifest.kept === 0
        yield settle(isLast ? spared(held.manifest) : held.manifest)
      }
      const lost = createIdSet()
      for (const id of losing) if (!staying.has(id)) lost.add(id)
      yield { kind: 'end', repository, losing: lost, tags: counts.tag.seen, kept: counts.tag.kept }
    },
  }
}

type Item = RetentionItem & { manifestId: number }

const NOTHING = { kind: 'tag', name: '' } as const

/** The rule of immutable tags that has the tag; as it is asked, in whatever order. */
export function protectionOf(protections: readonly TagProtection[]): (tag: string) => string | undefined {
  const compiled = protections.map(({ rule, tags }) => ({ rule, tags: compileSelector(tags) }))
  return (tag) => compiled.find(({ tags }) => tags.matches(tag))?.rule
}

function guarded(item: Item, verdict: Verdict, ruleOf: (tag: string) => string | undefined): Verdict {
  if (verdict.action === 'keep' || item.kind === 'manifest') return verdict
  const rule = ruleOf(item.name)
  if (rule === undefined) return verdict
  return stays(verdict, `immutable by the rule ${rule}`)
}

function spared(item: PlanItem): PlanItem {
  const what = item.kind === 'tag' ? 'tag' : 'manifest'
  return { ...item, ...stays(item, `the newest ${what} stays, or the repository would be empty`) }
}

function stays({ rule }: Verdict, reason: string): Verdict {
  return { action: 'keep', rule: undefined, reason, inspite: rule, mayEmpty: false }
}
