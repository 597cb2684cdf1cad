import { createRoute } from '@hono/zod-openapi'
import { notFound } from '../../auth/administration.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { requirePasswordForOwn } from './credential.ts'
import { ProblemError } from './problem.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'
import {
  byName,
  newUserSchema,
  ownTokenSchema,
  pageQuery,
  passwordSchema,
  tokenMadeSchema,
  tokensSchema,
  userChangeSchema,
  userDetailSchema,
  userSchema,
  usersSchema,
} from './schemas.ts'
import { newTokenOf } from './tokens.ts'
import { tokenMadeView, tokenView, userView } from './views.ts'

const tags = ['users']

export function addUsers(router: ApiRouter, { accounts, tokens, now }: ApiDeps): void {
  async function user(name: string) {
    const found = await accounts.find(name)
    if (found === undefined) throw notFound(`user ${name}`)
    return found
  }

  const list = createRoute({
    operationId: 'listUsers',
    tags,
    method: 'get',
    path: '/users',
    request: { query: pageQuery },
    responses: { 200: json(usersSchema, 'Users by name'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { limit, last } = c.req.valid('query')
    const rows = await accounts.list({ last, limit: limit + 1 })
    return c.json({ users: pageOf(c, rows, limit, ({ name }) => ['last', name]).map(userView) }, 200)
  })

  const create = createRoute({
    operationId: 'createUser',
    tags,
    method: 'post',
    path: '/users',
    request: { body: body(newUserSchema) },
    responses: { 201: json(userSchema, 'The user'), ...refusals },
  })
  router.openapi(create, async (c) => {
    const made = await accounts.create(c.req.valid('json'), c.env.actor)
    c.header('Location', `${c.env.basePath}/users/${encodeURIComponent(made.name)}`)
    return c.json(userView(made), 201)
  })

  const show = createRoute({
    operationId: 'showUser',
    tags,
    method: 'get',
    path: '/users/{name}',
    request: { params: byName },
    responses: { 200: json(userDetailSchema, 'The user, with its groups'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const found = await user(c.req.valid('param').name)
    return c.json({ ...userView(found), groups: found.groups }, 200)
  })

  const change = createRoute({
    operationId: 'changeUser',
    tags,
    method: 'patch',
    path: '/users/{name}',
    request: { params: byName, body: body(userChangeSchema) },
    responses: { 200: json(userSchema, 'The user as it is now'), ...refusals },
  })
  router.openapi(change, async (c) => {
    const { name } = c.req.valid('param')
    const wanted = c.req.valid('json')
    if (wanted.password !== undefined) requirePasswordForOwn(c.env.caller, name)
    const changed = await accounts.change(name, wanted, c.env.actor)
    return c.json(userView(changed), 200)
  })

  const remove = createRoute({
    operationId: 'removeUser',
    tags,
    method: 'delete',
    path: '/users/{name}',
    request: { params: byName },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(remove, async (c) => {
    await accounts.remove(c.req.valid('param').name, c.env.actor)
    return c.body(null, 204)
  })

  const passwd = createRoute({
    operationId: 'setPassword',
    tags,
    method: 'put',
    path: '/users/{name}/password',
    description: 'The first administrator is made again if it is missing.',
    request: { params: byName, body: body(passwordSchema) },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(passwd, async (c) => {
    const { name } = c.req.valid('param')
    requirePasswordForOwn(c.env.caller, name)
    if (!(await accounts.setPassword(name, c.req.valid('json').password, c.env.actor))) {
      throw new ProblemError(404, `there is no user ${name}`)
    }
    return c.body(null, 204)
  })

  const listTokens = createRoute({
    operationId: 'listUserTokens',
    tags,
    method: 'get',
    path: '/users/{name}/tokens',
    request: { params: byName, query: pageQuery },
    responses: { 200: json(tokensSchema, 'Tokens by id'), ...refusals },
  })
  router.openapi(listTokens, async (c) => {
    const { limit, last } = c.req.valid('query')
    const { name } = await user(c.req.valid('param').name)
    const rows = await tokens.list({ account: name }, { last, limit: limit + 1 })
    const page = pageOf(c, rows, limit, ({ id }) => ['last', id])
    return c.json({ tokens: page.map((row) => tokenView(row, now())) }, 200)
  })

  const createToken = createRoute({
    operationId: 'createUserToken',
    tags,
    method: 'post',
    path: '/users/{name}/tokens',
    request: { params: byName, body: body(ownTokenSchema) },
    responses: { 201: json(tokenMadeSchema, 'The token, and its secret for the only time'), ...refusals },
  })
  router.openapi(createToken, async (c) => {
    const { name: account, source } = await user(c.req.valid('param').name)
    requirePasswordForOwn(c.env.caller, account)
    const token = newTokenOf({ account, source }, c.req.valid('json'))
    const made = await tokens.create(token, c.env.actor, { check: () => user(account) })
    return c.json(tokenMadeView(made, now()), 201)
  })
}
