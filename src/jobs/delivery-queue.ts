import type { EventOutcome, EventRow, Metadata } from '../metadata/metadata.ts'
import { envelopeOf, notificationOf } from '../registry/events.ts'
import type { Log } from '../telemetry/log.ts'
import type { Answer, Receiver } from './post-event.ts'

/** Who is told, and how patiently (distribution's `notifications.endpoints`). Times in milliseconds. */
export interface DeliveryEndpoint extends Receiver {
  name: string
  disabled: boolean
  /** Failures in a row after which the endpoint is left alone for `backoffMs`, then twice as long each time. */
  threshold: number
  backoffMs: number
  /** Attempts after which an event is given up; 0: any number. */
  maxAttempts: number
  /** Since it was queued; 0: for ever. */
  maxAgeMs: number
}

/** What became of attempts, for whoever counts. */
export interface DeliveryCounters {
  attempted(endpoint: string, answer: Answer): void
}

export interface QueueDeps {
  events: Pick<Metadata['events'], 'waiting' | 'find' | 'settle' | 'bury'>
  post: (receiver: Receiver, body: string, signal: AbortSignal) => Promise<Answer>
  counters: DeliveryCounters
  log: Pick<Log, 'info' | 'warn' | 'error'>
  now: () => number
  /** Runs `then` after so many milliseconds; what it answers takes that back. */
  after: (ms: number, then: () => void) => () => void
}

/** The queue of one endpoint at work: one event at a time, in order. */
export interface DeliveryQueue {
  /** Something was queued. */
  wake(): void
  /** Tries at once, however long it was to wait. */
  hurry(): void
  change(endpoint: DeliveryEndpoint): void
  status(): QueueStatus
  /** An attempt under way has `graceMs` to end. */
  stop(graceMs: number): Promise<void>
}

export interface QueueStatus {
  /** Attempts that failed since one succeeded. */
  failures: number
  /** Undefined while nothing waits for a further attempt. */
  retryAt: number | undefined
  /** Events that wait, as far as it looked. */
  waiting: number
}

/** Rows that are looked at in one go; documents are read one by one. */
const PORTION = 100
/** No endpoint is left alone for longer, unless its own back-off says so. */
const LONGEST = 300_000
/** The first of the pauses below the threshold, where the original makes none. */
const SHORTEST = 100
/** A look without being woken: what another process queued, or a wake-up that was missed. */
const LOOK = 30_000
/** Pause after a fault of the database. */
const FAULT_PAUSE = 1000
const BURIED_AT_ONCE = 500
/** Milliseconds that outcomes wait for others, and how many: each write is one that pushes have to share the database with. */
const SETTLE_DELAY = 100
const UNSETTLED = 100

/**
 * Milliseconds before the next attempt after `failures` in a row. Below the threshold short ones (the original tries again at
 * once); from there on the back-off, which doubles (the original's stays the same).
 */
export function pauseAfter(
  failures: number,
  { threshold, backoffMs }: Pick<DeliveryEndpoint, 'threshold' | 'backoffMs'>,
) {
  if (failures < threshold) return Math.min(backoffMs, SHORTEST * 2 ** Math.min(failures - 1, 20))
  return Math.min(Math.max(backoffMs, LONGEST), backoffMs * 2 ** Math.min(failures - threshold, 30))
}

