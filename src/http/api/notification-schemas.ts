import { z } from '@hono/zod-openapi'

/** What the API says of notifications. Times are RFC 3339 in UTC. */
const time = z.iso.datetime()
const name = z.string().max(256)
const state = z.enum(['waiting', 'delivered', 'dead'])

const endpoint = z.object({
  name: z.string(),
  origin: z.string().openapi({ description: 'Scheme and host; the rest of the URL may be a secret' }),
  disabled: z.boolean(),
  waiting: z.number().int(),
  delivered: z.number().int().openapi({ description: 'Of the last day, as far as they are kept' }),
  dead: z.number().int().openapi({ description: 'Given up; they can be redelivered' }),
  failures: z.number().int().nullable().openapi({
    description: 'Failed attempts since one succeeded; null where nothing is delivered now',
  }),
  retryAt: time.nullable(),
})
export const endpointsSchema = z.object({ endpoints: z.array(endpoint) }).openapi('NotificationEndpoints')

export const eventSchema = z
  .object({
    id: z.number().int(),
    event: z.string().openapi({ description: "The notification's own id, which all endpoints see" }),
    endpoint: z.string(),
    at: time,
    action: z.string(),
    repository: z.string(),
    tag: z.string().nullable(),
    digest: z.string().nullable(),
    mediaType: z.string().nullable(),
    state,
    attempts: z.number().int(),
    queuedAt: time,
    triedAt: time.nullable(),
    retryAt: time.nullable(),
    result: z.string().openapi({ description: 'Of the last attempt; empty before the first' }),
  })
  .openapi('NotificationEvent')
export const eventsSchema = z.object({ events: z.array(eventSchema) }).openapi('NotificationEvents')
export const eventDetailSchema = eventSchema
  .extend({
    notification: z.looseObject({}).openapi({ description: 'As the endpoint gets it, in an envelope of its own' }),
  })
  .openapi('NotificationEventDetail')

export const redeliverySchema = z.strictObject({ endpoint: name }).openapi('Redelivery')
export const redeliveredSchema = z.object({ queued: z.number().int() }).openapi('Redelivered')
export const testedSchema = z
  .object({
    accepted: z.boolean(),
    status: z.number().int().nullable().openapi({ description: 'Null where there was no answer' }),
    result: z.string(),
    tookMs: z.number().int(),
  })
  .openapi('NotificationTest')

export const eventsQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: z.coerce.number().int().min(1).optional(),
  endpoint: name.optional(),
  state: state.optional(),
})
export const byEvent = z.object({ id: z.coerce.number().int().min(1) })
export const byEndpoint = z.object({ endpoint: name })

export type EndpointsView = z.infer<typeof endpointsSchema>
export type EventView = z.infer<typeof eventSchema>
export type EventsView = z.infer<typeof eventsSchema>
export type EventDetailView = z.infer<typeof eventDetailSchema>
export type RedeliveredView = z.infer<typeof redeliveredSchema>
export type TestedView = z.infer<typeof testedSchema>
