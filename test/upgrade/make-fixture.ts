/**
 * `npm run fixture [-- bin/berth]`: uses a registry and keeps its database as SQL, for the test that upgrades it from then on
 * (`upgrade.test.ts`). Run it for each release, before its tag is set; the test fails where the fixture of a release is missing.
 */
import { Database } from 'bun:sqlite'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { version } from '../../package.json' with { type: 'json' }
import { run } from '../programs.ts'
import { BERTH, startBerth } from '../start-berth.ts'
import { useRegistry } from './content.ts'
import { dump } from './dump.ts'
import { FIXTURES } from './fixtures.ts'

const program = resolve(process.argv[2] ?? BERTH)
const berth = await startBerth({ program, env: { REGISTRY_AUTH: 'none', REGISTRY_STORAGE_DELETE_ENABLED: 'true' } })
try {
  await useRegistry(berth.url)
  // Users came with the second schema.
  const user = [program, 'user', 'add', 'ann', '--password-stdin', '--admin', '--data', berth.dataDirectory]
  const { code, stderr } = await run(user, { stdin: 'only a fixture\n' })
  if (code !== 0) process.stderr.write(`no user: ${stderr}`)
  if ((await berth.stop()) !== 0) throw new Error(berth.log())
  const path = join(berth.dataDirectory, 'berth.db')
  const schema = new Database(path, { readonly: true }).query('SELECT max(version) FROM migrations').values()[0]?.[0]
  const file = join(FIXTURES, `schema-${schema}.sql`)
  const from = program === resolve(BERTH) ? `Berth ${version}` : 'an unreleased Berth'
  writeFileSync(file, `-- The database of ${from}, made by npm run fixture.\n${dump(path)}`)
  process.stdout.write(`${file}\n`)
} finally {
  await berth.dispose()
}
