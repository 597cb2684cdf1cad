import { createRoute, z } from '@hono/zod-openapi'
import { parsePeer } from '../../auth/ip.ts'
import type { Rule } from '../../auth/rule-book.ts'
import { parseScope } from '../../auth/scope-request.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError } from './problem.ts'
import { body, json, nothing, refusals, revisionOf } from './route.ts'
import {
  aclAnswerSchema,
  aclTestSchema,
  byId,
  newRuleSchema,
  newRulesSchema,
  type RuleView,
  ruleChangedSchema,
  ruleChangeSchema,
  ruleSchema,
  rulesSchema,
} from './schemas.ts'

const tags = ['acl']

/** Berth's own list of rules. Its revision is its ETag (RFC 9110 section 8.8.3). */
export function addAcl(router: ApiRouter, { rules, explain }: ApiDeps): void {
  const list = createRoute({
    operationId: 'listRules',
    tags,
    method: 'get',
    path: '/acl',
    responses: { 200: json(rulesSchema, 'All rules in order'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { revision, rules: all } = await rules.list()
    c.header('ETag', `"${revision}"`)
    return c.json({ revision, rules: all.map(ruleView) }, 200)
  })

  const replace = createRoute({
    operationId: 'replaceRules',
    tags,
    method: 'put',
    path: '/acl',
    description: 'Puts another list in place of the one with the revision in If-Match; `*` stands for any.',
    request: { headers: z.object({ 'if-match': z.string().optional() }), body: body(newRulesSchema) },
    responses: { 200: json(rulesSchema, 'The list as it is now'), ...refusals },
  })
  router.openapi(replace, async (c) => {
    const expected = revisionOf(c.req.valid('header')['if-match'])
    const { revision, rules: all } = await rules.replace(expected, c.req.valid('json').rules, c.env.actor)
    c.header('ETag', `"${revision}"`)
    return c.json({ revision, rules: all.map(ruleView) }, 200)
  })

  const add = createRoute({
    operationId: 'addRule',
    tags,
    method: 'post',
    path: '/acl',
    request: { body: body(newRuleSchema) },
    responses: { 201: json(ruleChangedSchema, 'The rule'), ...refusals },
  })
  router.openapi(add, async (c) => {
    const { position, ...wanted } = c.req.valid('json')
    const place = position === undefined ? undefined : position - 1
    const { revision, rule } = await rules.add(wanted, place, c.env.actor)
    c.header('Location', `${c.env.basePath}/acl/${encodeURIComponent(rule.id)}`)
    return c.json({ revision, rule: ruleView(rule) }, 201)
  })

  const test = createRoute({
    operationId: 'testRules',
    tags,
    method: 'post',
    path: '/acl/test',
    description: 'What an account would be granted, and why. It changes nothing.',
    request: { body: body(aclTestSchema) },
    responses: { 200: json(aclAnswerSchema, 'The decision'), ...refusals },
  })
  router.openapi(test, async (c) => {
    const { account, scope: text, service = '', ip, labels } = c.req.valid('json')
    const scope = parseScope(text)
    if (typeof scope === 'string') throw refusal('scope', `${scope}: write TYPE:NAME:ACTION,ACTION`)
    if (scope.actions.includes('')) throw refusal('scope', 'an action is missing: write TYPE:NAME:ACTION,ACTION')
    if (ip !== undefined && parsePeer(ip) === undefined) throw refusal('ip', 'this is no address')
    const { source, granted, rule, trace } = await explain({ account, scope, service, ip, labels })
    const missing = scope.actions.filter((action) => !granted.includes(action))
    return c.json(
      {
        account,
        scope: text,
        asked: [...scope.actions],
        granted: [...granted],
        missing,
        source: source ?? null,
        rule: rule ?? null,
        trace: trace.map((step) => ({
          rule: step.rule,
          comment: step.comment ?? '',
          lacks: step.lacks.map(({ condition, wanted, had }) => ({ condition, wanted, had })),
          actions: [...step.actions],
        })),
      },
      200,
    )
  })

  const show = createRoute({
    operationId: 'showRule',
    tags,
    method: 'get',
    path: '/acl/{id}',
    request: { params: byId },
    responses: { 200: json(ruleSchema, 'The rule'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { id } = c.req.valid('param')
    const found = (await rules.list()).rules.find((rule) => rule.id === id)
    if (found === undefined) throw new ProblemError(404, `there is no rule ${id}`)
    return c.json(ruleView(found), 200)
  })

  const change = createRoute({
    operationId: 'changeRule',
    tags,
    method: 'patch',
    path: '/acl/{id}',
    request: { params: byId, body: body(ruleChangeSchema) },
    responses: { 200: json(ruleChangedSchema, 'The rule as it is now'), ...refusals },
  })
  router.openapi(change, async (c) => {
    const { id } = c.req.valid('param')
    const { position, ...wanted } = c.req.valid('json')
    const hasChange = Object.keys(wanted).length > 0 || position === undefined
    let done = hasChange ? await rules.change(id, wanted, c.env.actor) : undefined
    if (position !== undefined) done = await rules.move(id, position - 1, c.env.actor)
    if (done === undefined) throw new ProblemError(400, 'there is nothing to change')
    return c.json({ revision: done.revision, rule: ruleView(done.rule) }, 200)
  })

  const remove = createRoute({
    operationId: 'removeRule',
    tags,
    method: 'delete',
    path: '/acl/{id}',
    request: { params: byId },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(remove, async (c) => {
    await rules.remove(c.req.valid('param').id, c.env.actor)
    return c.body(null, 204)
  })
}

function ruleView({ id, match, actions, comment }: Rule): RuleView {
  return { id, match, actions: [...actions], comment }
}

function refusal(path: string, message: string): ProblemError {
  return new ProblemError(400, message, [{ path, message }])
}
