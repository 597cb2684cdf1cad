import type { Pem, ServerConnection, ServerTls } from './foreign-connection.ts'
import type { ForeignDatabase } from './foreign-database.ts'

const MAX_CONNECTIONS = 4
/** Seconds without a query after which a connection is given back. */
const IDLE_SECONDS = 60
/** Seconds after which a connection is made anew, so that a server that moved is found. */
const LIFE_SECONDS = 1_800
/** Queries that may be under way or wait: past that a server that hangs would only fill memory. */
const MAX_PENDING = 256

/** ER_NO_SUCH_TABLE; undefined_table. */
const NO_SUCH_TABLE = { mysql: '1146', postgres: '42P01' } as const
/** ER_CANT_AGGREGATE_2COLLATIONS; untranslatable_character. */
const FOREIGN_TEXT = { mysql: '1267', postgres: '22P05' } as const

/** MySQL, MariaDB or PostgreSQL, through a small pool that connects at the first query. */
export function openServer(connection: ServerConnection): ForeignDatabase {
  let pool: Bun.SQL | undefined
  let opening: Promise<Bun.SQL> | undefined
  let closed = false
  let pending = 0

  async function current(): Promise<Bun.SQL> {
    if (closed) throw new Error('the database was closed')
    if (pool !== undefined) return pool
    opening ??= open()
    try {
      return await opening
    } finally {
      opening = undefined
    }
  }

  async function open(): Promise<Bun.SQL> {
    const opened = new Bun.SQL(await options(connection))
    if (closed) await opened.close({ timeout: 0 })
    else pool = opened
    return opened
  }

  /** A server that hangs answers no other query either, and only a new connection can tell whether it is back. */
  async function discard(sql: Bun.SQL): Promise<void> {
    if (pool === sql) pool = undefined
    await sql.close({ timeout: 0 })
  }

  async function query(statement: string, values: readonly string[] = []): Promise<Record<string, unknown>[]> {
    if (pending >= MAX_PENDING) throw new Error('too many queries are waiting for the database')
    pending++
    try {
      const sql = await current()
      const running = sql.unsafe(statement, [...values])
      return await limited(running, connection.connectMs + connection.queryMs, () => discard(sql))
    } finally {
      pending--
    }
  }

  return {
    query,
    isMissingTable: (error) => codeOf(error) === NO_SUCH_TABLE[connection.adapter],
    isForeignText: (error) => codeOf(error) === FOREIGN_TEXT[connection.adapter],
    async define(statement) {
      await query(statement)
    },
    async close() {
      closed = true
      const sql = pool
      pool = undefined
      await sql?.close({ timeout: 0 })
    },
  }
}

/** The server's own code, which MySQL has as a number. */
function codeOf(error: unknown): string | undefined {
  return error instanceof Bun.SQL.SQLError && 'errno' in error ? String(error.errno) : undefined
}

/** What `running` resolves to; an Error after `ms`, when `giveUp` has been told. The library has no time limit for queries. */
async function limited<T>(running: Promise<T>, ms: number, giveUp: () => Promise<void>): Promise<T> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => resolve('late'), ms)
  try {
    const first = await Promise.race([running.then((rows) => ({ rows })), late])
    if (first !== 'late') return first.rows
    await giveUp()
    throw new Error(`the database did not answer within ${ms} ms`)
  } finally {
    clearTimeout(timer)
  }
}

/** Everything is said aloud: what is left out, the library takes from variables such as PGDATABASE or MYSQL_PASSWORD. */
async function options(connection: ServerConnection): Promise<Bun.SQL.Options> {
  const { adapter, hostname, port, socket, username, password, database, connectMs, parameters } = connection
  const tls = await tlsOptions(connection.tls)
  return {
    ...{ adapter, hostname, port, username, database, tls },
    ...(socket === undefined ? {} : { path: socket }),
    // A function, for an empty text would count as left out.
    password: () => password,
    max: MAX_CONNECTIONS,
    connectionTimeout: Math.ceil(connectMs / 1_000),
    idleTimeout: IDLE_SECONDS,
    maxLifetime: LIFE_SECONDS,
    ...(adapter === 'postgres'
      ? // Without names, statements also work behind a pooler such as pgbouncer.
        { prepare: false, connection: { ...parameters } }
      : // Without TLS, MySQL 8's usual login needs the server's key from the server; go-sql-driver asks for it, too.
        { allowPublicKeyRetrieval: connection.tls.mode === 'off' || connection.tls.mode === 'prefer' }),
  }
}

async function tlsOptions(tls: ServerTls): Promise<Bun.TLSOptions | 'disable' | 'prefer'> {
  if (tls.mode === 'off') return 'disable'
  if (tls.mode === 'prefer') return 'prefer'
  const { authority, certificate, key, passphrase } = tls
  return {
    // Said aloud, for NODE_TLS_REJECT_UNAUTHORIZED would decide otherwise.
    rejectUnauthorized: tls.mode !== 'require',
    ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(authority === undefined ? {} : { ca: await pemText(authority) }),
    ...(certificate === undefined ? {} : { cert: await pemText(certificate) }),
    ...(key === undefined ? {} : { key: await pemText(key) }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
}

async function pemText(pem: Pem): Promise<string> {
  return 'text' in pem ? pem.text : await Bun.file(pem.path).text()
}
