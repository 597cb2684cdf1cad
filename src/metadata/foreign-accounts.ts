import { type ForeignConnection, parseConnection } from './foreign-connection.ts'
import type { ForeignDatabase } from './foreign-database.ts'
import { openFile } from './foreign-file.ts'
import { openServer } from './foreign-server.ts'

export interface ForeignAccountsOptions {
  type: 'mysql' | 'postgres' | 'sqlite3'
  /** As Go's drivers take it; see `parseConnection`. */
  connection: string
}

export interface ForeignAccount {
  /** Null where the column is. */
  passwordHash: string | null
  labels: Record<string, string[]>
}

/** Users and rules in tables that docker_auth's `xorm_auth` and `acl_xorm` read: somebody else's, so that they are only read. */
export interface ForeignAccounts {
  /** The newest row of exactly that name. @throws Error when the database does not answer, or holds labels that are none. */
  findUser(name: string): Promise<ForeignAccount | undefined>
  /** The entries as they stand there, in order. @throws Error when the database does not answer, or an entry is no JSON. */
  rules(): Promise<unknown[]>
  close(): Promise<void>
}

/** Databases that ignore case or space find more rows than are meant; so many of them are looked at. */
const MAX_ROWS = 100
/** Rules beyond which a list is refused, for a part of it would say something else. */
const MAX_RULES = 10_000

interface Dialect {
  users: string
  rules: string
  /** As docker_auth would make them. */
  createUsers: string
  createRules: string
}

/** Everything is asked for as text, so that no driver reads JSON or binary strings in a way of its own. */
function dialectOf(text: string, parameter: string, create: Pick<Dialect, 'createUsers' | 'createRules'>): Dialect {
  const columns = ['username', 'password_hash', 'labels'].map((name) => `CAST(${name} AS ${text}) AS ${name}`)
  return {
    users: `SELECT ${columns.join(', ')} FROM xorm_user WHERE username = ${parameter} ORDER BY id DESC LIMIT ${MAX_ROWS}`,
    rules: `SELECT CAST(acl_entry AS ${text}) AS entry, CAST(seq AS ${text}) AS seq FROM xorm_acl_entry ORDER BY xorm_acl_entry.seq LIMIT ${MAX_RULES + 1}`,
    ...create,
  }
}

const DIALECTS: Readonly<Record<ForeignConnection['adapter'], Dialect>> = {
  mysql: dialectOf('CHAR', '?', {
    createUsers: `CREATE TABLE IF NOT EXISTS xorm_user (id BIGINT(20) PRIMARY KEY AUTO_INCREMENT NOT NULL,
      username VARCHAR(128) NOT NULL, password_hash VARCHAR(128) NOT NULL, labels TEXT NULL)`,
    createRules: 'CREATE TABLE IF NOT EXISTS xorm_acl_entry (acl_entry TEXT NULL, seq BIGINT(20) NULL)',
  }),
  postgres: dialectOf('TEXT', '$1', {
    createUsers: `CREATE TABLE IF NOT EXISTS xorm_user (id BIGSERIAL PRIMARY KEY NOT NULL,
      username VARCHAR(128) NOT NULL, password_hash VARCHAR(128) NOT NULL, labels JSON NULL)`,
    createRules: 'CREATE TABLE IF NOT EXISTS xorm_acl_entry (acl_entry JSON NULL, seq BIGINT NULL)',
  }),
  sqlite: dialectOf('TEXT', '?', {
    createUsers: `CREATE TABLE IF NOT EXISTS xorm_user (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
      username TEXT NOT NULL, password_hash TEXT NOT NULL, labels TEXT NULL)`,
    createRules: 'CREATE TABLE IF NOT EXISTS xorm_acl_entry (acl_entry TEXT NULL, seq INTEGER NULL)',
  }),
}

/**
 * Connects at the first question, and again by itself after a loss.
 * @throws Error when the connection string is not usable.
 */
export function openForeignAccounts(options: ForeignAccountsOptions): ForeignAccounts {
  const connection = parseConnection(options.type, options.connection)
  const database = connection.adapter === 'sqlite' ? openFile(connection) : openServer(connection)
  const dialect = DIALECTS[connection.adapter]

  async function usersLike(name: string): Promise<Record<string, unknown>[]> {
    try {
      return await read(database, dialect.users, dialect.createUsers, [name])
    } catch (error) {
      if (database.isForeignText(error)) return []
      throw error
    }
  }

  return {
    async findUser(name) {
      // PostgreSQL answers a NUL with an error, and no text column of it can hold one.
      if (name.includes('\0')) return undefined
      const rows = await usersLike(name)
      // A collation may take `Bob` for `bob`, which rules tell apart.
      const row = rows.find(({ username }) => username === name)
      if (row === undefined) return undefined
      return { passwordHash: textOf(row.password_hash), labels: labelsOf(textOf(row.labels)) }
    },
    async rules() {
      const rows = await read(database, dialect.rules, dialect.createRules, [])
      if (rows.length > MAX_RULES) throw new Error(`xorm_acl_entry has more than ${MAX_RULES} rows`)
      return rows.map(({ entry, seq }) => parsed(textOf(entry), `the acl_entry whose seq is ${textOf(seq)} is no JSON`))
    },
    close: () => database.close(),
  }
}

/** The table is made when it is missing; where that is not allowed, the reason goes along. */
async function read(
  database: ForeignDatabase,
  select: string,
  create: string,
  values: readonly string[],
): Promise<Record<string, unknown>[]> {
  try {
    return await database.query(select, values)
  } catch (error) {
    if (!database.isMissingTable(error)) throw error
  }
  let refusal: unknown
  try {
    await database.define(create)
  } catch (error) {
    refusal = error
  }
  try {
    // Another process may have made it meanwhile.
    return await database.query(select, values)
  } catch (error) {
    if (refusal === undefined) throw error
    throw new Error('the table is missing and cannot be made', { cause: refusal })
  }
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

function labelsOf(text: string | null): Record<string, string[]> {
  const value = text === null || text === '' ? null : parsed(text, 'the labels of a user are no JSON')
  if (value === null) return {}
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error('the labels of a user are no map')
  return Object.fromEntries(
    Object.entries(value).map(([label, values]): [string, string[]] => {
      // Go writes null for a label without values.
      const list: unknown = values ?? []
      if (!isTexts(list)) throw new Error('the labels of a user are no lists of texts')
      return [label, list]
    }),
  )
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

/** @throws Error `problem`, and not that of JSON, which repeats the text. */
function parsed(text: string | null, problem: string): unknown {
  try {
    return text === null ? null : JSON.parse(text)
  } catch {
    throw new Error(problem)
  }
}
