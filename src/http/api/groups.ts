import { createRoute } from '@hono/zod-openapi'
import type { Group } from '../../auth/groups.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError } from './problem.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'
import {
  byMember,
  byName,
  groupChangeSchema,
  groupSchema,
  groupsSchema,
  membersSchema,
  newGroupSchema,
  pageQuery,
} from './schemas.ts'
import { isoOf } from './views.ts'

const tags = ['groups']

export function addGroups(router: ApiRouter, { groups }: ApiDeps): void {
  const list = createRoute({
    operationId: 'listGroups',
    tags,
    method: 'get',
    path: '/groups',
    request: { query: pageQuery },
    responses: { 200: json(groupsSchema, 'Groups by name'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { limit, last } = c.req.valid('query')
    const rows = await groups.list({ last, limit: limit + 1 })
    return c.json({ groups: pageOf(c, rows, limit, ({ name }) => ['last', name]).map(groupView) }, 200)
  })

  const create = createRoute({
    operationId: 'createGroup',
    tags,
    method: 'post',
    path: '/groups',
    request: { body: body(newGroupSchema) },
    responses: { 201: json(groupSchema, 'The group'), ...refusals },
  })
  router.openapi(create, async (c) => {
    const made = await groups.create(c.req.valid('json'), c.env.actor)
    c.header('Location', `${c.env.basePath}/groups/${encodeURIComponent(made.name)}`)
    return c.json(groupView(made), 201)
  })

  const show = createRoute({
    operationId: 'showGroup',
    tags,
    method: 'get',
    path: '/groups/{name}',
    request: { params: byName },
    responses: { 200: json(groupSchema, 'The group'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { name } = c.req.valid('param')
    const found = await groups.find(name)
    if (found === undefined) throw new ProblemError(404, `there is no group ${name}`)
    return c.json(groupView(found), 200)
  })

  const change = createRoute({
    operationId: 'changeGroup',
    tags,
    method: 'patch',
    path: '/groups/{name}',
    request: { params: byName, body: body(groupChangeSchema) },
    responses: { 200: json(groupSchema, 'The group as it is now'), ...refusals },
  })
  router.openapi(change, async (c) => {
    const changed = await groups.change(c.req.valid('param').name, c.req.valid('json'), c.env.actor)
    return c.json(groupView(changed), 200)
  })

  const remove = createRoute({
    operationId: 'removeGroup',
    tags,
    method: 'delete',
    path: '/groups/{name}',
    request: { params: byName },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(remove, async (c) => {
    await groups.remove(c.req.valid('param').name, c.env.actor)
    return c.body(null, 204)
  })

  const members = createRoute({
    operationId: 'listMembers',
    tags,
    method: 'get',
    path: '/groups/{name}/members',
    request: { params: byName, query: pageQuery },
    responses: { 200: json(membersSchema, 'Names of members'), ...refusals },
  })
  router.openapi(members, async (c) => {
    const { limit, last } = c.req.valid('query')
    const rows = await groups.members(c.req.valid('param').name, { last, limit: limit + 1 })
    return c.json({ members: pageOf(c, rows, limit, (name) => ['last', name]) }, 200)
  })

  const join = createRoute({
    operationId: 'joinGroup',
    tags,
    method: 'put',
    path: '/groups/{name}/members/{user}',
    request: { params: byMember },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(join, async (c) => {
    const { name, user } = c.req.valid('param')
    await groups.join(name, user, c.env.actor)
    return c.body(null, 204)
  })

  const leave = createRoute({
    operationId: 'leaveGroup',
    tags,
    method: 'delete',
    path: '/groups/{name}/members/{user}',
    request: { params: byMember },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(leave, async (c) => {
    const { name, user } = c.req.valid('param')
    await groups.leave(name, user, c.env.actor)
    return c.body(null, 204)
  })
}

function groupView({ name, description, createdAt }: Group) {
  return { name, description, createdAt: isoOf(createdAt) }
}
