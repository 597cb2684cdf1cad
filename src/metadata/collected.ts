import type { Handle, Tables } from './database.ts'
import type { Tally } from './metadata.ts'
import { statement } from './statement.ts'

type Kind = Tables['collected']['kind']

const add = statement((trx, { kind, count, bytes }: Tally & { kind: Kind }) =>
  trx
    .insertInto('collected')
    .values({ kind, count, bytes })
    .onConflict((conflict) =>
      conflict.column('kind').doUpdateSet(({ eb, ref }) => ({
        count: eb(ref('collected.count'), '+', count),
        bytes: eb(ref('collected.bytes'), '+', bytes),
      })),
    ),
)

/** Adds to what the collector has taken so far. */
export async function countCollected(trx: Handle, kind: Kind, { count, bytes }: Tally): Promise<void> {
  await add(trx, { kind, count, bytes })
}
