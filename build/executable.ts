/**
 * Makes single-file executables of the program: `npm run build [-- linux-x64 | linux-arm64]...` writes
 * `dist/berth-linux-x64` and `dist/berth-linux-arm64`, which run with no Node, no Bun and no node_modules. The runtime for
 * another processor comes from its npm package, which must be the very one that package-lock.json pins.
 */
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { recordSchema } from '../src/metadata/sqlite-schema.ts'
import { WORKER_PROGRAMS } from '../src/threads/worker-program.ts'
import { later } from './later.ts'

const home = resolve(import.meta.dir, '..')
const dist = join(home, 'dist')

const TARGETS = {
  'linux-x64': { cpu: 'x64', runtime: '@oven/bun-linux-x64' },
  'linux-arm64': { cpu: 'arm64', runtime: '@oven/bun-linux-aarch64' },
} as const
type Target = keyof typeof TARGETS

for (const target of targets(process.argv.slice(2))) await build(target)

function targets(asked: readonly string[]): Target[] {
  const known = Object.keys(TARGETS) as Target[]
  const unknown = asked.find((name) => !known.some((target) => target === name))
  if (unknown !== undefined) {
    process.stderr.write(`build: ${unknown} is no target; there are ${known.join(' and ')}\n`)
    process.exit(2)
  }
  return asked.length === 0 ? known : known.filter((target) => asked.includes(target))
}

async function build(target: Target): Promise<void> {
  const { cpu, runtime } = TARGETS[target]
  const draft = mkdtempSync(join(tmpdir(), 'berth-build-'))
  try {
    const outfile = join(draft, 'berth')
    await Bun.build({
      entrypoints: ['main', ...WORKER_PROGRAMS].map((name) => join(home, 'src', `${name}.ts`)),
      root: join(home, 'src'),
      // Where the runtime shows what it carries.
      define: {
        BUNDLE: JSON.stringify('file:///$bunfs/root/'),
        NEW_SCHEMA: JSON.stringify(JSON.stringify(await recordSchema())),
      },
      plugins: [later],
      target: 'bun',
      format: 'cjs',
      // Of this machine's kind alone: byte code is the processor's.
      bytecode: cpu === process.arch,
      minify: { syntax: true, whitespace: true },
      compile: {
        target: `bun-linux-${cpu}`,
        executablePath: cpu === process.arch ? process.execPath : await fetchRuntime(runtime, draft),
        outfile,
        // What bin/run-bun says: nothing of the folder in which it is called is loaded.
        ...{ autoloadBunfig: false, autoloadDotenv: false, autoloadPackageJson: false, autoloadTsconfig: false },
        execArgv: ['--max-http-header-size=65536'],
      },
    })
    chmodSync(outfile, 0o755)
    mkdirSync(dist, { recursive: true })
    const file = join(dist, `berth-${target}`)
    // A name of its own: whoever builds at the same time gets a whole file, too.
    const placed = `${file}.${process.pid}.draft`
    await Bun.write(placed, Bun.file(outfile))
    chmodSync(placed, 0o755)
    renameSync(placed, file)
    process.stdout.write(`dist/berth-${target} ${(Bun.file(file).size / 2 ** 20).toFixed(0)} MiB\n`)
  } finally {
    rmSync(draft, { recursive: true })
  }
}

/** Resolves to the path of the runtime's program, out of the package that the lock file names. @throws Error */
async function fetchRuntime(name: string, folder: string): Promise<string> {
  const lock = JSON.parse(readFileSync(join(home, 'package-lock.json'), 'utf8'))
  const pinned: { version: string; integrity: string } | undefined = lock.packages[`node_modules/${name}`]
  if (pinned === undefined) throw new Error(`package-lock.json does not name ${name}`)
  const kept = join(home, 'node_modules/.cache/berth-build', `${name.replace('/', '-')}-${pinned.version}.tgz`)
  if (!existsSync(kept) || integrity(kept) !== pinned.integrity) {
    mkdirSync(join(kept, '..'), { recursive: true })
    await must(['npm', 'pack', '--silent', '--pack-destination', folder, `${name}@${pinned.version}`], home)
    const packed = join(folder, `${name.replace('@', '').replace('/', '-')}-${pinned.version}.tgz`)
    const found = integrity(packed)
    if (found !== pinned.integrity) {
      throw new Error(`${name}@${pinned.version} is not what package-lock.json pins: ${found}`)
    }
    await Bun.write(kept, Bun.file(packed))
  }
  await must(['tar', '-xzf', kept, '-C', folder, 'package/bin/bun'], folder)
  return join(folder, 'package/bin/bun')
}

function integrity(path: string): string {
  return `sha512-${createHash('sha512').update(readFileSync(path)).digest('base64')}`
}

async function must(command: string[], cwd: string): Promise<void> {
  const child = Bun.spawn(command, { cwd, stdout: 'ignore', stderr: 'pipe' })
  const [code, said] = await Promise.all([child.exited, child.stderr.text()])
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${said.trim()}`)
}
