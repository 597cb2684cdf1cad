import { createRoute } from '@hono/zod-openapi'
import type { NewToken } from '../../auth/credential-tokens.ts'
import { readGrants } from '../../auth/grant-list.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { requirePasswordForOwn } from './credential.ts'
import { ProblemError } from './problem.ts'
import { body, given, json, nothing, pageOf, refusals } from './route.ts'
import {
  byId,
  newTokenSchema,
  revokedSchema,
  revokeQuery,
  tokenMadeSchema,
  tokenSchema,
  tokensQuery,
  tokensSchema,
} from './schemas.ts'
import { timeOf, tokenMadeView, tokenView } from './views.ts'

const tags = ['tokens']

/** A personal access token. It has no stamp: it outlives a change of the password, and ends when it is revoked. */
export function newTokenOf(
  owner: { account: string; source: string },
  wanted: { name: string; limits?: string[] | undefined; expiresAt?: string | null | undefined },
): NewToken {
  const limits = wanted.limits === undefined ? undefined : readGrants(wanted.limits, 'limits')
  const { name, expiresAt } = wanted
  return { ...owner, name, kind: 'personal', limits, expiresAt: timeOf(expiresAt), stamp: undefined }
}

export function addTokens(router: ApiRouter, { tokens, findAccount, now }: ApiDeps): void {
  const list = createRoute({
    operationId: 'listTokens',
    tags,
    method: 'get',
    path: '/tokens',
    request: { query: tokensQuery },
    responses: { 200: json(tokensSchema, 'Tokens by id'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { limit, last, account, kind } = c.req.valid('query')
    const rows = await tokens.list(given({ account, kind }), { last, limit: limit + 1 })
    const page = pageOf(c, rows, limit, ({ id }) => ['last', id])
    return c.json({ tokens: page.map((row) => tokenView(row, now())) }, 200)
  })

  const create = createRoute({
    operationId: 'createToken',
    tags,
    method: 'post',
    path: '/tokens',
    request: { body: body(newTokenSchema) },
    responses: { 201: json(tokenMadeSchema, 'The token, and its secret for the only time'), ...refusals },
  })
  router.openapi(create, async (c) => {
    const { account, source, ...wanted } = c.req.valid('json')
    requirePasswordForOwn(c.env.caller, account)
    const owner = account === '' ? undefined : await findAccount(account, source)
    if (owner === undefined) {
      const where = source === undefined ? 'no source of users knows' : `${source} does not know`
      throw new ProblemError(404, `${where} an account ${account} that could have tokens`)
    }
    const made = await tokens.create(newTokenOf({ account, source: owner.source }, wanted), c.env.actor)
    return c.json(tokenMadeView(made, now()), 201)
  })

  const revokeAll = createRoute({
    operationId: 'revokeTokens',
    tags,
    method: 'delete',
    path: '/tokens',
    request: { query: revokeQuery },
    responses: { 200: json(revokedSchema, 'How many tokens of the account ended'), ...refusals },
  })
  router.openapi(revokeAll, async (c) => {
    const { account, ...more } = c.req.valid('query')
    return c.json({ revoked: await tokens.revokeAll({ account, ...given(more) }, c.env.actor) }, 200)
  })

  const show = createRoute({
    operationId: 'showToken',
    tags,
    method: 'get',
    path: '/tokens/{id}',
    request: { params: byId },
    responses: { 200: json(tokenSchema, 'The token'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { id } = c.req.valid('param')
    const found = await tokens.find(id)
    if (found === undefined) throw new ProblemError(404, `there is no token ${id}`)
    return c.json(tokenView(found, now()), 200)
  })

  const revoke = createRoute({
    operationId: 'revokeToken',
    tags,
    method: 'delete',
    path: '/tokens/{id}',
    request: { params: byId },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(revoke, async (c) => {
    await tokens.revoke(c.req.valid('param').id, c.env.actor)
    return c.body(null, 204)
  })
}
