/**
 * `npm run mutants [-- [--runs N] [--by CATCHER] [WORD...]]`: breaks the collector in every way of `mutants.ts` (or in those whose names
 * contain a word), in a copy of the sources, and tells which test noticed. Exits with 1 when one that should has not. Takes
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
  steps: ['./src/registry/collect.test.ts'],
  contract: ['./src/metadata/sqlite.test.ts', '-t', 'collection|blob'],
}
/** Random runs that a mutant may survive. */
const RUNS: Partial<Record<Catcher, number>> = { model: 1000, postgres: 300 }

const words = process.argv.slice(2)
const at = words.indexOf('--runs')
const runs = at === -1 ? undefined : Number(words.splice(at, 2)[1])
const only = words.indexOf('--by')
const by = only === -1 ? undefined : words.splice(only, 2)[1]
const wanted = MUTANTS.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)))

const folder = mkdtempSync(join(tmpdir(), 'berth-mutants-'))
let survived = 0
try {
  for (const path of ['src', 'test', 'package.json', 'tsconfig.json'])
    cpSync(join(PROJECT, path), join(folder, path), { recursive: true })
  symlinkSync(join(PROJECT, 'node_modules'), join(folder, 'node_modules'))
  for (const mutant of wanted) {
    for (const catcher of mutant.caughtBy) {
      if (by !== undefined && by !== catcher) continue
      const seen = await attempt(mutant, catcher)
      if (seen === undefined) survived++
      console.log(`${seen === undefined ? 'SURVIVED' : 'caught  '} ${catcher.padEnd(8)} ${mutant.name}: ${seen ?? ''}`)
    }
    if (mutant.caughtBy.length === 0) console.log(`nobody            ${mutant.name}`)
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
    const command = [process.execPath, '--no-env-file', '--config=/dev/null', 'test', '--bail', ...TESTS[catcher]]
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
  } finally {
    writeFileSync(path, text)
  }
}

function reason(output: string): string {
  const lines = output.split('\n')
  const first = lines.find((line) => /seed \d+, step/.test(line)) ?? lines.find((line) => /\(fail\)|error:/.test(line))
  return (first ?? 'the tests did not run').trim().slice(0, 160)
}
