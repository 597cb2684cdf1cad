import type { Metadata } from '../metadata/metadata.ts'
import type { Log } from '../telemetry/log.ts'
import {
  type DeliveryEndpoint,
  type DeliveryQueue,
  type QueueDeps,
  type QueueStatus,
  startQueue,
} from './delivery-queue.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

export interface Delivery {
  /** Something was queued. */
  wake(): void
  /** The endpoint's queue is tried at once. */
  hurry(endpoint: string): void
  /** Another configuration holds from now on. */
  configure(endpoints: readonly DeliveryEndpoint[]): Promise<void>
  /** Undefined where nothing is delivered (unknown, or disabled). */
  status(endpoint: string): QueueStatus | undefined
  /** Whether so much waits for the endpoint that pulls are left out. */
  isFull(endpoint: string): boolean
  /** Removes what was delivered or given up long ago; it happens by itself every minute. */
  prune: Periodic['run']
  stop(): Promise<void>
}

const INTERVAL = 60_000
/** What is kept to look at, and to be queued again: milliseconds, and rows. */
const DELIVERED = { state: 'delivered', keepMs: 24 * 3_600_000, keep: 10_000 } as const
const DEAD = { state: 'dead', keepMs: 30 * 24 * 3_600_000, keep: 100_000 } as const
const PORTION = 1000
const PORTIONS = 500
/** Events that wait for an endpoint before those of pulls are left out: they come without end, and none is a change. */
const FULL = 100_000
/** Milliseconds that attempts under way have to end when the program does. */
const GRACE = 2000

/** Tells endpoints of events: a queue for each of them, so that one which hangs or fails keeps no other waiting. */
export async function startDelivery(
  deps: Omit<QueueDeps, 'events' | 'log'> & {
    events: Metadata['events']
    endpoints: readonly DeliveryEndpoint[]
    log: Log
  },
): Promise<Delivery> {
  const { events, log, now } = deps
  const queues = new Map<string, DeliveryQueue>()
  let full: ReadonlySet<string> = new Set()

  async function dropForgotten(endpoints: readonly DeliveryEndpoint[]): Promise<void> {
    const known = new Set(endpoints.map(({ name }) => name))
    const waiting = (await events.counts()).filter(({ state }) => state === 'waiting')
    for (const endpoint of new Set(waiting.map(({ endpoint }) => endpoint))) {
      if (known.has(endpoint)) continue
      let dropped = 0
      for (let portion = PORTION; portion === PORTION; dropped += portion)
        portion = await events.drop(endpoint, PORTION)
      log.warn('an endpoint is not configured any more: what waited for it is dropped', { endpoint, events: dropped })
    }
  }

  async function configure(endpoints: readonly DeliveryEndpoint[]): Promise<void> {
    const wanted = new Map(endpoints.filter(({ disabled }) => !disabled).map((endpoint) => [endpoint.name, endpoint]))
    const ending = [...queues].filter(([name]) => !wanted.has(name))
    for (const [name] of ending) queues.delete(name)
    await Promise.all(ending.map(([, queue]) => queue.stop(GRACE)))
    await dropForgotten(endpoints)
    for (const [name, endpoint] of wanted) {
      const queue = queues.get(name)
      queue?.change(endpoint)
      // What was wrong may be right now.
      queue?.hurry()
      if (queue === undefined) queues.set(name, startQueue(endpoint, deps))
    }
  }

  const pruning = startPeriodic({
    everyMs: INTERVAL,
    failure: 'old notifications could not be removed',
    log,
    async work() {
      const counts = await events.counts()
      full = new Set(counts.flatMap((row) => (row.state === 'waiting' && row.rows >= FULL ? [row.endpoint] : [])))
      for (const { state, keepMs, keep } of [DELIVERED, DEAD]) {
        for (let i = 0; i < PORTIONS; i++) {
          if ((await events.prune({ state, before: now() - keepMs, keep, limit: PORTION })) < PORTION) break
        }
      }
    },
  })

  let configuring = configure(deps.endpoints)
  await configuring
  return {
    wake() {
      for (const queue of queues.values()) queue.wake()
    },
    hurry: (endpoint) => queues.get(endpoint)?.hurry(),
    configure(endpoints) {
      configuring = configuring.catch(() => {}).then(() => configure(endpoints))
      return configuring
    },
    status: (endpoint) => queues.get(endpoint)?.status(),
    isFull: (endpoint) => full.has(endpoint),
    prune: pruning.run,
    async stop() {
      await configuring.catch(() => {})
      await Promise.all([pruning.stop(), ...[...queues.values()].map((queue) => queue.stop(GRACE))])
    },
  }
}
