import { createRoute, z } from '@hono/zod-openapi'
import { answered, ChangeError, notFound } from '../../auth/administration.ts'
import {
  PRUNE_RULE,
  type RetentionRule,
  readRetentionRule,
  type WrittenRetentionRule,
  writtenRule,
} from '../../oci/retention-rule.ts'
import type { Refusal, Retention, RetentionWish } from '../../registry/retention.ts'
import type { RuleChange } from '../../registry/retention-rule-list.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError, served } from './problem.ts'
import { planStream } from './retention-plan.ts'
import {
  byRetentionRule,
  byRetentionRun,
  namedRetentionRuleSchema,
  newRetentionRulesSchema,
  planItemSchema,
  planTotalSchema,
  type RetentionRuleView,
  type RetentionRunView,
  type RetentionWishView,
  retentionChangedSchema,
  retentionRunSchema,
  retentionRunsQuery,
  retentionRunsSchema,
  retentionSchema,
  retentionWishSchema,
} from './retention-schemas.ts'
import { body, given, json, pageOf, refusals, revisionOf } from './route.ts'
import { isoOf, isoOrNull } from './views.ts'

const tags = ['retention']

const NDJSON = 'application/x-ndjson'

const REFUSALS: Record<Refusal, string> = {
  busy: 'a run is under way; wait for its end',
  early: 'the next run is not due',
  'read-only': 'the registry is read-only, or images are still being adopted',
}

export function addRetention(router: ApiRouter, { retention, changes }: ApiDeps): void {
  const ask = (): Retention => served(retention)

  const show = createRoute({
    operationId: 'showRetention',
    tags,
    method: 'get',
    path: '/retention',
    responses: { 200: json(retentionSchema, 'Rules in order, those of the configuration first'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { enabled, intervalMs, expiry } = ask().settings()
    const { revision, rules } = await answered(() => ask().rules.list())
    const last = await answered(() => ask().lastScheduled())
    c.header('ETag', `"${revision}"`)
    const view = {
      ...{ revision, enabled, intervalMs, expiry: { enabled: expiry.enabled, names: [...expiry.names] } },
      rules: rules.map(({ rule, source }) => ({ source, rule: ruleView(rule) })),
      last: last === undefined ? null : runView(last),
    }
    return c.json(view, 200)
  })

  const replace = createRoute({
    operationId: 'replaceRetentionRules',
    tags,
    method: 'put',
    path: '/retention/rules',
    description: 'Puts another list in place of the one with the revision in If-Match; `*` stands for any.',
    request: { headers: z.object({ 'if-match': z.string().optional() }), body: body(newRetentionRulesSchema) },
    responses: { 200: json(retentionChangedSchema, 'The revision of the list now'), ...refusals },
  })
  router.openapi(replace, async (c) => {
    const expected = revisionOf(c.req.valid('header')['if-match'])
    const { rules } = c.req.valid('json')
    const words = `put in their place: ${rules.length} rules`
    const put = async () => done(await answered(() => ask().rules.replace(expected, rules)))
    return c.json({ revision: await changes.run(c.env.actor, 'retention rules', words, put) }, 200)
  })

  const set = createRoute({
    operationId: 'setRetentionRule',
    tags,
    method: 'put',
    path: '/retention/rules/{name}',
    description:
      'Makes a rule, or puts it in the place of the one with that name. `position`: 1 is the first of the API.',
    request: { params: byRetentionRule, body: body(namedRetentionRuleSchema) },
    responses: { 200: json(retentionChangedSchema, 'The revision of the list now'), ...refusals },
  })
  router.openapi(set, async (c) => {
    const { name } = c.req.valid('param')
    const { position, ...rule } = c.req.valid('json')
    const place = position === undefined ? undefined : position - 1
    const make = async () => done(await answered(() => ask().rules.set({ ...rule, name }, place)))
    const words = `set: ${JSON.stringify(rule)}`
    return c.json({ revision: await changes.run(c.env.actor, `retention rule ${name}`, words, make) }, 200)
  })

  const remove = createRoute({
    operationId: 'removeRetentionRule',
    tags,
    method: 'delete',
    path: '/retention/rules/{name}',
    request: { params: byRetentionRule },
    responses: { 200: json(retentionChangedSchema, 'The revision of the list now'), ...refusals },
  })
  router.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    const go = async () => done(await answered(() => ask().rules.remove([name])))
    return c.json({ revision: await changes.run(c.env.actor, `retention rule ${name}`, 'removed', go) }, 200)
  })

  const plan = createRoute({
    operationId: 'planRetention',
    tags,
    method: 'post',
    path: '/retention/plan',
    description:
      'What would be deleted and what would stay, and why: a line of JSON each, and the total as the last one. It changes nothing.',
    request: { body: body(retentionWishSchema) },
    responses: {
      // Without a schema: a type of content with json in its name would have to be one value.
      200: { description: 'application/x-ndjson: RetentionPlanItem in each line, RetentionPlanTotal in the last' },
      ...refusals,
    },
  })
  router.openAPIRegistry.register('RetentionPlanItem', planItemSchema)
  router.openAPIRegistry.register('RetentionPlanTotal', planTotalSchema)
  router.openapi(plan, async (c) => {
    const { all = false, ...asked } = c.req.valid('json')
    const wish = await wishOf(ask(), asked)
    return c.body(planStream(ask().plan(wish), all), 200, { 'Content-Type': NDJSON })
  })

  const start = createRoute({
    operationId: 'startRetention',
    tags,
    method: 'post',
    path: '/retention/runs',
    description: 'Begins a run besides those that happen by themselves.',
    request: { body: body(retentionWishSchema) },
    responses: { 202: json(retentionRunSchema, 'It has begun; ask for it to see how far it is'), ...refusals },
  })
  router.openapi(start, async (c) => {
    const asked = c.req.valid('json')
    const { actor } = c.env
    const wish = await wishOf(ask(), asked)
    const begin = async () => {
      const cause = wish.rule === undefined ? 'asked' : 'prune'
      const begun = await answered(() => ask().start(wish, cause, actor.account))
      if (typeof begun === 'string') throw new ChangeError('conflict', REFUSALS[begun])
      return await run(ask(), begun.id)
    }
    const words = `a run: ${JSON.stringify(given({ repositories: asked.repositories, rule: asked.rule }))}`
    return c.json(await changes.run(actor, 'retention', words, begin), 202)
  })

  const history = createRoute({
    operationId: 'listRetentionRuns',
    tags,
    method: 'get',
    path: '/retention/runs',
    request: { query: retentionRunsQuery },
    responses: { 200: json(retentionRunsSchema, 'Runs, the last ones first'), ...refusals },
  })
  router.openapi(history, async (c) => {
    const { limit, before } = c.req.valid('query')
    const rows = await answered(() => ask().runs({ before, limit: limit + 1 }))
    const page = pageOf(c, rows, limit, ({ id }) => ['before', String(id)])
    return c.json({ runs: page.map(runView) }, 200)
  })

  const one = createRoute({
    operationId: 'showRetentionRun',
    tags,
    method: 'get',
    path: '/retention/runs/{id}',
    request: { params: byRetentionRun },
    responses: { 200: json(retentionRunSchema, 'The run'), ...refusals },
  })
  router.openapi(one, async (c) => c.json(await run(ask(), c.req.valid('param').id), 200))
}

