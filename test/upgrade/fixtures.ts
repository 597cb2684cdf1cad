import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Databases of old releases, as SQL: `schema-N.sql`. */
export const FIXTURES = join(import.meta.dir, '../../src/metadata/migrations/fixtures')

/** The versions of the schema that have one, in order. */
export function fixtureVersions(): number[] {
  return readdirSync(FIXTURES)
    .flatMap((name) => Number(/^schema-(\d+)\.sql$/.exec(name)?.[1] ?? Number.NaN))
    .filter((version) => !Number.isNaN(version))
    .sort((a, b) => a - b)
}
