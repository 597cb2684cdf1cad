import { createHash } from 'node:crypto'
import type { Selectable } from 'kysely'
import { type Database, type Handle, inChunks, type Tables } from './database.ts'
import type { EventRow, EventState, Events, NewEvent } from './metadata.ts'

/** All but `detail`, which can be large: lists have no need of it. */
const COLUMNS = [
  'id',
  'event',
  'endpoint',
  'at',
  'action',
  'repository',
  'tag',
  'digest',
  'media_type',
  'state',
  'attempts',
  'queued_at',
  'tried_at',
  'retry_at',
  'result',
] as const

const STATES: readonly EventState[] = ['waiting', 'delivered', 'dead']

type EventRecord = Pick<Selectable<Tables['events']>, (typeof COLUMNS)[number]>

export function events(database: Database): Events {
  const { read } = database
  const select = () => read.selectFrom('events').select(COLUMNS)

  function newest(
    { endpoint, state }: { endpoint?: string; state?: EventState },
    { before, limit }: { before?: number | undefined; limit: number },
  ): Promise<EventRecord[]> {
    return select()
      .$if(endpoint !== undefined, (query) => query.where('endpoint', '=', endpoint ?? ''))
      .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'waiting'))
      .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
      .orderBy('id', 'desc')
      .limit(limit)
      .execute()
  }

  return {
    append(rows) {
      return database.transaction((trx) => queueEvents(trx, rows), { durable: false })
    },

    async waiting(endpoint, limit) {
      const rows = await select()
        .where('endpoint', '=', endpoint)
        .where('state', '=', 'waiting')
        .orderBy('id')
        .limit(limit)
        .execute()
      return rows.map(eventRow)
    },

    async find(id) {
      const row = await read.selectFrom('events').selectAll().where('id', '=', id).executeTakeFirst()
      return row && { ...eventRow(row), detail: row.detail }
    },

    async list({ endpoint, state }, page) {
      if (endpoint === undefined || state !== undefined) {
        const filter = { ...(endpoint === undefined ? {} : { endpoint }), ...(state === undefined ? {} : { state }) }
        return (await newest(filter, page)).map(eventRow)
      }
      // One walk of the index for each state: no index has all rows of an endpoint in order.
      const parts = await Promise.all(STATES.map((one) => newest({ endpoint, state: one }, page)))
      const rows = parts.flat().sort((a, b) => b.id - a.id)
      return rows.slice(0, page.limit).map(eventRow)
    },

    settle(outcomes) {
      return database.transaction(
        async (trx) => {
          for (const { id, event, endpoint, state, attempts, triedAt, retryAt, result } of outcomes) {
            await trx
              .updateTable('events')
              .set({ state, attempts, tried_at: triedAt, retry_at: retryAt ?? null, result })
              .where('id', '=', id)
              .where('event', '=', event)
              .where('endpoint', '=', endpoint)
              .where('state', '=', 'waiting')
              .execute()
          }
        },
        { durable: false },
      )
    },

    bury({ endpoint, queuedBefore, result, limit }) {
      return database.transaction(
        async (trx) => {
          const buried = await trx
            .updateTable('events')
            .set({ state: 'dead', retry_at: null, result })
            .where(
              'id',
              'in',
              idsOf(trx, 'waiting')
                .where('endpoint', '=', endpoint)
                .where('queued_at', '<=', queuedBefore)
                .orderBy('id')
                .limit(limit),
            )
            .executeTakeFirst()
          return Number(buried.numUpdatedRows)
        },
        { durable: false },
      )
    },

    requeue(ids, now) {
      return database.transaction(
        async (trx) => {
          let requeued = 0
          for (const id of ids) {
            const changed = await trx
              .updateTable('events')
              .set({ state: 'waiting', attempts: 0, queued_at: now, tried_at: null, retry_at: null, result: '' })
              .where('id', '=', id)
              .where('state', '!=', 'waiting')
              .executeTakeFirst()
            requeued += Number(changed.numUpdatedRows)
          }
          return requeued
        },
        { durable: true },
      )
    },

    async counts() {
      const rows = await read
        .selectFrom('events')
        .select(({ fn }) => ['endpoint', 'state', fn.countAll().as('rows')])
        .groupBy(['endpoint', 'state'])
        .orderBy('endpoint')
        .orderBy('state')
        .execute()
      return rows.map(({ endpoint, state, rows }) => ({ endpoint, state, rows: Number(rows) }))
    },

    drop(endpoint, limit) {
      return database.transaction(
        (trx) => removeFirst(trx, idsOf(trx, 'waiting').where('endpoint', '=', endpoint), limit),
        { durable: false },
      )
    },

    prune({ state, before, keep, limit }) {
      return database.transaction(
        async (trx) => {
          const edge = await idsOf(trx, state).orderBy('id', 'desc').offset(keep).limit(1).executeTakeFirst()
          const surplus =
            edge === undefined ? 0 : await removeFirst(trx, idsOf(trx, state).where('id', '<=', edge.id), limit)
          return surplus + (await removeFirst(trx, idsOf(trx, state).where('tried_at', '<', before), limit - surplus))
        },
        { durable: false },
      )
    },
  }
}

/** Writes what happened, for every endpoint that is to hear of it: part of the transaction in which it happens. */
export async function queueEvents(trx: Handle, events: readonly NewEvent[] = []): Promise<void> {
  const rows = events.flatMap(({ endpoints, mediaType, tag, digest, ...event }) =>
    endpoints.map((endpoint) => ({
      event: event.event,
      endpoint,
      at: event.at,
      action: event.action,
      repository: event.repository,
      tag: tag ?? null,
      digest: digest ?? null,
      media_type: mediaType ?? null,
      state: 'waiting' as const,
      attempts: 0,
      queued_at: event.at,
      tried_at: null,
      retry_at: null,
      result: '',
      detail: event.detail,
    })),
  )
  await inChunks(rows, (chunk) => trx.insertInto('events').values(chunk).execute())
}

/** The event of a tag that goes with its manifest. Only the transaction knows the tags, so that its id follows from the manifest's. */
export function eventOfTag(event: NewEvent, tag: string): NewEvent {
  const hex = createHash('sha256').update(`${event.event}\n${tag}`).digest('hex')
  // RFC 9562 section 5.8: version 8 is for ids that are made in a way of one's own.
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 3) | 8).toString(16)
  const id = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ]
  return { ...event, event: id.join('-'), tag, digest: undefined }
}

/** Ids of a state's rows. */
function idsOf(trx: Handle, state: EventState) {
  return trx.selectFrom('events').select('id').where('state', '=', state)
}

/** Removes the first of those rows, up to `limit`. */
async function removeFirst(trx: Handle, ids: ReturnType<typeof idsOf>, limit: number): Promise<number> {
  if (limit <= 0) return 0
  const removed = await trx.deleteFrom('events').where('id', 'in', ids.orderBy('id').limit(limit)).executeTakeFirst()
  return Number(removed.numDeletedRows)
}

function eventRow(row: EventRecord): EventRow {
  return {
    id: row.id,
    event: row.event,
    endpoint: row.endpoint,
    at: row.at,
    action: row.action,
    repository: row.repository,
    tag: row.tag ?? undefined,
    digest: row.digest ?? undefined,
    mediaType: row.media_type ?? undefined,
    state: row.state,
    attempts: row.attempts,
    queuedAt: row.queued_at,
    triedAt: row.tried_at ?? undefined,
    retryAt: row.retry_at ?? undefined,
    result: row.result,
  }
}
