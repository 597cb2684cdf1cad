/**
 * `npm run mutants [-- [--runs N] [--by CATCHER | --try CATCHER] [WORD...]]`: breaks the collector in every way of `mutants.ts` (or in those whose names
 * contain a word), in a copy of the sources, and tells which test noticed. `--try` asks the catcher of all of them, whoever should notice. Exits with 1 when one that should has not. Takes
 * minutes; not part of `npm test`, which asks only that each mutant still fits the sources (`mutants.test.ts`).
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { applied } from './apply.ts'
import { type Catcher, MUTANTS, type Mutant } from './mutants.ts'

const PROJECT = join(import.meta.dir, '../..')
/** What `bun test` is given. */
const TESTS: Record<Catcher, readonly string[]> = {
  model: ['./src/registry/collect-model.test.ts'],
  postgres: ['./src/registry/collect-model-postgres.test.ts'],
  steps: [
    './src/registry/collect.test.ts',
    './src/registry/commit.test.ts',
    './src/registry/repository-deletions.test.ts',
  ],
  purges: ['./test/api/trash.test.ts'],
  locks: ['./src/metadata/postgres-locks.test.ts'],
  races: ['./src/metadata/postgres.test.ts', '-t', 'side by side|beside'],
  contract: ['./src/metadata/sqlite.test.ts', '-t', 'collection|blob|deletion of a repository'],
}
/** A busy machine is no mistake that was noticed. */
const PATIENT = ['--timeout', '120000']
/** Random runs that a mutant may survive. */
const RUNS: Partial<Record<Catcher, number>> = { model: 1000, postgres: 300 }

const words = process.argv.slice(2)
const at = words.indexOf('--runs')
const runs = at === -1 ? undefined : Number(words.splice(at, 2)[1])
const only = words.indexOf('--by')
const by = only === -1 ? undefined : words.splice(only, 2)[1]
const tried = words.indexOf('--try')
const trying = tried === -1 ? undefined : (words.splice(tried, 2)[1] as Catcher)
if (trying !== undefined && !(trying in TESTS))
  throw new Error(`there is no ${trying}: ${Object.keys(TESTS).join(', ')}`)
const wanted = MUTANTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))

const folder = mkdtempSync(join(tmpdir(), 'berth-mutants-'))
let survived = 0
try {
  for (const path of ['src', 'test', 'package.json', 'tsconfig.json'])
    cpSync(join(PROJECT, path), join(folder, path), { recursive: true })
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
  const asked = trying === undefined ? wanted.flatMap(({ caughtBy }) => caughtBy) : [trying]
  for (const catcher of new Set(asked)) {
    if (by !== undefined && by !== catcher) continue
    const broken = await failureOf(catcher)
    if (broken !== undefined) throw new Error(`${catcher} fails without a mutant: ${broken}`)
  }
  for (const mutant of wanted) {
    for (const catcher of trying === undefined ? mutant.caughtBy : [trying]) {
      if (by !== undefined && by !== catcher) continue
      const seen = await attempt(mutant, catcher)
      if (seen === undefined) survived++
      console.log(`${seen === undefined ? 'SURVIVED' : 'caught  '} ${catcher.padEnd(8)} ${mutant.name}: ${seen ?? ''}`)
    }
    if (mutant.caughtBy.length === 0 && trying === undefined)
      console.log(`nobody            ${mutant.name}: ${mutant.unnoticed}`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
console.log(`${wanted.length} mutants, ${survived} survived`)
process.exitCode = survived === 0 ? 0 : 1

/** What the first failure said, or undefined when all passed. */
async function attempt(mutant: Mutant, catcher: Catcher): Promise<string | undefined> {
  const path = join(folder, mutant.file)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, applied(mutant, text))
  try {
    return await failureOf(catcher)
  } finally {
    writeFileSync(path, text)
  }
}

/** Of the sources as they are in the folder. */
async function failureOf(catcher: Catcher): Promise<string | undefined> {
  const command = [
    process.execPath,
    '--no-env-file',
    '--config=/dev/null',
    'test',
    '--bail',
    ...PATIENT,
    ...TESTS[catcher],
  ]
  const count = runs ?? RUNS[catcher]
  const tests = Bun.spawn(command, {
    cwd: folder,
    env: { ...process.env, ...(count === undefined ? {} : { BERTH_MODEL_RUNS: String(count) }) },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [output, errors, code] = await Promise.all([
    new Response(tests.stdout).text(),
    new Response(tests.stderr).text(),
    tests.exited,
  ])
  return code === 0 ? undefined : reason(`${output}\n${errors}`)
}

function reason(output: string): string {
  const lines = output.split('\n')
  const first = lines.find((line) => /seed \d+, step/.test(line)) ?? lines.find((line) => /\(fail\)|error:/.test(line))
  return (first ?? 'the tests did not run').trim().slice(0, 160)
}
