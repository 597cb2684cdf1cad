import { POSTGRES_LOGIN, type PostgresPrograms, startPostgres } from './postgres.fixture.ts'
import { openPostgres } from './postgres.ts'

/** A PostgreSQL of a test's own, and a database in it that is as the migrations leave it. */
export interface PostgresDatabase {
  /** Nobody else may be using it. */
  login: Parameters<typeof openPostgres>[0]
  /** Empties it, but for what the migrations put there: in a hundredth of the time that they take. */
  reset(): Promise<void>
  execute(statement: string): Promise<void>
  remove(): Promise<void>
}

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
  const tables = names.map((row: { tablename: string }) => `"${row.tablename}"`)
  const seeded = ['rule_list', 'rules', 'retention_list']
  await sql.unsafe('CREATE SCHEMA seeds')
  for (const table of seeded) await sql.unsafe(`CREATE TABLE seeds.${table} AS SELECT * FROM public.${table}`)
  return {
    login,
    async reset() {
      await sql.unsafe(`TRUNCATE ${tables.join(', ')} RESTART IDENTITY CASCADE`)
      for (const table of seeded) await sql.unsafe(`INSERT INTO public.${table} SELECT * FROM seeds.${table}`)
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
