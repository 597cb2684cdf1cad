import { POSTGRES_LOGIN, type PostgresPrograms, startPostgres } from './postgres.fixture.ts'
import { openPostgres } from './postgres.ts'

/** A PostgreSQL of a test's own, and a database in it that is as the migrations leave it. */
export interface PostgresDatabase {
  /** Nobody else may be using it. */
  login: Parameters<typeof openPostgres>[0]
  /**
   * Empties it, but for what the migrations put there. Row by row, and not by TRUNCATE, which makes new files for each table: a tenth
   * of a second. That is left to tables of so many pages that PostgreSQL would plan queries otherwise than for a new one.
   */
  reset(): Promise<void>
  execute(statement: string): Promise<void>
  remove(): Promise<void>
}

/** A table that has never been looked through counts as one of ten pages while it has fewer. */
const LARGE = `SELECT relname AS name FROM pg_class
  WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'migrations' AND pg_relation_size(oid) > 9 * 8192`

export async function startPostgresDatabase(programs: PostgresPrograms): Promise<PostgresDatabase> {
  const server = await startPostgres(programs)
  const { user: username, password, database } = POSTGRES_LOGIN
  const login = { hostname: '127.0.0.1', port: server.port, username, password, database }
  await (await openPostgres({ ...login, now: () => 1 })).close()

  // Notices of TRUNCATE's cascades would fill the test's output.
  const connection = { client_min_messages: 'warning' }
  const sql = new Bun.SQL({
    ...{ adapter: 'postgres', ...login, password: () => password, max: 2, tls: 'disable', connection },
  })
  const names = await sql.unsafe(
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migrations'",
  )
  const tables: string[] = names.map((row: { tablename: string }) => `"${row.tablename}"`)
  const emptied = [
    // Statements of one message are one transaction. No foreign key is asked for what goes as a whole.
    'SET LOCAL session_replication_role = replica',
    ...tables.map((table) => `DELETE FROM ${table}`),
    "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences WHERE schemaname = 'public'",
  ]
  const seeded = ['rule_list', 'rules', 'retention_list']
  await sql.unsafe('CREATE SCHEMA seeds')
  for (const table of seeded) await sql.unsafe(`CREATE TABLE seeds.${table} AS SELECT * FROM public.${table}`)
  return {
    login,
    async reset() {
      const large: { name: string }[] = await sql.unsafe(LARGE)
      if (large.length > 0) await sql.unsafe(`TRUNCATE ${large.map(({ name }) => `"${name}"`).join(', ')} CASCADE`)
      const seeds = seeded.map((table) => `INSERT INTO public.${table} SELECT * FROM seeds.${table}`)
      await sql.unsafe([...emptied, ...seeds].join(';\n'))
    },
    async execute(statement) {
      await sql.unsafe(statement)
    },
    async remove() {
      await sql.close({ timeout: 0 })
      await server.remove()
    },
  }
}
