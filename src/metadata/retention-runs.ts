import type { Selectable } from 'kysely'
import type { Database, Tables } from './database.ts'
import type { Retention, RetentionRun } from './metadata.ts'

/** Runs that are remembered. */
const REMEMBERED = 1000

export function retentionRuns(
  database: Database,
): Pick<Retention, 'begin' | 'progress' | 'end' | 'runs' | 'lastScheduled'> {
  const { read } = database
  return {
    begin({ cause, actor, now, seenAfter, dueBefore }) {
      return database.transaction(
        async (trx) => {
          // Of two that begin at the same time, the second waits here, and sees the first.
          await trx.selectFrom('retention_list').select('id').where('id', '=', 1).forUpdate().execute()
          const alive = await trx
            .selectFrom('retention_runs')
            .select('id')
            .where('state', '=', 'running')
            .where('seen_at', '>=', seenAfter)
            .executeTakeFirst()
          if (alive !== undefined) return 'busy'
          const last = await trx
            .selectFrom('retention_runs')
            .select('started_at')
            .where('cause', '=', 'schedule')
            .orderBy('id', 'desc')
            .limit(1)
            .executeTakeFirst()
          if (dueBefore !== undefined && last !== undefined && last.started_at > dueBefore && last.started_at <= now)
            return 'early'
          await trx
            .updateTable('retention_runs')
            .set({ state: 'failed', ended_at: now, error: 'it was interrupted' })
            .where('state', '=', 'running')
            .execute()
          const { id } = await trx
            .insertInto('retention_runs')
            .values({
              ...{ cause, actor, state: 'running', started_at: now, seen_at: now, ended_at: null, error: null },
              ...{ repositories: 0, tags: 0, manifests: 0, bytes: 0, skipped: 0 },
            })
            .returning('id')
            .executeTakeFirstOrThrow()
          await trx
            .deleteFrom('retention_runs')
            .where('id', '<=', id - REMEMBERED)
            .execute()
          return { id }
        },
        { durable: true },
      )
    },

    progress(id, { repositories, tags, manifests, bytes, skipped }, now) {
      return database.transaction(
        async (trx) => {
          await trx
            .updateTable('retention_runs')
            .set({ repositories, tags, manifests, bytes, skipped, seen_at: now })
            .where('id', '=', id)
            .where('state', '=', 'running')
            .execute()
        },
        { durable: false },
      )
    },

    end(id, { repositories, tags, manifests, bytes, skipped, state, error, now }) {
      return database.transaction(
        async (trx) => {
          await trx
            .updateTable('retention_runs')
            .set({ repositories, tags, manifests, bytes, skipped, state, error: error ?? null })
            .set({ seen_at: now, ended_at: now })
            .where('id', '=', id)
            .execute()
        },
        { durable: true },
      )
    },

    async runs({ before, limit }) {
      const rows = await read
        .selectFrom('retention_runs')
        .selectAll()
        .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
      return rows.map(runOf)
    },

    async lastScheduled() {
      const row = await read
        .selectFrom('retention_runs')
        .selectAll()
        .where('cause', '=', 'schedule')
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && runOf(row)
    },
  }
}

function runOf(row: Selectable<Tables['retention_runs']>): RetentionRun {
  const { started_at: startedAt, ended_at: endedAt, seen_at: _, error, ...run } = row
  return { ...run, startedAt, endedAt: endedAt ?? undefined, error: error ?? undefined }
}
