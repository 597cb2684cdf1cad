import { createRoute } from '@hono/zod-openapi'
import { answered, ChangeError, notFound } from '../../auth/administration.ts'
import type { ImmutableRule, ImmutableTags } from '../../registry/immutable.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import {
  byRuleName,
  type ImmutableRuleView,
  immutableAnswerSchema,
  immutableRuleSchema,
  immutableRulesSchema,
  immutableTestSchema,
  newImmutableRuleSchema,
} from './limit-schemas.ts'
import { served } from './problem.ts'
import { body, json, nothing, refusals } from './route.ts'
import { isoOrNull } from './views.ts'

const tags = ['limits']

export function addImmutable(router: ApiRouter, { immutable, changes }: ApiDeps): void {
  const ask = (): ImmutableTags => served(immutable)

  const list = createRoute({
    operationId: 'listImmutableRules',
    tags,
    method: 'get',
    path: '/immutable',
    responses: {
      200: json(immutableRulesSchema, 'Rules of tags that do not move; those of the configuration first'),
      ...refusals,
    },
  })
  router.openapi(list, async (c) => {
    const rules = await answered(() => ask().list())
    return c.json({ rules: rules.map(ruleView) }, 200)
  })

  const add = createRoute({
    operationId: 'addImmutableRule',
    tags,
    method: 'post',
    path: '/immutable',
    description: 'From now on tags that match, once pushed, neither move to another manifest nor are deleted.',
    request: { body: body(newImmutableRuleSchema) },
    responses: { 201: json(immutableRuleSchema, 'The rule'), ...refusals },
  })
  router.openapi(add, async (c) => {
    const { name, repositories = [], tags: ofTags = [], comment = '' } = c.req.valid('json')
    const make = async () => {
      const added = await ask().add({ name, repositories, tags: ofTags, comment })
      if (added === 'taken') throw new ChangeError('conflict', `there is a rule ${name} already`)
      return added
    }
    const words = `made: ${JSON.stringify({ repositories, tags: ofTags })}`
    const added = await changes.run(c.env.actor, `immutable tags ${name}`, words, make)
    c.header('Location', `${c.env.basePath}/immutable/${encodeURIComponent(name)}`)
    return c.json(ruleView(added), 201)
  })

  const test = createRoute({
    operationId: 'testImmutable',
    tags,
    method: 'post',
    path: '/immutable/test',
    description: 'Whether a rule protects a tag, be it there or not. It changes nothing.',
    request: { body: body(immutableTestSchema) },
    responses: { 200: json(immutableAnswerSchema, 'The first rule that protects it'), ...refusals },
  })
  router.openapi(test, async (c) => {
    const { repository, tag } = c.req.valid('json')
    const rule = await answered(() => ask().test(repository, tag))
    return c.json({ immutable: rule !== undefined, rule: rule === undefined ? null : ruleView(rule) }, 200)
  })

  const remove = createRoute({
    operationId: 'removeImmutableRule',
    tags,
    method: 'delete',
    path: '/immutable/{name}',
    request: { params: byRuleName },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    await changes.run(c.env.actor, `immutable tags ${name}`, 'removed', async () => {
      const outcome = await ask().remove(name)
      if (outcome === 'unknown') throw notFound(`rule ${name} of immutable tags`)
      if (outcome === 'configured')
        throw new ChangeError('conflict', `the rule ${name} is in the server's configuration, and is removed there`)
    })
    return c.body(null, 204)
  })
}

function ruleView({ createdAt, repositories, tags: ofTags, ...rule }: ImmutableRule): ImmutableRuleView {
  return { ...rule, repositories: [...repositories], tags: [...ofTags], createdAt: isoOrNull(createdAt) }
}
