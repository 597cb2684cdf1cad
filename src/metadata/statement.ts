import type { Compilable, CompiledQuery, QueryResult } from 'kysely'
import type { Handle } from './database.ts'
import { type Spelling, spellingOf } from './query-builder.ts'

interface Compiled<Values, Row> {
  query: CompiledQuery<Row>
  /** For each parameter the value that takes its place; undefined: it is the same each time. */
  places: readonly (keyof Values | undefined)[]
}

/**
 * A query that is built and compiled once for each kind of database, which costs several times what the database needs to
 * answer it. Only its values differ: `build` must make the same of whatever it is given, and not look at it. Each call names
 * the same values, none of them undefined.
 */
export function statement<Values extends object, Row>(
  build: (handle: Handle, values: Values) => Compilable<Row>,
): (handle: Handle, values: Values) => Promise<QueryResult<Row>> {
  const known = new WeakMap<Spelling, Compiled<Values, Row>>()

  function compile(handle: Handle, values: Values): Compiled<Values, Row> {
    // Something that stands for each value, and that a query cannot have by itself.
    const marks = new Map(
      (Object.keys(values) as (keyof Values)[]).map((name) => [Object.freeze({ name }) as unknown, name]),
    )
    const marked = Object.fromEntries([...marks].map(([mark, name]) => [name, mark])) as Values
    const query = build(handle, marked).compile()
    return { query, places: query.parameters.map((parameter) => marks.get(parameter)) }
  }

  return (handle, values) => {
    const spelling = spellingOf(handle)
    const compiled = known.get(spelling) ?? compile(handle, values)
    known.set(spelling, compiled)
    const { query, places } = compiled
    const parameters = places.map((name, index) => (name === undefined ? query.parameters[index] : values[name]))
    return handle.executeQuery({ ...query, parameters })
  }
}