/** @throws ProblemError */
async function wishOf(retention: Retention, { repositories, rule }: RetentionWishView): Promise<RetentionWish> {
  const missing = await answered(() => retention.unknown(repositories ?? []))
  if (missing !== undefined) throw new ProblemError(404, `there is no repository ${missing}`)
  return { repositories, rule: rule === undefined ? undefined : onceOf(rule) }
}

/** A rule for once has the name that no rule of a list can have. @throws ProblemError */
function onceOf(written: WrittenRetentionRule): RetentionRule {
  const { rule, problems } = readRetentionRule({ ...written, name: 'once' })
  if (written.action === 'keep') problems.push({ path: 'action', message: 'a rule for once deletes' })
  const errors = problems.map(({ path, message }) => ({ path: path === '' ? 'rule' : `rule.${path}`, message }))
  if (errors.length > 0) throw new ProblemError(400, errors[0]?.message ?? '', errors)
  return { ...rule, name: PRUNE_RULE }
}

async function run(retention: Retention, id: number): Promise<RetentionRunView> {
  const [found] = await answered(() => retention.runs({ before: id + 1, limit: 1 }))
  if (found === undefined || found.id !== id) throw new ProblemError(404, `there is no run ${id}`)
  return runView(found)
}

/** @throws ChangeError */
function done(change: RuleChange): number {
  switch (change.kind) {
    case 'done':
      return change.revision
    case 'invalid':
      throw new ChangeError('invalid', change.problems[0]?.message ?? '', change.problems)
    case 'stale':
      throw new ChangeError('conflict', `the rules have changed: their revision is ${change.revision} now`)
    case 'unknown':
      if (!change.configured) throw notFound(`rule ${change.name} of retention`)
      throw new ChangeError(
        'conflict',
        `the rule ${change.name} is in the server's configuration, and is changed there`,
      )
    default:
      return change satisfies never
  }
}

function ruleView(rule: RetentionRule): RetentionRuleView {
  const { name, repositories, tags: ofTags, action, ...conditions } = writtenRule(rule)
  return {
    name: name ?? '',
    ...given({ repositories: repositories && [...repositories], tags: ofTags && [...ofTags] }),
    ...given(conditions),
    action: action ?? rule.action,
  }
}

function runView({
  startedAt,
  endedAt,
  error,
  ...counts
}: Awaited<ReturnType<Retention['runs']>>[number]): RetentionRunView {
  return { ...counts, startedAt: isoOf(startedAt), endedAt: isoOrNull(endedAt), error: error ?? null }
}
