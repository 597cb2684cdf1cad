import { createRoute } from '@hono/zod-openapi'
import type { Account } from '../../auth/accounts.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError } from './problem.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'
import {
  byName,
  newRobotSchema,
  pageQuery,
  type RobotView,
  robotChangeSchema,
  robotMadeSchema,
  robotSchema,
  robotsSchema,
  robotTokenSchema,
  tokenMadeSchema,
  tokensSchema,
} from './schemas.ts'
import { robotView, timeOf, tokenMadeView, tokenView } from './views.ts'

const tags = ['robots']

const UNUSED = { lastUsedAt: undefined, tokens: 0, tokensEndAt: undefined }

export function addRobots(router: ApiRouter, { robots, now }: ApiDeps): void {
  async function viewsOf(accounts: readonly Account[]): Promise<RobotView[]> {
    const uses = await robots.uses(accounts)
    return accounts.map((account, index) => robotView(account, uses[index] ?? UNUSED))
  }

  async function viewOf(account: Account): Promise<RobotView> {
    const [use = UNUSED] = await robots.uses([account])
    return robotView(account, use)
  }

  const list = createRoute({
    operationId: 'listRobots',
    tags,
    method: 'get',
    path: '/robots',
    request: { query: pageQuery },
    responses: { 200: json(robotsSchema, 'Robots by name'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { limit, last } = c.req.valid('query')
    const rows = await robots.list({ last, limit: limit + 1 })
    const page = pageOf(c, rows, limit, ({ name }) => ['last', name])
    return c.json({ robots: await viewsOf(page) }, 200)
  })

  const create = createRoute({
    operationId: 'createRobot',
    tags,
    method: 'post',
    path: '/robots',
    description: 'Its name begins with `robot-`, which is added where it is missing.',
    request: { body: body(newRobotSchema) },
    responses: { 201: json(robotMadeSchema, 'The robot, and the secret of its token for the only time'), ...refusals },
  })
  router.openapi(create, async (c) => {
    const wanted = c.req.valid('json')
    const made = await robots.create({ ...wanted, expiresAt: timeOf(wanted.expiresAt) }, c.env.actor)
    c.header('Location', `${c.env.basePath}/robots/${encodeURIComponent(made.robot.name)}`)
    return c.json({ ...tokenMadeView(made.token, now()), robot: await viewOf(made.robot) }, 201)
  })

  const show = createRoute({
    operationId: 'showRobot',
    tags,
    method: 'get',
    path: '/robots/{name}',
    request: { params: byName },
    responses: { 200: json(robotSchema, 'The robot'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { name } = c.req.valid('param')
    const found = await robots.find(name)
    if (found === undefined) throw new ProblemError(404, `there is no robot ${name}`)
    return c.json(await viewOf(found), 200)
  })

  const change = createRoute({
    operationId: 'changeRobot',
    tags,
    method: 'patch',
    path: '/robots/{name}',
    request: { params: byName, body: body(robotChangeSchema) },
    responses: { 200: json(robotSchema, 'The robot as it is now'), ...refusals },
  })
  router.openapi(change, async (c) => {
    const changed = await robots.change(c.req.valid('param').name, c.req.valid('json'), c.env.actor)
    return c.json(await viewOf(changed), 200)
  })

  const remove = createRoute({
    operationId: 'removeRobot',
    tags,
    method: 'delete',
    path: '/robots/{name}',
    request: { params: byName },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(remove, async (c) => {
    await robots.remove(c.req.valid('param').name, c.env.actor)
    return c.body(null, 204)
  })

  const listTokens = createRoute({
    operationId: 'listRobotTokens',
    tags,
    method: 'get',
    path: '/robots/{name}/tokens',
    request: { params: byName, query: pageQuery },
    responses: { 200: json(tokensSchema, 'Tokens by id'), ...refusals },
  })
  router.openapi(listTokens, async (c) => {
    const { limit, last } = c.req.valid('query')
    const rows = await robots.tokens(c.req.valid('param').name, { last, limit: limit + 1 })
    const page = pageOf(c, rows, limit, ({ id }) => ['last', id])
    return c.json({ tokens: page.map((row) => tokenView(row, now())) }, 200)
  })

  const createToken = createRoute({
    operationId: 'createRobotToken',
    tags,
    method: 'post',
    path: '/robots/{name}/tokens',
    request: { params: byName, body: body(robotTokenSchema) },
    responses: { 201: json(tokenMadeSchema, 'The token, and its secret for the only time'), ...refusals },
  })
  router.openapi(createToken, async (c) => {
    const { name, expiresAt } = c.req.valid('json')
    const wanted = { name, expiresAt: timeOf(expiresAt) }
    const made = await robots.addToken(c.req.valid('param').name, wanted, c.env.actor)
    return c.json(tokenMadeView(made, now()), 201)
  })
}
