import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith, must, program, run } from '../programs.ts'
import { BERTH, startBerth } from '../start-berth.ts'
import { startDebianRegistry } from './debian-registry.ts'

/** Milliseconds; only to end a test that hangs. */
setDefaultTimeout(180_000)

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-htpasswd-'))
  file = join(folder, 'htpasswd')
})
afterAll(() => rm())
const rm = () => rmSync(folder, { recursive: true, force: true })

const berth = (args: string[], stdin: string | Uint8Array = '') =>
  run([BERTH, 'htpasswd', ...args], { stdin, cwd: folder })

describeWith(['htpasswd', 'docker-registry'], 'berth htpasswd', () => {
  test('writes what Apache’s htpasswd reads, and reads what that writes', async () => {
    const htpasswd = program('htpasswd')
    await must([htpasswd, '-Bbc', file, 'apache', 'theirs'])
    await must([htpasswd, '-bm', file, 'old', 'md5'])
    writeFileSync(file, `# people\n${readFileSync(file, 'utf8')}`)
    chmodSync(file, 0o640)
    expect(await berth(['add', 'htpasswd', 'kim', '--cost', '4', '--password-stdin'], 'ours\nmore\n')).toMatchObject({
      code: 0,
      stdout: '',
      stderr: 'The user kim is added.\n',
    })
    expect(statSync(file).mode & 0o777).toBe(0o640)
    expect(readFileSync(file, 'utf8')).toMatch(
      /^# people\napache:\$2y\$\S+\n\n?old:\$apr1\$\S+\n\n?kim:\$2y\$04\$\S+\n$/,
    )
    const check = (user: string, password: string) => run([htpasswd, '-vb', file, user, password])
    expect((await check('kim', 'ours')).code).toBe(0)
    expect((await check('kim', 'other')).code).not.toBe(0)

    const rows: [sentence: string, user: string, password: string, code: number, message: RegExp][] = [
      ['own', 'kim', 'ours', 0, /is right/],
      ['wrong', 'kim', 'other', 1, /the password of kim is wrong/],
      ['of Apache', 'apache', 'theirs', 0, /is right/],
      ['another kind', 'old', 'md5', 1, /the hash of old is apr1 \(MD5\), which no registry takes/],
      ['nobody', 'lee', 'x', 1, /htpasswd has no user lee/],
    ]
    for (const [sentence, user, password, code, message] of rows) {
      const answer = await berth(['verify', 'htpasswd', user], `${password}\n`)
      expect([sentence, answer.code]).toEqual([sentence, code])
      expect(answer.stderr).toMatch(message)
    }
    expect((await berth(['list', 'htpasswd'])).stdout).toBe(
      'NAME    HASH\napache  bcrypt\nold     apr1 (MD5)\nkim     bcrypt\n',
    )
    expect((await berth(['rm', 'htpasswd', 'old'])).code).toBe(0)
    expect((await berth(['rm', 'htpasswd', 'old'])).stderr).toBe('berth: htpasswd has no user old\n')
    expect((await check('apache', 'theirs')).code).toBe(0)
  })

  test('makes users of Debian’s registry, and of Berth, which reads a change at once', async () => {
    const own = join(folder, 'own')
    await must([BERTH, 'htpasswd', 'add', own, 'kim', '--cost', '4'], { stdin: 'secret' })
    expect(statSync(own).mode & 0o777).toBe(0o600)
    const debian = await startDebianRegistry({ htpasswd: { realm: 'r', path: own } })
    const config = JSON.stringify({
      version: '0.1',
      storage: { filesystem: {} },
      auth: { htpasswd: { realm: 'r', path: own } },
    })
    const ours = await startBerth({ config })
    try {
      const status = async (url: string, password: string) => {
        const headers = { Authorization: `Basic ${btoa(`kim:${password}`)}` }
        return (await fetch(`${url}/v2/`, { headers })).status
      }
      for (const { url } of [debian, ours]) {
        expect([await status(url, 'secret'), await status(url, 'other')]).toEqual([200, 401])
      }
      await must([BERTH, 'htpasswd', 'add', own, 'kim', '--cost', '4'], { stdin: 'other' })
      for (const { url } of [debian, ours]) {
        expect([await status(url, 'secret'), await status(url, 'other')]).toEqual([401, 200])
      }
    } finally {
      await Promise.all([debian.dispose(), ours.dispose()])
    }
  })

  const refusals: [sentence: string, args: string[], stdin: string | Uint8Array, code: number, message: string][] = [
    ['an empty password', ['add', 'new', 'kim'], '\n', 1, 'berth: no password on standard input\n'],
    [
      'a password that is no text',
      ...([['add', 'new', 'kim'], Buffer.from('caf\xe9\n', 'latin1'), 1] as [string[], string | Uint8Array, number]),
      'berth: standard input is no text in UTF-8; nothing is changed\n',
    ],
    [
      'a password without an end',
      ...([['add', 'new', 'kim'], 'x'.repeat(5000), 1] as [string[], string | Uint8Array, number]),
      'berth: the first line of standard input has more than 4096 bytes\n',
    ],
    ['a name with a colon', ['add', 'new', 'a:b'], 'x', 2, 'berth: a name cannot hold a colon\n'],
    ['a file that is not there', ['verify', 'new', 'kim'], 'x', 1, 'berth: there is no file new\n'],
    ['the same for a removal', ['rm', 'new', 'kim'], '', 1, 'berth: there is no file new\n'],
    ['a folder', ['add', '.', 'kim'], 'x', 1, 'berth: . is a folder, not a file; nothing is changed\n'],
  ]
  test.each(refusals)('refuses %s', async (_, args, stdin, code, message) => {
    expect(await berth(args, stdin)).toEqual({ code, stdout: '', stderr: message })
  })

  test('leaves a file alone that is none', async () => {
    const broken = join(folder, 'broken')
    writeFileSync(broken, 'a:b\nnot a line\n')
    const { code, stderr } = await berth(['add', 'broken', 'kim'], 'x')
    expect([code, stderr]).toEqual([1, 'berth: broken: line 2 is not "name:hash"; nothing is changed\n'])
    expect(readFileSync(broken, 'utf8')).toBe('a:b\nnot a line\n')
  })
})
