import type { Metadata, RetentionCause, RetentionCounts, RetentionRun, RetentionStep } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { RetentionRule } from '../oci/retention-rule.ts'
import type { EventCause, Events } from './events.ts'
import type { ImmutableTags } from './immutable.ts'
import type { Manifests } from './manifests.ts'
import { createPaces, createTraffic, GROWING, HURRIED, type PaceClock, type Traffic } from './pace.ts'
import { StoppedError } from './rate.ts'
import { compileRules, type RuleSet } from './retention-engine.ts'
import { type PlanItem, type Planner, protectionOf } from './retention-plan.ts'
import { EXPIRY, type RetentionRules } from './retention-rule-list.ts'
import { weigh } from './retention-weight.ts'

/** What a look is for: all repositories or some, by all rules or by one that is given for once. */
export interface RetentionWish {
  /** Undefined: every one. */
  repositories: readonly string[] | undefined
  /** In the place of the rules that delete; those that keep come before it. */
  rule: RetentionRule | undefined
}

export interface RetentionTotals {
  repositories: number
  /** Tags that go, and those that stay. */
  tags: number
  kept: number
  manifests: number
  bytes: number
  /** False: bytes are at least so many. */
  exact: boolean
}

export type RetentionLine = { kind: 'item'; item: PlanItem } | { kind: 'total'; total: RetentionTotals }

export interface Retention {
  rules: RetentionRules
  /** Whether it happens by itself, how often, and what images may say of their own end. */
  settings(): RetentionSettings
  /** The first of these that is not there. */
  unknown(repositories: readonly string[]): Promise<string | undefined>
  /** What would happen, and why, repository by repository and tag by tag in the order of their names; the total comes last. Nothing is changed. */
  plan(wish: RetentionWish): AsyncGenerator<RetentionLine>
  /** Does it. Resolves when it has begun. `early`: a scheduled run is not due. */
  start(
    wish: RetentionWish,
    cause: RetentionCause,
    actor: string,
  ): Promise<{ id: number; ended: Promise<RetentionEnd> } | Refusal>
  runs(page: { before?: number | undefined; limit: number }): Promise<RetentionRun[]>
  lastScheduled(): Promise<RetentionRun | undefined>
  /** No run begins any more; one that is under way ends after the portion that it has in hand. */
  stop(): Promise<void>
}

export type Refusal = 'busy' | 'early' | 'read-only'

export interface RetentionSettings {
  enabled: boolean
  intervalMs: number
  expiry: { enabled: boolean; names: readonly string[] }
}

export type RetentionEnd = RetentionCounts & { state: RetentionRun['state']; error: unknown }

/** Deletions of one transaction: other writers wait for it. */
const PORTION = 100
const REPOSITORIES = 500
/** Milliseconds without a sign after which a run is taken for dead. */
const SILENCE = 10 * 60_000
/** After which a run gives one. */
const SIGN = 60_000

