import type { Digest } from '../oci/digest.ts'

/** Something that happened, and who is to be told. */
export interface NewEvent {
  /** A UUID, the same for every endpoint. */
  event: string
  at: number
  action: 'pull' | 'push' | 'mount' | 'delete'
  repository: string
  tag: string | undefined
  digest: Digest | undefined
  mediaType: string | undefined
  /** A JSON object: what else the notification says. */
  detail: string
  /** Names. Without one, no row is written. */
  endpoints: readonly string[]
}

/** `waiting`: in the endpoint's queue. `dead`: given up; it stays in the list, and can be queued again. */
export type EventState = 'waiting' | 'delivered' | 'dead'

/** An event on its way to one endpoint. */
export interface EventRow extends Omit<NewEvent, 'detail' | 'endpoints'> {
  /** Grows in the order in which events happened. */
  id: number
  endpoint: string
  state: EventState
  /** Failed and successful ones, since it was queued. */
  attempts: number
  queuedAt: number
  triedAt: number | undefined
  /** When it is to be tried again; undefined: at once, or never. */
  retryAt: number | undefined
  /** What became of the last attempt; empty before the first. */
  result: string
}

/** `event` and `endpoint` tell the row from a later one that was given its id. */
export type EventOutcome = Pick<EventRow, 'id' | 'event' | 'endpoint' | 'state' | 'attempts' | 'retryAt' | 'result'> & {
  triedAt: number
}

/** A queue for each endpoint. Changes of repositories write their events themselves, in their own transactions. */
export interface Events {
  /** Events of pulls, which change nothing. Relaxed. */
  append(events: readonly NewEvent[]): Promise<void>
  /** The first of an endpoint's queue, in order. */
  waiting(endpoint: string, limit: number): Promise<EventRow[]>
  find(id: number): Promise<(EventRow & { detail: string }) | undefined>
  /** Newest first; `before` is an id of an earlier page. */
  list(
    filter: { endpoint?: string; state?: EventState },
    page: { before?: number | undefined; limit: number },
  ): Promise<EventRow[]>
  /** Records attempts, of rows that are still waiting. Relaxed. */
  settle(outcomes: readonly EventOutcome[]): Promise<void>
  /** Gives up to `limit` waiting rows up that were queued by then; resolves to how many. Relaxed. */
  bury(which: { endpoint: string; queuedBefore: number; result: string; limit: number }): Promise<number>
  /** Queues rows that were delivered or given up again, at their old places; resolves to how many there were. */
  requeue(ids: readonly number[], now: number): Promise<number>
  counts(): Promise<{ endpoint: string; state: EventState; rows: number }[]>
  /** Removes up to `limit` waiting rows of an endpoint; resolves to how many. Relaxed. */
  drop(endpoint: string, limit: number): Promise<number>
  /** Removes up to `limit` rows whose last attempt was before `before`, or beyond the newest `keep`. Relaxed. */
  prune(which: { state: 'delivered' | 'dead'; before: number; keep: number; limit: number }): Promise<number>
}
