import { type CompiledQuery, type DatabaseConnection, type Dialect, Kysely, type QueryResult } from 'kysely'
import type { Tables } from './database.ts'
import { MetadataError } from './metadata.ts'

/** What differs between databases: their SQL, and what they cannot do. */
export type Spelling = Pick<Dialect, 'createQueryCompiler' | 'createAdapter' | 'createIntrospector'>

const spellings = new WeakMap<object, Spelling>()

/** That of the database which the handle belongs to: the same object for all handles of one kind. */
export function spellingOf(handle: object): Spelling {
  const spelling = spellings.get(handle)
  if (spelling === undefined) throw new MetadataError('failed', 'this handle was not made by the query builder')
  return spelling
}

/**
 * Kysely over whatever runs a statement. Transactions are the database port's, which knows their limits, and rows are not
 * streamed: both are refused.
 */
export function queryBuilder(
  run: <R>(query: CompiledQuery) => Promise<QueryResult<R>>,
  spelling: Spelling,
): Kysely<Tables> {
  const connection: DatabaseConnection = {
    executeQuery: run,
    // biome-ignore lint/correctness/useYield: there is nothing to yield, for nothing here streams rows.
    async *streamQuery() {
      throw new MetadataError('failed', 'rows are not streamed')
    },
  }
  const refuse = async () => {
    throw new MetadataError('failed', 'transactions are begun by the database port, not by the query builder')
  }
  const builder = new Kysely<Tables>({
    dialect: {
      ...spelling,
      createDriver: () => ({
        init: async () => {},
        acquireConnection: async () => connection,
        releaseConnection: async () => {},
        beginTransaction: refuse,
        commitTransaction: refuse,
        rollbackTransaction: refuse,
        destroy: async () => {},
      }),
    },
  })
  spellings.set(builder, spelling)
  return builder
}
