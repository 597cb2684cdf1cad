import { sql } from 'kysely'
import type { Database, Handle } from './database.ts'
import type { Audit, AuditRow } from './metadata.ts'

/**
 * Rows of one insert at most. Each statement has a power of two of them: a few shapes, which stay prepared, take any
 * number of rows, with parameters far below what any database takes.
 */
const CHUNK = 64

export function audit(database: Database): Audit {
  return {
    append(rows) {
      return database.transaction(
        async (trx) => {
          let start = 0
          for (const size of chunks(rows.length)) {
            await trx
              .insertInto('audit')
              .values(rows.slice(start, start + size).map(auditRow))
              .execute()
            start += size
          }
        },
        { durable: false },
      )
    },

    async list({ account, kind, outcome }, { before, limit }) {
      // An account has few of all rows, a kind or an outcome nearly all: an expression keeps their indexes out of the choice.
      const condition = <C extends 'kind' | 'outcome'>(column: C) =>
        account === undefined ? sql.ref<AuditRow[C]>(column) : sql<AuditRow[C]>`${sql.ref(column)} || ''`
      return await database.read
        .selectFrom('audit')
        .selectAll()
        .$if(account !== undefined, (query) => query.where('account', '=', account ?? ''))
        .$if(kind !== undefined, (query) => query.where(condition('kind'), '=', kind ?? 'token'))
        .$if(outcome !== undefined, (query) => query.where(condition('outcome'), '=', outcome ?? 'granted'))
        .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
    },

    prune(before, keep, limit) {
      return database.transaction(
        async (trx) => {
          // First what is too many: which rows are the newest does not depend on how many old ones went before.
          const surplus = await removeOldest(trx, Math.min(limit, (await count(trx)) - keep))
          return surplus + (await removeBefore(trx, before, limit - surplus))
        },
        { durable: true },
      )
    },
  }
}

function* chunks(rows: number): Generator<number> {
  let left = rows
  for (let size = CHUNK; size >= 1; size /= 2) {
    for (; left >= size; left -= size) yield size
  }
}

/** Only what a row has, whatever else the caller's object carries. */
function auditRow(row: AuditRow): AuditRow {
  const { at, kind, account, source, address, service, asked, granted, rules, outcome, detail } = row
  return { at, kind, account, source, address, service, asked, granted, rules, outcome, detail }
}

async function count(trx: Handle): Promise<number> {
  const row = await trx
    .selectFrom('audit')
    .select(({ fn }) => fn.countAll().as('rows'))
    .executeTakeFirstOrThrow()
  return Number(row.rows)
}

async function removeOldest(trx: Handle, limit: number): Promise<number> {
  if (limit <= 0) return 0
  const removed = await trx
    .deleteFrom('audit')
    .where('id', 'in', (from) => from.selectFrom('audit').select('id').orderBy('id').limit(limit))
    .executeTakeFirst()
  return Number(removed.numDeletedRows)
}

async function removeBefore(trx: Handle, before: number, limit: number): Promise<number> {
  if (limit <= 0) return 0
  const removed = await trx
    .deleteFrom('audit')
    .where('id', 'in', (from) =>
      from.selectFrom('audit').select('id').where('at', '<', before).orderBy('at').orderBy('id').limit(limit),
    )
    .executeTakeFirst()
  return Number(removed.numDeletedRows)
}
