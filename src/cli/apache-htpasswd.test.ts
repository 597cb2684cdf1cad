import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import { apacheHtpasswdCommand, isApaches } from './apache-htpasswd.ts'
import { CommandError } from './error.ts'

const KIM = 'kim:$2y$04$0iMZQ7M/vKkE2hkp8x2jcOSjPkJXPFRBHIBuz.Rv6Xo0ouxhYwKcW\n'
const HASH = /^\$2y\$(\d\d)\$[./A-Za-z0-9]{53}$/

let folder: string
let file: string
let asked: unknown[]
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-apache-'))
  file = join(folder, 'htpasswd')
})
beforeEach(() => {
  writeFileSync(file, KIM)
  asked = []
})
afterAll(() => rmSync(folder, { recursive: true }))

async function htpasswd(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  let out = ''
  let error = ''
  const command = apacheHtpasswdCommand({
    out: (text) => {
      out += text
    },
    error: (text) => {
      error += text
    },
    readPassword: async (prompt, question) => {
      asked.push([prompt, question])
      return 'asked'
    },
  })
  try {
    await command
      .exitOverride()
      .configureOutput({ writeErr: () => {} })
      .parseAsync(args, { from: 'user' })
    return { code: 0, out, error }
  } catch (thrown) {
    if (thrown instanceof CommandError) return { code: thrown.exitCode, out, error: thrown.message }
    if (thrown instanceof CommanderError) return { code: 2, out, error: thrown.message }
    throw thrown
  }
}

/** Names and costs of the file, in its order. */
function users(): string[] {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => `${line.split(':')[0]} ${HASH.exec(line.split(':')[1] ?? '')?.[1] ?? 'no bcrypt'}`)
}

test('-Bbn writes the line as Apache does, and touches no file', async () => {
  const { code, out, error } = await htpasswd('-Bbn', 'testuser', 'testpassword')
  expect({ code, error }).toEqual({ code: 0, error: '' })
  const [name, hash = '', ...rest] = out.split(/[:\n]/)
  expect([name, HASH.exec(hash)?.[1], rest]).toEqual(['testuser', '10', ['', '']])
  expect(await Bun.password.verify('testpassword', hash.replace('$2y$', '$2b$'))).toBe(true)
})

test('a password may look like an option', async () => {
  const { out } = await htpasswd('-nbB', '-C', '4', 'kim', '-secret')
  expect(await Bun.password.verify('-secret', out.trim().split(':')[1]?.replace('$2y$', '$2b$') ?? '')).toBe(true)
})

test('a user is added beside the others, or alone with -c', async () => {
  expect(await htpasswd('-bB', '-C4', file, 'lee', 'a')).toEqual({
    ...{ code: 0, out: '', error: 'Adding password for user lee\n' },
  })
  expect(users()).toEqual(['kim 04', 'lee 04'])
  expect((await htpasswd('-bB', '-C5', file, 'kim', 'b')).error).toBe('Updating password for user kim\n')
  expect(users()).toEqual(['kim 05', 'lee 04'])
  expect((await htpasswd('-cbB', '-C4', file, 'pat', 'c')).code).toBe(0)
  expect(users()).toEqual(['pat 04'])
})

test('the password is asked for, and with -i read from standard input', async () => {
  await htpasswd('-B', '-C4', file, 'lee')
  await htpasswd('-iB', '-C4', file, 'lee')
  await htpasswd('-v', file, 'lee')
  expect(asked).toEqual([
    ['New password: ', { twice: true, stdin: undefined }],
    ['New password: ', { twice: true, stdin: true }],
    ['Enter password: ', { twice: false, stdin: undefined }],
  ])
})

test('a user is removed', async () => {
  expect(await htpasswd('-D', file, 'lee')).toEqual({ code: 0, out: '', error: 'User lee not found\n' })
  expect(users()).toEqual(['kim 04'])
  expect((await htpasswd('-D', file, 'kim')).error).toBe('Deleting password for user kim\n')
  expect(readFileSync(file, 'utf8')).toBe('')
})

test('a password is checked', async () => {
  await htpasswd('-bB', '-C4', file, 'lee', 'right')
  writeFileSync(file, `${readFileSync(file, 'utf8')}old:$apr1$x$y\n`)
  expect(await htpasswd('-vb', file, 'lee', 'right')).toMatchObject({ code: 0 })
  expect(await htpasswd('-vb', file, 'lee', 'wrong')).toMatchObject({ code: 3, error: 'password verification failed' })
  expect(await htpasswd('-vb', file, 'old', 'any')).toMatchObject({
    ...{ code: 3, error: 'the hash is apr1 (MD5), not bcrypt' },
  })
  expect(await htpasswd('-vb', file, 'pat', 'any')).toMatchObject({ code: 6, error: 'User pat not found' })
})

const refused: [sentence: string, args: string[], code: number, error: RegExp][] = [
  ['a hash that no registry takes', ['-mbn', 'kim', 'a'], 2, /^-m asks for MD5, .*use -B/],
  ['a hash whose letter is a digit', ['-5bn', 'kim', 'a'], 2, /^-5 asks for SHA-512/],
  ['a password that is missing', ['-Bbn', 'kim'], 2, /^expected USER PASSWORD, got 1 operands/],
  ['a file that is missing', ['-Bb', 'kim', 'a'], 2, /^expected FILE USER PASSWORD/],
  ['two ways to give the password', ['-bin', 'kim', 'a'], 2, /-b and -i exclude/],
  ['two things to do', ['-Dv', 'file', 'kim'], 2, /-c, -D and -v exclude/],
  ['a file for standard output', ['-cnb', 'kim', 'a'], 2, /-n excludes/],
  ['a cost out of range', ['-nbBC', '3', 'kim', 'a'], 2, /4 to 17/],
  ['an empty password', ['-nbB', 'kim', ''], 2, /cannot be empty/],
  ['an option of nobody', ['-x', 'kim'], 2, /unknown option/],
  ['a name with a colon', ['-nbB', 'k:m', 'a'], 6, /colon/],
  ['an empty name', ['-nbB', '', 'a'], 6, /empty/],
  ['a file that is not there', ['-bB', '/nowhere/htpasswd', 'kim', 'a'], 1, /use '-c' to create it/],
]
test.each(refused)('%s is refused', async (_, args, code, error) => {
  expect(await htpasswd(...args)).toEqual({ code, out: '', error: expect.stringMatching(error) })
  expect(readFileSync(file, 'utf8')).toBe(KIM)
})

test.each([
  ['-Bbn kim a', true],
  ['file kim', true],
  ['add file kim', false],
  ['list file', false],
  ['--help', false],
  ['', false],
])('whose arguments "%s" are: Apache’s? %p', (args, expected) => {
  expect(isApaches(args === '' ? [] : args.split(' '))).toBe(expected)
})
