import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { version } from '../../package.json' with { type: 'json' }
import { MIGRATIONS } from '../../src/metadata/migrations/migrate.ts'
import { openWriter } from '../../src/metadata/sqlite-writer.ts'
import { auditDirectory } from '../crash/audit.ts'
import { strays } from '../crash/strays.ts'
import { makeImage, pushImage } from '../image.ts'
import { must } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { BLOBS, expectRegistry, UNFINISHED } from './content.ts'
import { dump, load, schemaOf } from './dump.ts'
import { FIXTURES, fixtureVersions } from './fixtures.ts'

const NEWEST = MIGRATIONS.length
const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const TIMEOUT = 180_000

describe('a database of an old release', () => {
  let folder = ''
  let fresh: Record<string, unknown> = {}

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-upgrade-'))
    const path = join(folder, 'fresh.db')
    ;(await openWriter({ path, now: 1 })).close()
    fresh = schemaOf(path)
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('is kept for each release: npm run fixture, before its tag is set', () => {
    const changelog = readFileSync(join(import.meta.dir, '../../CHANGELOG.md'), 'utf8')
    const heading = changelog.split('\n').find((line) => line.startsWith(`## ${version}`))
    expect(heading).toBeDefined()
    const versions = fixtureVersions()
    const isReleased = !heading?.includes('unreleased')
    expect({ version, hasFixture: versions.includes(NEWEST) || !isReleased }).toEqual({ version, hasFixture: true })
    expect(versions.at(-1)).toBeLessThanOrEqual(NEWEST)
  })

  test.each(fixtureVersions())(
    'of schema %d is upgraded, serves all that it served, and takes what is new; as it was before lies beside it',
    async (schema) => {
      const data = join(folder, `data-${schema}`)
      mkdirSync(data)
      const path = join(data, 'berth.db')
      load(path, readFileSync(join(FIXTURES, `schema-${schema}.sql`), 'utf8'))
      const before = dump(path)
      const upload = layOut(data, path)
      let berth: Berth | undefined
      try {
        berth = await startBerth({ dataDirectory: data, env: ENV })
        await expectRegistry(berth.url, upload)
        await pushImage(berth.url, 'team/new', makeImage({ seed: 'new', layers: [100] }), { tag: 'v1' })
        const users = JSON.parse(await must([BERTH, 'user', 'list', '--format', 'json', '--data', data], { env: ENV }))
        expect(JSON.stringify(users).includes('"ann"')).toBe(before.includes("'ann'"))
        expect(await berth.stop()).toBe(0)
      } finally {
        await berth?.dispose()
      }
      expect(
        [...strays(data), ...auditDirectory(data)].filter((fault) => !fault.includes(' is in no repository')),
      ).toEqual([])
      expect(schemaOf(path)).toEqual(fresh)
      const copy = join(data, `berth-snapshots/before-schema-${NEWEST}-was-${schema}.db`)
      if (schema === NEWEST) expect(existsSync(copy)).toBe(false)
      else expect(dump(copy)).toBe(before)
    },
    TIMEOUT,
  )
})

/** Puts the bytes there that the rows name. Answers the id of the upload under way. */
function layOut(data: string, path: string): string {
  using database = new Database(path, { readonly: true })
  const known = new Map(BLOBS.map(({ digest, bytes }) => [String(digest), bytes]))
  for (const [digest, key] of database.query('SELECT digest, storage_key FROM blobs').values()) {
    const bytes = known.get(String(digest))
    if (bytes === undefined) throw new Error(`a fixture names a blob that nobody pushed: ${digest}`)
    write(join(data, String(key)), bytes)
  }
  const id = String(database.query('SELECT id FROM uploads').values()[0]?.[0])
  write(join(data, 'berth-uploads', id), UNFINISHED)
  return id
}

function write(path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
}
