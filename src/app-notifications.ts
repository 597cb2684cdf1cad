import { hostname } from 'node:os'
import type { Clock } from './app-clock.ts'
import type { Config } from './config/config.ts'
import { type Delivery, startDelivery } from './jobs/deliver-events.ts'
import type { DeliveryCounters } from './jobs/delivery-queue.ts'
import { postEvent } from './jobs/post-event.ts'
import type { Metadata, NewEvent } from './metadata/metadata.ts'
import { createEvents, type Events, envelopeOf } from './registry/events.ts'
import { createNotifications, type Notifications } from './registry/notifications.ts'
import { createPullQueue } from './registry/pull-events.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** Everything of notifications that outlives a change of the configuration. */
export interface NotificationParts {
  events: Events
  notifications: Notifications
  /** Removes what was delivered or given up long ago; it happens by itself every minute. */
  prune(): Promise<void>
  /** After another configuration is in force. */
  reconfigure(): Promise<void>
  close(): Promise<void>
}

/**
 * `delivers`: whether this process is the server. A command that opens the data for a moment sends nothing, and leaves the queues of
 * endpoints that it was not told of as they are.
 */
export async function openNotifications(
  deps: Clock & {
    metadata: Metadata
    config: () => Pick<Config, 'notifications' | 'http'>
    delivers: boolean
    metrics: Metrics
    log: Log
  },
): Promise<NotificationParts> {
  const { metadata, config, now, newId, log } = deps
  const endpoints = () => config().notifications.endpoints
  const counters = createCounters(deps.metrics, metadata.events, () => endpoints().map(({ name }) => name))
  const instanceID = newId()
  const source = () => ({ addr: addressOf(config().http.listen), instanceID })
  const delivery: Delivery | undefined = deps.delivers
    ? await startDelivery({
        events: metadata.events,
        endpoints: endpoints(),
        post: postEvent,
        counters,
        log,
        now,
        after(ms, then) {
          const timer = setTimeout(then, ms)
          return () => clearTimeout(timer)
        },
      })
    : undefined
  const onQueued = (events: readonly NewEvent[], each = 1) => {
    counters.queued(events, each)
    delivery?.wake()
  }
  const pulls = createPullQueue({ events: metadata.events, onQueued, log })
  return {
    events: createEvents({
      rules: () => config().notifications,
      source,
      now,
      newId,
      onQueued,
      onPull: pulls.add,
      isFull: (endpoint) => delivery?.isFull(endpoint) ?? false,
    }),
    notifications: createNotifications({
      events: metadata.events,
      endpoints,
      status: (endpoint) => delivery?.status(endpoint),
      hurry: (endpoint) => delivery?.hurry(endpoint),
      async send(name, notification) {
        const endpoint = endpoints().find((one) => one.name === name)
        if (endpoint === undefined) throw new Error(`there is no endpoint ${name}`)
        return await postEvent(endpoint, envelopeOf(notification), new AbortController().signal)
      },
      source,
      now,
      newId,
    }),
    prune: async () => await delivery?.prune(),
    async reconfigure() {
      try {
        await delivery?.configure(endpoints())
      } catch (error) {
        // The rest of the configuration is in force, and the next change tries again.
        log.error('the queues of notifications do not follow the configuration', { error })
      }
    },
    async close() {
      await pulls.close()
      await delivery?.stop()
    },
  }
}

/** distribution: handlers/app.go, configureEvents: the machine's name, with the port of the configuration. */
function addressOf(listen: Config['http']['listen']): string {
  return listen.kind === 'tcp' ? `${hostname()}:${listen.port}` : hostname()
}

/** distribution's metrics of its endpoints: notifications/metrics.go, whose types of events these are. */
function createCounters(
  metrics: Metrics,
  events: Pick<Metadata['events'], 'counts'>,
  names: () => readonly string[],
): DeliveryCounters & { queued(events: readonly NewEvent[], each: number): void } {
  const total = metrics.counter('registry_notifications_events_total', 'The number of total events', [
    'type',
    'endpoint',
  ])
  const status = metrics.counter('registry_notifications_status_total', 'The number of status code', [
    'code',
    'endpoint',
  ])
  metrics.observed(
    'gauge',
    'registry_notifications_pending_total',
    'The gauge of pending events in queue',
    ['endpoint'],
    async () => {
      const counts = (await events.counts()).filter(({ state }) => state === 'waiting')
      const waiting = new Map(counts.map(({ endpoint, rows }) => [endpoint, rows]))
      return names().map((name) => [[name], waiting.get(name) ?? 0] as const)
    },
  )
  return {
    queued(events, each) {
      for (const { endpoints } of events) for (const endpoint of endpoints) total('Events', endpoint).inc(each)
    },
    attempted(endpoint, answer) {
      total(answer.accepted ? 'Successes' : answer.status === undefined ? 'Errors' : 'Failures', endpoint).inc()
      if (answer.status !== undefined) status(answer.code, endpoint).inc()
    },
  }
}
