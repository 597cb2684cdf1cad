import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment, describeWith, program, run } from './programs.ts'
import { BERTH } from './start-berth.ts'

/** Milliseconds; only to end a test that hangs. */
setDefaultTimeout(180_000)

const REGISTRY = join(import.meta.dir, '../bin/registry')

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-program-'))
  const files = {
    'version.yml': 'version: 0.2\nstorage: {filesystem: }\n',
    'two.yml': 'version: 0.1\nstorage:\n  inmemory:\n  filesystem:\n',
    'none.yml': 'version: 0.1\n',
    'tab.yml': 'version: 0.1\n\tstorage: x\n',
    'auth.yml': 'version: 0.1\nstorage: {filesystem: {rootdirectory: data}}\nauth: {htpasswd: {}, token: {}}\n',
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
})
afterAll(() => rmSync(folder, { recursive: true }))

const registry = (args: string[], env: Record<string, string> = {}) => run([REGISTRY, ...args], { cwd: folder, env })

describeWith(['docker-registry'], 'registry ends as the original does', () => {
  const rows: [sentence: string, args: string[], env: Record<string, string>, code: number, said: string][] = [
    ['with its version', ['-v'], {}, 0, ''],
    ['with its version in full', ['--version'], {}, 0, ''],
    ['with its help', ['--help'], {}, 0, ''],
    ['with the help of a command', ['serve', '--help'], {}, 0, ''],
    ['without a command', [], {}, 0, ''],
    ['with a file that is not there', ['serve', 'no.yml'], {}, 1, 'no.yml'],
    ['with the same in the variable', ['serve'], { REGISTRY_CONFIGURATION_PATH: 'no.yml' }, 1, 'no.yml'],
    ['with another version', ['serve', 'version.yml'], {}, 1, 'unsupported version: "0.2"'],
    [
      'with two kinds of storage',
      ['serve', 'two.yml'],
      {},
      1,
      'must provide exactly one storage type. Provided: [inmemory filesystem]',
    ],
    ['without storage', ['serve', 'none.yml'], {}, 1, 'no storage configuration provided'],
    ['with a tab', ['serve', 'tab.yml'], {}, 1, 'tab'],
    ['with two kinds of authentication', ['serve', 'auth.yml'], {}, 1, 'must provide exactly one type. Provided: ['],
  ]
  test.each(rows)('%s', async (_, args, env, code, said) => {
    const theirs = await run([program('docker-registry'), ...args], { cwd: folder, env })
    const ours = await registry(args, env)
    // Which of two keys comes first is chance there.
    const text = theirs.stdout + theirs.stderr
    expect([theirs.code, ours.code]).toEqual([code, code])
    expect(said.startsWith('must') || text.toLowerCase().includes(said.toLowerCase())).toBe(true)
    expect((ours.stdout + ours.stderr).toLowerCase()).toContain(said.toLowerCase())
    // Scripts read either stream.
    expect([theirs.stdout !== '', theirs.stderr !== '']).toEqual([ours.stdout !== '', ours.stderr !== ''])
  })

  test('with a version in three words', async () => {
    const [theirs, ours] = [await run([program('docker-registry'), '-v']), await registry(['-v'])]
    expect(theirs.stdout).toMatch(/^\S+ \S+ v?\d+\.\d+\.\S+\n$/)
    expect(ours.stdout).toMatch(/^registry berth v\d+\.\d+\.\S+\n$/)
  })
})

describe('where the original says nothing, the code of a wrong usage is 2', () => {
  test.each([
    ['an unknown command', ['prune'], 'registry: unknown command "prune" for "registry"\n'],
    ['an unknown flag', ['serve', '--quick'], "registry: unknown option '--quick'\nHint: registry serve --help\n"],
  ])('%s', async (_, args, stderr) => {
    expect(await registry(args)).toEqual({ code: 2, stdout: '', stderr })
  })
})

/** Starts a program, waits for its ready line, ends it, and tells all that it said. */
async function said(command: string[], env: Record<string, string>): Promise<string> {
  const child = Bun.spawn(command, { cwd: folder, env: cleanEnvironment(env), stderr: 'pipe', stdout: 'ignore' })
  const decoder = new TextDecoder()
  let text = ''
  let isReady = false
  for await (const chunk of child.stderr) {
    text += decoder.decode(chunk, { stream: true })
    if (isReady || !/listening on \S+\n[\s\S]*data in .*\n/.test(text)) continue
    isReady = true
    child.kill('SIGTERM')
  }
  expect([await child.exited, isReady, text]).toEqual([0, true, text])
  return text
}

describe('a file alone asks to serve it', () => {
  const env = { REGISTRY_HTTP_ADDR: '127.0.0.1:0' }
  const file = 'version: 0.1\nstorage: {filesystem: {rootdirectory: data}}\nauth: none\n'
  beforeAll(() => writeFileSync(join(folder, 'serve.yml'), file))
  const rows: [sentence: string, command: string[], env: Record<string, string>][] = [
    ['registry serve', [REGISTRY, 'serve', 'serve.yml'], {}],
    ['registry', [REGISTRY, 'serve.yml'], {}],
    ['registry with the variable', [REGISTRY, 'serve'], { REGISTRY_CONFIGURATION_PATH: 'serve.yml' }],
    ['berth registry', [BERTH, 'registry', 'serve.yml'], {}],
    ['berth', [BERTH, 'serve.yml'], {}],
  ]
  test.each(rows)('%s', async (_, command, more) => {
    expect(await said(command, { ...env, ...more })).toContain(`data in ${join(folder, 'data')}`)
  })

  test('and the program may be a link', async () => {
    const link = join(folder, 'registry')
    symlinkSync(REGISTRY, link)
    expect((await run([link, '-v'])).stdout).toStartWith('registry berth v')
  })
})