export function createRetention(deps: {
  metadata: Metadata
  rules: RetentionRules
  planner: Planner
  immutable: Pick<ImmutableTags, 'of'>
  manifests: Pick<Manifests, 'forget'>
  events: Events
  onFreed: (digests: readonly Digest[]) => void
  /** Writes what was pulled a moment ago. */
  flushPulls: () => Promise<void>
  settings: () => RetentionSettings
  isReadOnly: () => boolean
  /** Of a run that did something, or failed. */
  onEnd: (end: RetentionEnd) => void
  now: () => number
  newId: () => string
  /** Clients that are served meanwhile, who must not notice. */
  traffic?: Traffic
  clock?: PaceClock
}): Retention {
  const {
    metadata,
    rules,
    planner,
    immutable,
    manifests,
    events,
    onFreed,
    flushPulls,
    settings,
    isReadOnly,
    onEnd,
    now,
    newId,
    traffic = createTraffic(),
    clock,
  } = deps
  const { retention } = metadata
  const paceOf = createPaces(traffic, clock)
  let stopping = false
  let running: Promise<unknown> = Promise.resolve()

  async function ruleSetOf(wish: RetentionWish): Promise<RuleSet> {
    await flushPulls()
    const all = (await rules.list()).rules.map(({ rule }) => rule)
    if (wish.rule !== undefined) return compileRules([...all.filter(({ action }) => action === 'keep'), wish.rule])
    return compileRules(settings().expiry.enabled ? [...all, EXPIRY] : all)
  }

  async function* repositoriesOf({ repositories }: RetentionWish): AsyncGenerator<string> {
    if (repositories !== undefined) {
      yield* [...new Set(repositories)].sort()
      return
    }
    for (let last: string | undefined; ; ) {
      const page = await metadata.repositories.list({ last, limit: REPOSITORIES })
      yield* page
      last = page.at(-1)
      if (page.length < REPOSITORIES) return
    }
  }

  /** One transaction; what is immutable by now is left alone. */
  async function takePortion(
    repository: string,
    batch: string,
    portion: readonly PlanItem[],
    counts: RetentionCounts,
  ): Promise<void> {
    const ruleOf = protectionOf(await immutable.of(repository))
    const allowed = portion.filter(({ kind, name }) => kind === 'manifest' || ruleOf(name) === undefined)
    const steps = allowed.map((item) => stepOf(item))
    if (steps.length > 0) {
      const taken = await retention.take(repository, steps, { now: now(), batch })
      const gone = steps.filter((_, index) => taken.outcomes[index] === 'deleted')
      manifests.forget(repository, [...gone.map(({ name }) => name), ...taken.buried])
      onFreed(taken.freed)
      events.queued(gone.flatMap((step) => [...step.events, ...step.manifestEvents]))
      counts.tags += gone.filter(({ kind }) => kind === 'tag').length
      counts.manifests += taken.buried.length
      counts.bytes += taken.bytes
      counts.skipped -= gone.length
    }
    counts.skipped += portion.length
  }

  function stepOf({ repository, kind, name, digest, pushedAt, mayEmpty, rule = '' }: PlanItem): RetentionStep {
    const actor = `retention:${rule}`
    const cause = (): EventCause => ({
      actor,
      base: '',
      request: { id: newId(), addr: undefined, host: undefined, method: 'DELETE', useragent: 'berth retention' },
    })
    const ofManifest = events.of('delete', { repository, digest }, cause)
    const step = { kind, name, digest, pushedAt, mayEmpty, actor }
    if (kind === 'manifest') return { ...step, events: ofManifest, manifestEvents: [] }
    return { ...step, events: events.of('delete', { repository, tag: name }, cause), manifestEvents: ofManifest }
  }

  async function perform(id: number, wish: RetentionWish, effort: Parameters<typeof paceOf>[0]): Promise<RetentionEnd> {
    const counts: RetentionCounts = { repositories: 0, tags: 0, manifests: 0, bytes: 0, skipped: 0 }
    const finish = async (state: RetentionRun['state'], error: unknown): Promise<RetentionEnd> => {
      const text = error === undefined ? undefined : error instanceof Error ? error.message : String(error)
      await retention.end(id, { ...counts, state, error: text, now: now() }).catch(() => {})
      const end = { ...counts, state, error }
      onEnd(end)
      return end
    }
    const pace = paceOf(effort)
    let signed = now()
    const sign = async () => {
      signed = now()
      await retention.progress(id, counts, signed)
    }
    const turn = async <T>(work: () => Promise<T>): Promise<T> => {
      if (stopping) throw new StoppedError()
      const done = await pace.turn(work)
      if (Math.abs(now() - signed) >= SIGN) await sign()
      return done
    }
    try {
      const ruleSet = await ruleSetOf(wish)
      for await (const repository of repositoriesOf(wish)) {
        if (stopping) return await finish('stopped', undefined)
        const batch = newId()
        let portion: PlanItem[] = []
        const flush = async () => {
          const steps = portion
          portion = []
          if (steps.length === 0) return
          if (isReadOnly()) throw new Error('the registry is read-only by now')
          await takePortion(repository, batch, steps, counts)
          await sign()
        }
        for await (const line of planner.plan(repository, ruleSet, turn)) {
          if (line.kind === 'end' || line.action === 'keep') continue
          portion.push(line)
          if (portion.length < PORTION) continue
          await flush()
          if (stopping) return await finish('stopped', undefined)
        }
        await flush()
        counts.repositories++
      }
      return await finish('done', undefined)
    } catch (error) {
      return error instanceof StoppedError ? await finish('stopped', undefined) : await finish('failed', error)
    }
  }

  return {
    rules,
    settings,

    async unknown(repositories) {
      for (const name of repositories) if (!(await metadata.repositories.exists(name))) return name
      return undefined
    },

    async *plan(wish) {
      const ruleSet = await ruleSetOf(wish)
      const pace = paceOf(HURRIED)
      const total: RetentionTotals = { repositories: 0, tags: 0, kept: 0, manifests: 0, bytes: 0, exact: true }
      for await (const repository of repositoriesOf(wish)) {
        total.repositories++
        for await (const line of planner.plan(repository, ruleSet, pace.turn, 'by name')) {
          if (line.kind !== 'end') {
            yield { kind: 'item', item: line }
            continue
          }
          total.tags += line.tags - line.kept
          total.kept += line.kept
          if (line.losing.size === 0) continue
          const weight = await weigh(retention, repository, line.losing)
          total.manifests += weight.manifests
          total.bytes += weight.bytes
          total.exact &&= weight.exact
        }
      }
      yield { kind: 'total', total }
    },

    async start(wish, cause, actor) {
      if (isReadOnly()) return 'read-only'
      if (stopping) return 'busy'
      const time = now()
      const dueBefore = cause === 'schedule' ? time - settings().intervalMs : undefined
      const begun = await retention.begin({ cause, actor, now: time, seenAfter: time - SILENCE, dueBefore })
      if (typeof begun === 'string') return begun
      // Nobody waits for what happens by itself.
      const ended = perform(begun.id, wish, cause === 'schedule' ? GROWING : HURRIED)
      running = ended
      return { id: begun.id, ended }
    },

    runs: (page) => retention.runs(page),
    lastScheduled: () => retention.lastScheduled(),

    async stop() {
      stopping = true
      await running
    },
  }
}
