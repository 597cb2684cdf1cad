import { Database } from 'bun:sqlite'

interface Entry {
  type: string
  name: string
  sql: string
}

/** A database as SQL, the same for the same rows: `sqlite3 .dump` without the program. */
export function dump(path: string): string {
  using database = new Database(path, { readonly: true })
  const entries = database
    .query<Entry, []>(
      `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'
       ORDER BY type = 'table' DESC, rowid`,
    )
    .all()
  const lines = entries.flatMap(({ type, name, sql }) => {
    if (type !== 'table') return [`${sql};`]
    const rows = database.query(`SELECT * FROM "${name}" ORDER BY rowid`).values()
    return [`${sql};`, ...rows.map((row) => `INSERT INTO "${name}" VALUES (${row.map(literal).join(', ')});`)]
  })
  // Which numbers were given; the table is there once a table that asks for it is.
  const numbered = entries.some(({ sql }) => /\bautoincrement\b/i.test(sql))
  const numbers = numbered ? database.query('SELECT name, seq FROM sqlite_sequence ORDER BY name').values() : []
  lines.push(...numbers.map((row) => `INSERT INTO sqlite_sequence VALUES (${row.map(literal).join(', ')});`))
  return `${lines.join('\n')}\n`
}

/** Makes the database of a dump. */
export function load(path: string, text: string): void {
  using database = new Database(path, { create: true })
  database.run('PRAGMA foreign_keys = OFF')
  database.run(`BEGIN;\n${text}\nCOMMIT;`)
}

/** What a schema is, whatever way led to it: each table with its columns and foreign keys, and all indexes. */
export function schemaOf(path: string): Record<string, unknown> {
  using database = new Database(path, { readonly: true })
  const all = (sql: string, name: string) => database.query(sql).all(name) as Record<string, unknown>[]
  const tables = database.query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
  return Object.fromEntries(
    tables.map(({ name }) => {
      const columns = all('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_xinfo(?)', name)
      const keys = all('SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(?)', name)
      const indexes = all('SELECT name, "unique", origin, partial FROM pragma_index_list(?)', name).map((index) => [
        index,
        all('SELECT name FROM pragma_index_xinfo(?) WHERE key', String(index.name)),
      ])
      const sorted = (entries: unknown[]) => entries.map((entry) => JSON.stringify(entry)).sort()
      return [name, { columns: sorted(columns), keys: sorted(keys), indexes: sorted(indexes) }]
    }),
  )
}

function literal(value: unknown): string {
  if (value === null) return 'NULL'
  if (value instanceof Uint8Array) return `X'${Buffer.from(value).toString('hex')}'`
  if (typeof value === 'string' && !value.includes('\0')) return `'${value.replaceAll("'", "''")}'`
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw new Error(`a value that cannot be written as SQL: ${typeof value}`)
}
