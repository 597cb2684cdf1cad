import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, run } from './programs.ts'
import { BERTH } from './start-berth.ts'

/** Milliseconds; only to end a test that hangs. */
setDefaultTimeout(180_000)

let folder: string
let taken: Server
let port: number
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-start-'))
  // Another user shall come as far as the data.
  chmodSync(folder, 0o755)
  mkdirSync(join(folder, 'foreign'))
  writeFileSync(join(folder, 'file'), 'mine')
  taken = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => taken.once('listening', resolve))
  const address = taken.address()
  port = typeof address === 'object' && address !== null ? address.port : 0
})
afterAll(() => {
  taken.close()
  rmSync(folder, { recursive: true })
})

const choose = 'choose another with --data DIR or storage.filesystem.rootdirectory'
const config = (more: string) => `version: 0.1\nstorage: {filesystem: {rootdirectory: data}}\nauth: none\n${more}`

describe('a start that fails says what, where and what to do, and ends with 1', () => {
  const rows: [sentence: string, args: () => string[], file: string | undefined, stderr: () => string][] = [
    [
      'a port in use',
      () => ['--addr', `127.0.0.1:${port}`, '--data', 'data'],
      undefined,
      () =>
        `berth: cannot listen on 127.0.0.1:${port}: another program does; choose another address with --addr HOST:PORT or http.addr\n`,
    ],
    [
      'an address that is another machine’s',
      () => ['--addr', '192.0.2.1:5000', '--data', 'data'],
      undefined,
      () => 'berth: cannot listen on 192.0.2.1:5000: this machine does not have that address\n',
    ],
    [
      'a data directory that is a file',
      () => ['--data', 'file'],
      undefined,
      () => `berth: the data directory ${join(folder, 'file')} is a file; ${choose}\n`,
    ],
    [
      'one below a file',
      () => ['--data', 'file/data'],
      undefined,
      () => `berth: the data directory ${join(folder, 'file/data')} lies below something that is a file; ${choose}\n`,
    ],
    [
      'one that cannot be made',
      () => ['--data', '/proc/berth'],
      undefined,
      () => `berth: the data directory /proc/berth cannot be made where it is; ${choose}\n`,
    ],
    [
      'a socket in whose place there is a file',
      () => [],
      config(`http: {net: unix, addr: file}\n`),
      () => 'berth: cannot listen on file: there is something that is no socket; remove it, or choose another path\n',
    ],
    [
      'a certificate that is not there',
      () => [],
      config('http: {addr: "127.0.0.1:0", tls: {certificate: no.crt, key: no.key}}\n'),
      () => 'berth: cannot read the TLS certificate no.crt',
    ],
  ]
  test.each(rows)('%s', async (_, args, file, stderr) => {
    if (file !== undefined) writeFileSync(join(folder, 'config.yml'), file)
    const operands = file === undefined ? [] : ['config.yml']
    const env = { REGISTRY_LOG_LEVEL: 'error', ...(file === undefined ? { REGISTRY_AUTH: 'none' } : {}) }
    const ended = await run([BERTH, 'serve', ...operands, ...args()], { cwd: folder, env })
    expect([ended.code, ended.stdout]).toEqual([1, ''])
    expect(ended.stderr).toStartWith(stderr())
    expect(await Bun.file(join(folder, 'file')).text()).toBe('mine')
  })

  const setpriv = process.getuid?.() === 0 ? findProgram('setpriv') : undefined
  test.skipIf(setpriv === undefined)('a data directory of another user [needs root]', async () => {
    const nobody = [setpriv ?? '', '--reuid=65534', '--regid=65534', '--clear-groups']
    const ended = await run([...nobody, BERTH, 'serve', '--data', 'foreign'], { cwd: folder })
    const message = `may not be written by this user; change its owner, or ${choose}`
    expect(ended).toEqual({
      code: 1,
      stdout: '',
      stderr: `berth: the data directory ${join(folder, 'foreign')} ${message}\n`,
    })
    expect(readdirSync(join(folder, 'foreign'))).toEqual([])
  })
})

describe('wrong usage ends with 2', () => {
  test.each([
    ['an unknown option', ['serve', '--quick'], "berth: unknown option '--quick'"],
    ['an unknown command', ['start'], "berth: unknown command 'start'"],
    ['two files', ['serve', 'a.yml', 'b.yml'], "berth: too many arguments for 'serve'"],
    ['another mode', ['serve', '--compat', 'loose'], "berth: option '--compat <mode>' argument 'loose' is invalid"],
  ])('%s', async (_, args, stderr) => {
    const ended = await run([BERTH, ...args], { cwd: folder })
    expect([ended.code, ended.stdout]).toEqual([2, ''])
    expect(ended.stderr).toContain(stderr)
  })
})
