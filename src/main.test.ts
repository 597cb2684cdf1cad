import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { BERTH } from '../test/start-berth.ts'

test('a reader that has seen enough is no failure of the command', async () => {
  // The reader has ended before the command begins, so that its first write finds a closed pipe.
  const script = 'exec > >(true); wait $!; exec "$0" config schema'
  const command = Bun.spawn(['bash', '-c', script, BERTH], { stdout: 'ignore', stderr: 'pipe' })
  const [error, code] = await Promise.all([command.stderr.text(), command.exited])
  expect({ error, code }).toEqual({ error: '', code: 0 })
}, 120_000)

test.each(['config schema', '--help', 'version', 'catalog --help'])(
  'output that a full disk does not take is one line of an error: berth %s',
  async (words) => {
    const command = Bun.spawn([BERTH, ...words.split(' ')], { stdout: Bun.file('/dev/full'), stderr: 'pipe' })
    const [error, code] = await Promise.all([command.stderr.text(), command.exited])
    const said = 'berth: cannot write standard output: ENOSPC: no space left on device, write\n'
    expect({ error, code }).toEqual({ error: said, code: 1 })
  },
  120_000,
)

test('serve, which is loaded without the other commands, has the same help, version and errors', async () => {
  const run = async (...args: string[]) => {
    const child = Bun.spawn([BERTH, ...args], { stdout: 'pipe', stderr: 'pipe' })
    const [code, out, error] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
    return { code, out, error }
  }
  const [alone, among, version, plainVersion, wrong] = await Promise.all([
    run('serve', '--help'),
    run('help', 'serve'),
    run('serve', '-v'),
    run('-v'),
    run('serve', '--no-such-flag'),
  ])
  expect(alone.out).toContain('Usage: berth serve [options] [config.yml]')
  expect(alone).toEqual(among)
  expect(version).toEqual(plainVersion)
  expect([wrong.code, wrong.error]).toEqual([2, "berth: unknown option '--no-such-flag'\nHint: berth serve --help\n"])
}, 120_000)

test.each([
  ['an image, which has one too', ['config', '127.0.0.1:1/team/app:v1'], 5, 'berth: cannot reach 127.0.0.1:1'],
  ['the same, with an option', ['config', 'a.invalid/app@sha256:12', '-p', 'linux/arm64'], 64, 'berth: '],
  ['a word that may be anything', ['config', 'app'], 2, 'berth: berth config has no command "app"'],
  ['a file that is misspelt', ['config', 'conf/config.yml'], 2, 'berth: berth config has no command "conf/config.yml"'],
  ['a file', ['config', join('..', 'main.test.ts')], 2, 'berth: berth config has no command'],
])(
  'config asks for %s',
  async (_, words, code, error) => {
    const child = Bun.spawn([BERTH, ...words], { cwd: import.meta.dir, stdout: 'ignore', stderr: 'pipe' })
    const said = await child.stderr.text()
    expect({ code: await child.exited, said }).toEqual({ code, said: expect.stringContaining(error) })
  },
  120_000,
)
