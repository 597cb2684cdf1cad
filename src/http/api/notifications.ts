import { createRoute } from '@hono/zod-openapi'
import { answered, ChangeError } from '../../auth/administration.ts'
import type { EventRow, Notifications } from '../../registry/notifications.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import {
  byEndpoint,
  byEvent,
  type EventView,
  endpointsSchema,
  eventDetailSchema,
  eventSchema,
  eventsQuery,
  eventsSchema,
  redeliveredSchema,
  redeliverySchema,
  testedSchema,
} from './notification-schemas.ts'
import { served } from './problem.ts'
import { body, given, json, pageOf, refusals } from './route.ts'
import { isoOf, isoOrNull } from './views.ts'

const tags = ['notifications']

export function addNotifications(router: ApiRouter, { notifications, changes }: ApiDeps): void {
  const ask = (): Notifications => served(notifications, 'no registry runs here, and so nobody is notified')

  const listEndpoints = createRoute({
    operationId: 'listNotificationEndpoints',
    tags,
    method: 'get',
    path: '/notifications/endpoints',
    responses: { 200: json(endpointsSchema, 'Endpoints, in the order of the configuration'), ...refusals },
  })
  router.openapi(listEndpoints, async (c) => {
    const found = await answered(() => ask().endpoints())
    const endpoints = found.map(({ failures, retryAt, ...rest }) => ({
      ...rest,
      failures: failures ?? null,
      retryAt: isoOrNull(retryAt),
    }))
    return c.json({ endpoints }, 200)
  })

  const test = createRoute({
    operationId: 'testNotificationEndpoint',
    tags,
    method: 'post',
    path: '/notifications/endpoints/{endpoint}/test',
    description: 'Sends an event of the action `test` now, past the queue, and tells what became of it.',
    request: { params: byEndpoint },
    responses: { 200: json(testedSchema, 'What the endpoint answered'), ...refusals },
  })
  router.openapi(test, async (c) => {
    const { endpoint } = c.req.valid('param')
    const known = ask()
    const send = async () => {
      const result = await known.test(endpoint)
      if (result === undefined) throw noEndpoint(endpoint)
      return result
    }
    // Prepared: an endpoint that takes its time must not keep the changes of others waiting.
    const { accepted, status, text, tookMs } = await changes.prepared(
      c.env.actor,
      `notifications of ${endpoint}`,
      'a test was sent',
      send,
      async (result) => result,
    )
    return c.json({ accepted, status: status ?? null, result: text, tookMs }, 200)
  })

  const list = createRoute({
    operationId: 'listNotificationEvents',
    tags,
    method: 'get',
    path: '/notifications/events',
    request: { query: eventsQuery },
    responses: { 200: json(eventsSchema, 'Events on their way to an endpoint each, the newest first'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { limit, before, endpoint, state } = c.req.valid('query')
    const rows = await answered(() => ask().list(given({ endpoint, state }), { before, limit: limit + 1 }))
    const page = pageOf(c, rows, limit, ({ id }) => ['before', String(id)])
    return c.json({ events: page.map(eventView) }, 200)
  })

  const show = createRoute({
    operationId: 'showNotificationEvent',
    tags,
    method: 'get',
    path: '/notifications/events/{id}',
    request: { params: byEvent },
    responses: { 200: json(eventDetailSchema, 'The event, with the notification'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { id } = c.req.valid('param')
    const found = await answered(() => ask().find(id))
    if (found === undefined) throw noEvent(id)
    return c.json({ ...eventView(found.row), notification: { ...found.notification } }, 200)
  })

  const redeliver = createRoute({
    operationId: 'redeliverNotificationEvent',
    tags,
    method: 'post',
    path: '/notifications/events/{id}/redeliver',
    description:
      'Queues an event that was delivered or given up again, at its old place: before those that came later.',
    request: { params: byEvent },
    responses: { 202: json(eventSchema, 'The event, which waits now'), ...refusals },
  })
  router.openapi(redeliver, async (c) => {
    const { id } = c.req.valid('param')
    const known = ask()
    const row = await changes.run(c.env.actor, `notification ${id}`, 'redelivered', async () => {
      const outcome = await known.redeliver(id)
      if (outcome === 'unknown') throw noEvent(id)
      if (outcome === 'waiting') throw new ChangeError('conflict', `the event ${id} waits for its delivery already`)
      if (outcome === 'no-endpoint') {
        throw new ChangeError('conflict', `the endpoint of the event ${id} is not in the configuration`)
      }
      return outcome
    })
    return c.json(eventView(row), 202)
  })

  const redeliverDead = createRoute({
    operationId: 'redeliverNotifications',
    tags,
    method: 'post',
    path: '/notifications/redeliver',
    description: 'Queues all events that were given up for an endpoint again.',
    request: { body: body(redeliverySchema) },
    responses: { 202: json(redeliveredSchema, 'How many there were'), ...refusals },
  })
  router.openapi(redeliverDead, async (c) => {
    const { endpoint } = c.req.valid('json')
    const known = ask()
    const asked = `notifications of ${endpoint}`
    const queued = await changes.run(c.env.actor, asked, 'those that were given up are redelivered', async () => {
      const found = await known.redeliverDead(endpoint)
      if (found === undefined) throw noEndpoint(endpoint)
      return found
    })
    return c.json({ queued }, 202)
  })
}

function noEndpoint(name: string): ChangeError {
  return new ChangeError('not-found', `there is no endpoint ${name} in the configuration`)
}

function noEvent(id: number): ChangeError {
  return new ChangeError('not-found', `there is no event ${id}`)
}

function eventView(row: EventRow): EventView {
  const { id, event, endpoint, action, repository, state, attempts, result } = row
  return {
    ...{ id, event, endpoint, at: isoOf(row.at), action, repository },
    ...{ tag: row.tag ?? null, digest: row.digest ?? null, mediaType: row.mediaType ?? null },
    ...{ state, attempts, queuedAt: isoOf(row.queuedAt) },
    ...{ triedAt: isoOrNull(row.triedAt), retryAt: isoOrNull(row.retryAt), result },
  }
}