export function startQueue(initial: DeliveryEndpoint, deps: QueueDeps): DeliveryQueue {
  const { events, log, now } = deps
  const stopping = new AbortController()
  let endpoint = initial
  let failures = 0
  let waiting = 0
  let retryAt: number | undefined
  /** Set by `wake` and `hurry`, so that a call which comes before somebody waits counts, too. */
  let woken = false
  let hurried = false
  let interrupt = () => {}
  let settled: EventOutcome[] = []
  let settling: Promise<void> | undefined
  /** Rows whose outcome the database does not have yet: to it, they wait. */
  const unsettled = new Set<number>()
  let cancelFlush: (() => void) | undefined
  let cutShort = () => {}

  /** Until the time is over, or somebody calls. */
  async function pause(ms: number, endsEarly: () => boolean): Promise<void> {
    if (ms <= 0 || endsEarly() || stopping.signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = deps.after(ms, resolve)
    interrupt = () => {
      if (endsEarly() || stopping.signal.aborted) resolve()
    }
    await promise
    cancel()
    interrupt = () => {}
  }

  /** Writes outcomes, all that came meanwhile in one go: one may come late, but not out of order. */
  function flush(): Promise<void> {
    cancelFlush?.()
    cancelFlush = undefined
    settling ??= (async () => {
      while (settled.length > 0) {
        const portion = settled
        settled = []
        try {
          await events.settle(portion)
          for (const { id } of portion) unsettled.delete(id)
        } catch (error) {
          // They have happened: without them, all of it would be sent again at once, and again.
          settled = [...portion, ...settled]
          throw error
        }
      }
    })().finally(() => {
      settling = undefined
    })
    return settling
  }

  function settle(outcome: EventOutcome): void {
    settled.push(outcome)
    unsettled.add(outcome.id)
    flushSoon(SETTLE_DELAY)
  }

  function flushSoon(ms: number): void {
    cancelFlush ??= deps.after(ms, () => {
      flush().catch((error: unknown) => {
        log.error('outcomes of notifications cannot be written', { endpoint: endpoint.name, error })
        flushSoon(FAULT_PAUSE)
      })
    })
  }

  /** @returns whether the queue may go on with the next event. */
  async function attempt(row: EventRow): Promise<boolean> {
    const found = await events.find(row.id)
    if (found === undefined) return true
    const cut = new AbortController()
    cutShort = () => cut.abort()
    const answer = await deps.post(endpoint, envelopeOf(notificationOf(found)), cut.signal)
    cutShort = () => {}
    if (cut.signal.aborted && !answer.accepted) return false
    deps.counters.attempted(endpoint.name, answer)
    const triedAt = now()
    const attempts = row.attempts + 1
    const { id, event } = row
    const outcome = { id, event, endpoint: row.endpoint, attempts, triedAt, retryAt: undefined, result: answer.text }
    if (answer.accepted) {
      if (failures > 0) log.info('notifications are accepted again', { endpoint: endpoint.name, failures })
      failures = 0
      settle({ ...outcome, state: 'delivered' })
      return true
    }
    failures++
    await fail(row, outcome)
    return false
  }

  async function fail(row: EventRow, outcome: Omit<EventOutcome, 'state'>): Promise<void> {
    const { name, maxAttempts, maxAgeMs } = endpoint
    const { attempts, triedAt, result } = outcome
    const told = { endpoint: name, event: row.id, result }
    // Once for an endpoint that stumbles and once for one that is left alone, not at each attempt.
    if (failures === 1 || failures === endpoint.threshold) {
      log.warn('a notification was not accepted', { ...told, attempts, pauseMs: pauseAfter(failures, endpoint) })
    }
    if (maxAttempts > 0 && attempts >= maxAttempts) {
      settle({ ...outcome, state: 'dead' })
      log.error('a notification is given up; berth notify redeliver queues it again', { ...told, attempts })
    } else {
      settle({ ...outcome, state: 'waiting', retryAt: triedAt + pauseAfter(failures, endpoint) })
    }
    await flush()
    if (maxAgeMs <= 0) return
    const which = { endpoint: name, queuedBefore: triedAt - maxAgeMs, limit: BURIED_AT_ONCE }
    let buried = 0
    for (let portion = BURIED_AT_ONCE; portion === BURIED_AT_ONCE; buried += portion) {
      portion = await events.bury({ ...which, result: `too old: ${result}` })
    }
    if (buried > 0) {
      log.error('notifications are given up, for they are too old; berth notify redeliver queues them again', {
        endpoint: name,
        events: buried,
        result,
      })
    }
  }

  /** One look at the queue. */
  async function work(): Promise<void> {
    if (unsettled.size >= UNSETTLED) await flush()
    const found = await events.waiting(endpoint.name, PORTION + unsettled.size)
    const rows = found.filter(({ id }) => !unsettled.has(id))
    waiting = rows.length
    if (rows.length === 0) {
      retryAt = undefined
      await pause(LOOK, () => woken)
      return
    }
    for (const row of rows) {
      // Failures are counted in order, and so the first of the queue has those of before a restart.
      failures = Math.max(failures, row.attempts)
      const due = row.retryAt ?? (failures === 0 ? 0 : (row.triedAt ?? now()) + pauseAfter(failures, endpoint))
      // A clock that was set back must not keep the queue waiting for longer than it would have.
      const ms = Math.min(due - now(), failures === 0 ? 0 : pauseAfter(failures, endpoint))
      if (ms > 0 && !hurried) {
        retryAt = now() + ms
        await pause(ms, () => hurried)
      }
      hurried = false
      retryAt = undefined
      if (stopping.signal.aborted || !(await attempt(row))) return
      waiting--
    }
  }

  async function loop(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = false
      try {
        await work()
      } catch (error) {
        log.error('the queue of notifications cannot be read or written', { endpoint: endpoint.name, error })
        await pause(FAULT_PAUSE, () => false)
      }
    }
    await flush().catch(() => {})
  }

  const ended = loop()
  return {
    wake() {
      woken = true
      interrupt()
    },
    hurry() {
      woken = true
      hurried = true
      interrupt()
    },
    change(next) {
      endpoint = next
    },
    status: () => ({ failures, retryAt, waiting }),
    async stop(graceMs) {
      stopping.abort()
      interrupt()
      const cancel = deps.after(graceMs, () => cutShort())
      await ended
      cancel()
    },
  }
}
