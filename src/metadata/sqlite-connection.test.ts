import { expect, test } from 'bun:test'
import { connect } from './sqlite-connection.ts'

test('statements are kept prepared, as many as have a bounded length together', () => {
  const connection = connect(':memory:', 'write')
  /** Whether it is what was prepared before. */
  const isKept = (sql: string, known: unknown) => connection.prepare(sql) === known
  try {
    const short = 'SELECT 1'
    const kept = connection.prepare(short)
    const long = (count: number) => `SELECT 1 WHERE 1 IN (${Array.from({ length: count }, () => '1').join(', ')})`
    const statements = Array.from({ length: 100 }, (_, index) => long(2000 + index))
    const known = statements.map((sql) => connection.prepare(sql))
    expect(isKept(statements.at(-1) ?? '', known.at(-1))).toBe(true)
    expect([isKept(statements[0] ?? '', known[0]), isKept(short, kept)]).toEqual([false, false])
    // Short ones stay among others of their kind.
    const again = connection.prepare(short)
    for (let index = 0; index < 150; index++) connection.prepare(`SELECT ${index + 2}`)
    expect(isKept(short, again)).toBe(true)
  } finally {
    connection.close()
  }
})
