import type { EventRow, EventState, Metadata } from '../metadata/metadata.ts'
import { type EventSource, notificationOf } from './events.ts'

export type { EventRow, EventState }

/** An endpoint as an administrator sees it: no path of its URL and no header, which may be secrets. */
export interface EndpointStatus {
  name: string
  /** Scheme and host. */
  origin: string
  disabled: boolean
  waiting: number
  delivered: number
  dead: number
  /** Attempts that failed since one succeeded; undefined where this process delivers nothing. */
  failures: number | undefined
  /** Milliseconds since the epoch. */
  retryAt: number | undefined
}

export interface TestResult {
  accepted: boolean
  status: number | undefined
  text: string
  tookMs: number
}

/** What an administrator may ask of notifications. */
export interface Notifications {
  endpoints(): Promise<EndpointStatus[]>
  /** Newest first. */
  list(
    filter: { endpoint?: string; state?: EventState },
    page: { before?: number | undefined; limit: number },
  ): Promise<EventRow[]>
  /** With the notification as the endpoint gets it. */
  find(id: number): Promise<{ row: EventRow; notification: object } | undefined>
  /**
   * Queues an event that was delivered or given up again. `waiting`: it is in the queue already; `no-endpoint`: the
   * configuration does not have its endpoint.
   */
  redeliver(id: number): Promise<EventRow | 'unknown' | 'waiting' | 'no-endpoint'>
  /** Queues all that were given up for an endpoint again; resolves to how many. Undefined: there is no such endpoint. */
  redeliverDead(endpoint: string): Promise<number | undefined>
  /** Sends an event of the action `test`, now and past the queue. Undefined: there is no such endpoint. */
  test(endpoint: string): Promise<TestResult | undefined>
}

/** Rows of one transaction. */
const PORTION = 500

export function createNotifications(deps: {
  events: Metadata['events']
  endpoints: () => readonly { name: string; url: string; disabled: boolean }[]
  status: (endpoint: string) => { failures: number; retryAt: number | undefined } | undefined
  hurry: (endpoint: string) => void
  /** Sends one notification to a configured endpoint. */
  send: (endpoint: string, notification: object) => Promise<TestResult>
  source: () => EventSource
  now: () => number
  newId: () => string
}): Notifications {
  const { events, now, newId } = deps
  const isKnown = (name: string) => deps.endpoints().some((endpoint) => endpoint.name === name)

  return {
    async endpoints() {
      const counts = await events.counts()
      const count = (endpoint: string, state: EventState) =>
        counts.find((row) => row.endpoint === endpoint && row.state === state)?.rows ?? 0
      return deps.endpoints().map(({ name, url, disabled }) => ({
        name,
        origin: URL.canParse(url) ? new URL(url).origin : '',
        disabled,
        waiting: count(name, 'waiting'),
        delivered: count(name, 'delivered'),
        dead: count(name, 'dead'),
        failures: deps.status(name)?.failures,
        retryAt: deps.status(name)?.retryAt,
      }))
    },

    list: (filter, page) => events.list(filter, page),

    async find(id) {
      const found = await events.find(id)
      if (found === undefined) return undefined
      const { detail: _, ...row } = found
      return { row, notification: notificationOf(found) }
    },

    async redeliver(id) {
      const found = await events.find(id)
      if (found === undefined) return 'unknown'
      if (!isKnown(found.endpoint)) return 'no-endpoint'
      if ((await events.requeue([id], now())) === 0) return 'waiting'
      deps.hurry(found.endpoint)
      const queued = await events.find(id)
      if (queued === undefined) return 'unknown'
      const { detail: _, ...row } = queued
      return row
    },

    async redeliverDead(endpoint) {
      if (!isKnown(endpoint)) return undefined
      let total = 0
      // Those that were given up before: one that is given up again meanwhile must not go round for ever.
      const [newest] = await events.list({ endpoint, state: 'dead' }, { limit: 1 })
      let before = newest === undefined ? 0 : newest.id + 1
      for (;;) {
        const rows = await events.list({ endpoint, state: 'dead' }, { before, limit: PORTION })
        total += await events.requeue(
          rows.map(({ id }) => id),
          now(),
        )
        before = rows.at(-1)?.id ?? 0
        if (rows.length < PORTION) break
      }
      if (total > 0) deps.hurry(endpoint)
      return total
    },

    async test(endpoint) {
      if (!isKnown(endpoint)) return undefined
      return await deps.send(endpoint, testNotification(newId, now(), deps.source()))
    },
  }
}

/** Receivers act on push, pull, mount and delete: one that asks only whether it is heard has an action of its own. */
function testNotification(newId: () => string, at: number, source: EventSource): object {
  return {
    id: newId(),
    timestamp: new Date(at).toISOString(),
    action: 'test',
    target: {},
    request: { id: newId(), method: '', useragent: '' },
    actor: {},
    source,
  }
}
