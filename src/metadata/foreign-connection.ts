import { BadConnection } from './connection-parameters.ts'
import { parseMysqlConnection } from './mysql-connection.ts'
import { parsePostgresConnection } from './postgres-connection.ts'
import { parseSqliteConnection } from './sqlite-file.ts'

/** A database server of somebody else, as its connection string describes it. */
export interface ServerConnection {
  adapter: 'mysql' | 'postgres'
  hostname: string
  port: number
  /** Path of a unix socket, which then stands in place of host and port. */
  socket: string | undefined
  username: string
  password: string
  database: string
  tls: ServerTls
  /** Milliseconds to connect and log in. */
  connectMs: number
  /** Milliseconds for the answer to a query. */
  queryMs: number
  /** Run-time parameters of PostgreSQL, set for the session by the server, which refuses those that it does not know. */
  parameters: Readonly<Record<string, string>>
}

/**
 * `off`; `prefer`: where the server offers it, unverified; `require`: always, unverified; `verify-ca`: signed by the given
 * authority; `verify-full`: also made for this host.
 */
export interface ServerTls {
  mode: 'off' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  /** Undefined: the authorities that the system trusts. */
  authority?: Pem
  certificate?: Pem
  key?: Pem
  passphrase?: string
}

/** PEM text, or the file that holds it, which is read for each pool of connections. */
export type Pem = { text: string } | { path: string }

export interface FileConnection {
  adapter: 'sqlite'
  path: string
  /** A missing table may be made, if the file lets us. */
  mayWrite: boolean
  /** Milliseconds to wait for somebody who writes. */
  busyMs: number
}

export type ForeignConnection = ServerConnection | FileConnection

/**
 * Reads a connection string as the Go drivers take it: go-sql-driver's for MySQL and MariaDB, lib/pq's for PostgreSQL,
 * go-sqlite3's for SQLite. Parameters are honoured, are known to change nothing here, or are refused.
 * @throws Error that says what is wrong, without a part of the string that may be a secret.
 */
export function parseConnection(type: 'mysql' | 'postgres' | 'sqlite3', text: string): ForeignConnection {
  try {
    if (type === 'mysql') return parseMysqlConnection(text)
    return type === 'postgres' ? parsePostgresConnection(text) : parseSqliteConnection(text)
  } catch (error) {
    // Without the error as a cause: that of a URL or an escape repeats the text.
    throw new Error(
      `the connection string for ${type}: ${error instanceof BadConnection ? error.message : 'is malformed'}`,
    )
  }
}
