import { Database } from 'bun:sqlite'
import { afterAll, afterEach, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ForeignAccounts, openForeignAccounts } from './foreign-accounts.ts'
import { findMariadb, findPostgres } from './foreign-servers.fixture.ts'
import { MARIADB_LOGIN, startMariadb } from './mariadb.fixture.ts'
import { POSTGRES_LOGIN, startPostgres } from './postgres.fixture.ts'
import type { DatabaseServer } from './server.fixture.ts'

/** What a file of tests started; it ends when the tests of the file do. */
const endings: (() => Promise<void>)[] = []
/** Connections are few, so that each test gives back its own. */
const opened: ForeignAccounts[] = []

/** Registers the ends of what `startRigs` and `open` begin; each file of tests calls it once. */
export async function setUp(): Promise<{ folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'berth-foreign-'))
  endings.push(() => rm(folder, { recursive: true }))
  afterEach(async () => {
    for (const accounts of opened.splice(0)) await accounts.close()
  })
  afterAll(async () => {
    for (const end of endings.splice(0).reverse()) await end()
  })
  return { folder }
}

export type Type = 'mysql' | 'postgres' | 'sqlite3'

/** A database for tests, which the product and the test reach. */
export interface Rig {
  type: Type
  connection: string
  /** A parameter for a column that may be of the type JSON: the library would encode the text once more. */
  json: string
  /** Runs a statement whose parameters are `?`. */
  run(statement: string, values?: (string | number | null)[]): Promise<Record<string, unknown>[]>
  server?: DatabaseServer
  /** As `connection`, which waits so many seconds for the server to take one, and no longer than five for an answer. */
  hurried?: (seconds: number) => string
}

/** The servers that are installed. One that is missing is a skipped test, or a failing one where it must be there. */
export async function startServers(): Promise<Rig[]> {
  const [mariadb, postgres] = [findMariadb(), findPostgres()]
  for (const [program, found] of [
    ['mariadb-server', mariadb],
    ['postgresql-15', postgres],
  ] as const) {
    if (found !== undefined) continue
    const title = `tables in a real server [needs ${program}: apt-get install ${program}]`
    if (process.env.BERTH_TEST_CLIENTS !== 'required') test.skip(title, () => undefined)
    else {
      test(title, () => {
        throw new Error(`BERTH_TEST_CLIENTS=required, but ${program} is not installed`)
      })
    }
  }
  return [
    ...(mariadb === undefined ? [] : [await mariadbRig(mariadb)]),
    ...(postgres === undefined ? [] : [await postgresRig(postgres)]),
  ]
}

export function sqliteRig(folder: string): Rig {
  const path = join(folder, 'a ccounts.db')
  const database = new Database(path)
  endings.push(async () => database.close())
  return {
    type: 'sqlite3',
    connection: path,
    json: '?',
    run: async (statement, values = []) => database.prepare(statement).all(...values) as Record<string, unknown>[],
  }
}

async function mariadbRig(programs: NonNullable<ReturnType<typeof findMariadb>>): Promise<Rig> {
  const server = await startMariadb(programs)
  endings.push(() => server.remove())
  const { user, password, database } = MARIADB_LOGIN
  const sql = new Bun.SQL({
    ...{ adapter: 'mysql', hostname: '127.0.0.1', port: server.port, username: user, password, database },
  })
  endings.push(() => sql.close({ timeout: 0 }))
  const connection = `${user}:${password}@tcp(127.0.0.1:${server.port})/${database}`
  return {
    type: 'mysql',
    connection: `${connection}?timeout=60s&readTimeout=60s`,
    hurried: (seconds) => `${connection}?timeout=${seconds}s&readTimeout=1s`,
    json: '?',
    run: (statement, values = []) => sql.unsafe(statement, values),
    server,
  }
}

async function postgresRig(programs: NonNullable<ReturnType<typeof findPostgres>>): Promise<Rig> {
  const server = await startPostgres(programs)
  endings.push(() => server.remove())
  const { user, password, database } = POSTGRES_LOGIN
  const sql = new Bun.SQL({
    ...{
      adapter: 'postgres',
      hostname: '127.0.0.1',
      port: server.port,
      username: user,
      password,
      database,
      tls: 'disable',
    },
  })
  endings.push(() => sql.close({ timeout: 0 }))
  const quoted = password.replace(/[\\']/g, '\\$&')
  const connection = `host=127.0.0.1 port=${server.port} user=${user} password='${quoted}' dbname=${database} sslmode=disable`
  return {
    type: 'postgres',
    connection: `${connection} connect_timeout=60`,
    hurried: (seconds) => `${connection} connect_timeout=${seconds}`,
    json: 'CAST(CAST(? AS TEXT) AS JSON)',
    run(statement, values = []) {
      let n = 0
      return sql.unsafe(
        statement.replaceAll('?', () => `$${++n}`),
        values,
      )
    },
    server,
  }
}

export function open({ type, connection }: Pick<Rig, 'type' | 'connection'>): ForeignAccounts {
  const accounts = openForeignAccounts({ type, connection })
  opened.push(accounts)
  return accounts
}

export async function failure(answer: Promise<unknown>): Promise<Error | undefined> {
  return await answer.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  )
}

/** A rig whose tables were just made, by the product. */
export async function fresh(rig: Rig): Promise<ForeignAccounts> {
  await rig.run('DROP TABLE IF EXISTS xorm_user')
  await rig.run('DROP TABLE IF EXISTS xorm_acl_entry')
  const accounts = open(rig)
  expect(await accounts.findUser('nobody')).toBeUndefined()
  expect(await accounts.rules()).toEqual([])
  return accounts
}

export function insert(rig: Rig, name: string, hash: string, labels: string | null = null) {
  return rig.run(`INSERT INTO xorm_user (username, password_hash, labels) VALUES (?, ?, ${rig.json})`, [
    name,
    hash,
    labels,
  ])
}
