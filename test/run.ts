/**
 * `npm test [-- PATH...]`: runs the tests of the project, or those whose path starts with (or contains) a PATH.
 *
 * Worker processes share the test files. Counts come from Bun's JUnit report; a file that is missing there (it failed
 * to load, or took its worker down) counts as one failure. The last line is `N passed, N failed[, N skipped]`.
 *
 * `timings.json` has the seconds of the longest files, so that those begin first; a run of all says what it found.
 */
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import longest from './timings.json'

const PROJECT = realpathSync(join(import.meta.dir, '..'))
/** Only to end what hangs: on a busy machine an honest test takes ten times as long. */
const TEST_TIMEOUT_MS = 180_000
/**
 * One more than a small machine has cores: tests wait for disks and other programs a good part of their time. `executable.test.ts` runs files
 * within a run.
 */
const WORKERS = process.env.BERTH_TEST_PROGRAM === undefined ? 3 : 2
/** The whole run; a hanging test ends long before. */
const RUN_TIMEOUT_MS = 75 * 60_000

interface Report {
  passed: number
  failed: number
  /** `file > group > test` of each skipped test's outermost group that says why. */
  skipped: string[]
  /** Path → seconds. */
  files: Map<string, number>
}

function testFiles(paths: readonly string[]): string[] {
  const all = ['src', 'test'].flatMap((folder) => [
    ...new Bun.Glob(`${folder}/**/*.test.{ts,tsx}`).scanSync({ cwd: PROJECT }),
  ])
  const wanted = paths.map((path) => path.replace(/^\.\//, ''))
  return all.filter((file) => wanted.length === 0 || wanted.some((path) => file.includes(path))).sort()
}

/** Seconds that a file takes which `timings.json` does not name. */
const SHORT = 2

/**
 * Bun gives each worker its part of the files, sorts it by what they took, longest first, and lets who is done take from the others':
 * all end together. A file that it is told nothing of would count as the longest.
 */
function timings(files: readonly string[]): { version: 1; files: Record<string, number> } {
  const seconds = new Map<string, number>(Object.entries(longest))
  return { version: 1, files: Object.fromEntries(files.map((file) => [file, 1000 * (seconds.get(file) ?? SHORT)])) }
}

/**
 * Where the program's Workers are put together for production, as long as nothing has changed since (`bin/run-bun` asks the same): each
 * starts there in a quarter of the time that its source takes, and tests start thousands. Otherwise from the source.
 */
function workers(): string[] {
  const bundle = join(PROJECT, 'dist/bundle')
  const builtFor = readIfThere(join(bundle, 'built-for'))
  if (builtFor !== `${PROJECT}\n${process.execPath}\n`) return []
  const sources = ['src', 'package.json', 'tsconfig.json', 'node_modules/.package-lock.json']
  const { stdout, exitCode } = Bun.spawnSync(['find', ...sources, '-cnewer', join(bundle, 'built-for')], {
    cwd: PROJECT,
  })
  if (exitCode !== 0 || stdout.length > 0) return []
  return ['--define', `BUNDLE=${JSON.stringify(pathToFileURL(`${bundle}/`).href)}`]
}

const SLOWEST = 12

/** The name under which Bun reports a skipped group's beforeAll and afterAll. */
const HOOK = '(unnamed)'

/** One `<testcase>` or `<testsuite>` opens, or a `<testsuite>` closes; the attributes that count are name and file. */
const ELEMENT = /<(testsuite|testcase)\b([^>]*?)(\/?)>|<\/(testsuite|testcase)>|<(failure|error|skipped)\b/g

function readReport(xml: string): Report {
  const report: Report = { passed: 0, failed: 0, skipped: [], files: new Map() }
  const groups: string[] = []
  let current: { name: string; outcome: 'passed' | 'failed' | 'skipped' } | undefined
  const finish = () => {
    if (current === undefined) return
    if (current.outcome === 'passed') report.passed++
    else if (current.outcome === 'failed') report.failed++
    else if (current.name !== HOOK) report.skipped.push([...groups, current.name].join(' > '))
    current = undefined
  }
  for (const [, opened, attributes = '', selfClosed, closed, outcome] of xml.matchAll(ELEMENT)) {
    if (opened === 'testsuite') {
      const name = attribute(attributes, 'name')
      if (groups.length === 0) report.files.set(attribute(attributes, 'file'), Number(attribute(attributes, 'time')))
      if (selfClosed === '') groups.push(name)
    } else if (opened === 'testcase') {
      current = { name: attribute(attributes, 'name'), outcome: 'passed' }
      if (selfClosed === '/') finish()
    } else if (closed === 'testsuite') groups.pop()
    else if (closed === 'testcase') finish()
    else if (outcome !== undefined && current !== undefined) {
      current.outcome = outcome === 'skipped' ? 'skipped' : 'failed'
    }
  }
  return report
}

function attribute(text: string, name: string): string {
  const value = new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1] ?? ''
  const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }
  return value.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, entity) =>
    code === undefined ? (entities[entity] ?? whole) : String.fromCodePoint(Number(code)),
  )
}

