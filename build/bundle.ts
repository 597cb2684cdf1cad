/**
 * Puts the program and what it always loads into one file with the byte code made (dist/bundle), which starts about twice
 * as fast as 700 files of source: `bin/run-bun build/bundle.ts`. npm does it after an install. `bin/run-bun` takes the bundle
 * only while no source has changed since, and the source itself otherwise: this is a matter of speed alone.
 */
import { mkdirSync, readdirSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { recordSchema } from '../src/metadata/sqlite-schema.ts'
import { WORKER_PROGRAMS } from '../src/threads/worker-program.ts'
import { later } from './later.ts'

const home = realpathSync(join(import.meta.dir, '..'))
const dist = join(home, 'dist')
const bundle = join(dist, 'bundle')
/** Loaded at their first use, from node_modules: few installations have any. */
const SELDOM = ['casbin', 'ldapts', 'mongodb', 'nodemailer', 'openid-client']

const draft = join(dist, `draft-${process.pid}`)
mkdirSync(draft, { recursive: true })
try {
  // Written first: what changes while the files are read makes the bundle stale. It works in this folder alone.
  writeFileSync(join(draft, 'built-for'), `${home}\n${process.execPath}\n`)
  await Bun.build({
    ...{ entrypoints: ['main', ...WORKER_PROGRAMS].map((name) => join(home, 'src', `${name}.ts`)) },
    ...{ root: join(home, 'src'), outdir: draft, external: SELDOM, plugins: [later] },
    // Byte code can only be made of this format, in which import.meta is the source's: Workers have to be told their place.
    define: {
      BUNDLE: JSON.stringify(pathToFileURL(`${bundle}/`).href),
      NEW_SCHEMA: JSON.stringify(JSON.stringify(await recordSchema())),
    },
    ...{ target: 'bun', format: 'cjs', bytecode: true, minify: { syntax: true }, sourcemap: 'external' },
  })
  setMapsAside()
  rmSync(bundle, { recursive: true, force: true })
  renameSync(draft, bundle)
} catch (error) {
  rmSync(draft, { recursive: true, force: true })
  const reason = error instanceof Error ? error.message : String(error)
  process.stderr.write(
    `berth: runs from source, which starts more slowly, because it could not be bundled: ${reason}\n`,
  )
}

/**
 * The runtime reads a map that lies beside its file as soon as garbage is collected while any error is held: 0.1 s in which no
 * request is answered, before the first one most often. `src/telemetry/source-place.ts` finds them where they are.
 */
function setMapsAside(): void {
  for (const name of readdirSync(draft, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.map')) continue
    const aside = join(draft, 'maps', name)
    mkdirSync(dirname(aside), { recursive: true })
    renameSync(join(draft, name), aside)
  }
}
