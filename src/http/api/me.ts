import { createRoute } from '@hono/zod-openapi'
import { BERTH, invalid } from '../../auth/administration.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { refuseLimited, requirePassword } from './credential.ts'
import { ProblemError } from './problem.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'
import {
  byId,
  meSchema,
  ownPasswordSchema,
  ownTokenSchema,
  pageQuery,
  tokenMadeSchema,
  tokensSchema,
} from './schemas.ts'
import { newTokenOf } from './tokens.ts'
import { tokenMadeView, tokenView } from './views.ts'

const tags = ['me']

/** What every account may do for itself. A token with limits may only ask who it is. */
export function addMe(router: ApiRouter, { accounts, tokens, findAccount, whoIs, now }: ApiDeps): void {
  const me = createRoute({
    operationId: 'whoAmI',
    tags,
    method: 'get',
    path: '/me',
    responses: { 200: json(meSchema, 'The account of the request'), ...refusals },
  })
  router.openapi(me, (c) => {
    const { account, source, admin, token } = c.env.caller
    const credential = token === undefined ? 'password' : token.limited ? 'limited-token' : 'token'
    return c.json({ account, source, admin, credential } as const, 200)
  })

  router.use('/me/*', async (c, next) => {
    refuseLimited(c.env.caller)
    await next()
  })

  const passwd = createRoute({
    operationId: 'changeOwnPassword',
    tags,
    method: 'put',
    path: '/me/password',
    request: { body: body(ownPasswordSchema) },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(passwd, async (c) => {
    const { caller, actor } = c.env
    requirePassword(caller)
    if (caller.source !== BERTH) throw new ProblemError(409, `your password is kept by ${caller.source}, not here`)
    const { oldPassword, newPassword } = c.req.valid('json')
    // A login as any other, so that guesses here wait and are written down as guesses anywhere.
    const proof = await whoIs(loginOf(c.req.url, caller.account, oldPassword), actor.address || undefined)
    if (typeof proof !== 'object') throw invalid('oldPassword', 'the old password is wrong')
    await accounts.changeOwnPassword(caller.account, oldPassword, newPassword, actor)
    return c.body(null, 204)
  })

  const list = createRoute({
    operationId: 'listOwnTokens',
    tags,
    method: 'get',
    path: '/me/tokens',
    request: { query: pageQuery },
    responses: { 200: json(tokensSchema, 'Tokens by id'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { account, source } = c.env.caller
    const { limit, last } = c.req.valid('query')
    const rows = await tokens.list({ account }, { last, limit: limit + 1 })
    // Another source may have an account of the same name.
    const mine = pageOf(c, rows, limit, ({ id }) => ['last', id]).filter((row) => row.source === source)
    return c.json({ tokens: mine.map((row) => tokenView(row, now())) }, 200)
  })

  const create = createRoute({
    operationId: 'createOwnToken',
    tags,
    method: 'post',
    path: '/me/tokens',
    description: 'Needs the password: a token must not make another that outlives it.',
    request: { body: body(ownTokenSchema) },
    responses: { 201: json(tokenMadeSchema, 'The token, and its secret for the only time'), ...refusals },
  })
  router.openapi(create, async (c) => {
    const { account, source } = c.env.caller
    requirePassword(c.env.caller)
    if ((await findAccount(account, source)) === undefined) {
      throw new ProblemError(409, `accounts of ${source} cannot have tokens`)
    }
    const made = await tokens.create(newTokenOf({ account, source }, c.req.valid('json')), c.env.actor)
    return c.json(tokenMadeView(made, now()), 201)
  })

  const revoke = createRoute({
    operationId: 'revokeOwnToken',
    tags,
    method: 'delete',
    path: '/me/tokens/{id}',
    request: { params: byId },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(revoke, async (c) => {
    const { account, source } = c.env.caller
    const { id } = c.req.valid('param')
    const row = await tokens.find(id)
    if (row === undefined || row.account !== account || row.source !== source) {
      throw new ProblemError(404, `you have no token ${id}`)
    }
    await tokens.revoke(id, c.env.actor)
    return c.body(null, 204)
  })
}

function loginOf(url: string, account: string, password: string): Request {
  const credentials = Buffer.from(`${account}:${password}`).toString('base64')
  return new Request(url, { headers: { authorization: `Basic ${credentials}` } })
}