/** Skipped tests, one line for each remedy that a group's title gives (see `describeWith`), else one for each test. */
function skippedLines(skipped: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const name of skipped) {
    const end = name.indexOf(']')
    const key = name.includes('[needs ') && end !== -1 ? name.slice(0, end + 1) : name
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return [...counts].map(([name, count]) => `  ${name}${count > 1 ? ` (${count} tests)` : ''}`)
}

/** Where the time of a long run went. */
function slowestLine(seconds: ReadonlyMap<string, number>): string {
  const slowest = [...seconds].sort(([, a], [, b]) => b - a).slice(0, SLOWEST)
  return `slowest: ${slowest.map(([file, time]) => `${file} ${time.toFixed()} s`).join(', ')}`
}

async function main(): Promise<number> {
  const files = testFiles(process.argv.slice(2))
  if (files.length === 0) {
    console.log('no test file matches\n0 passed, 0 failed')
    return 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
  try {
    const outfile = join(folder, 'report.xml')
    const timed = join(folder, 'timings.json')
    writeFileSync(timed, JSON.stringify(timings(files)))
    const child = Bun.spawn(
      [
        process.execPath,
        '--no-env-file',
        '--config=/dev/null',
        '--max-http-header-size=65536',
        'test',
        '--only-failures',
        ...workers(),
        `--timeout=${TEST_TIMEOUT_MS}`,
        ...(files.length > 1 ? [`--parallel=${WORKERS}`, `--timings=${timed}`] : []),
        '--reporter=junit',
        `--reporter-outfile=${outfile}`,
        ...files.map((file) => `./${file}`),
      ],
      {
        cwd: PROJECT,
        stdin: 'ignore',
        stdout: 'inherit',
        stderr: 'inherit',
        timeout: RUN_TIMEOUT_MS,
        killSignal: 'SIGKILL',
      },
    )
    // Whoever ends the run ends the tests too: they stop the servers that they started.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
    const code = await child.exited
    const report = readReport(readIfThere(outfile))
    const lost = files.filter((file) => !report.files.has(file))
    // A file of which every test is skipped by itself is in the report; one without any test is an error in itself.
    for (const file of lost) console.log(`no result from ${file}`)
    const failed = Math.max(report.failed + lost.length, code === 0 ? 0 : 1)
    if (report.skipped.length > 0) console.log(`\nskipped:\n${skippedLines(report.skipped).join('\n')}`)
    if (files.length > SLOWEST) console.log(`\n${slowestLine(report.files)}`)
    const skips = report.skipped.length > 0 ? `, ${report.skipped.length} skipped` : ''
    console.log(`\n${report.passed} passed, ${failed} failed${skips}`)
    return failed > 0 || report.passed === 0 ? 1 : 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

process.exit(await main())
