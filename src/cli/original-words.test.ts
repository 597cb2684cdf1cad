import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileKind } from '../config/file-kind.ts'
import { CommandError } from './error.ts'
import { berthWords } from './original-words.ts'

const kindOf = (path: string) => (path.includes('auth') ? 'token server' : 'registry')
const isCommand = (word: string) => ['ls', 'user'].includes(word)
const A = '/config/auth_config.yml'

const rows: [sentence: string, args: string, words: string, notes: RegExp[]][] = [
  ["distribution's file is served", '/etc/docker/registry/config.yml', 'serve /etc/docker/registry/config.yml', []],
  ["docker_auth's file is a token server's", A, `auth ${A}`, []],
  ['what follows the file stays', `${A} --addr :1`, `auth ${A} --addr :1`, []],
  ["the line of docker_auth's documents", `--v=2 --alsologtostderr ${A}`, `auth ${A}`, []],
  ['one hyphen, and values of their own', `-v 1 -logtostderr=true ${A}`, `auth ${A}`, []],
  ['whatever the file is called', '--logtostderr config.txt', 'auth config.txt', []],
  ['a double hyphen ends the flags', `-v=0 -- ${A}`, `auth ${A}`, []],
  ['more than decisions is not logged', `--v=3 ${A}`, `auth ${A}`, [/no password or token is logged/]],
  [
    'what has no effect is said',
    `--log_dir=/logs --stderrthreshold INFO --vmodule=a=1 --alsologtostderr=false ${A}`,
    `auth ${A}`,
    [/^--log_dir /, /^--stderrthreshold /, /^--vmodule /, /^--alsologtostderr=false /],
  ],
  ["a verb is Berth's", 'serve --addr :5000', 'serve --addr :5000', []],
  ['-v alone is the version', '-v', '-v', []],
  ['a value that glog would refuse makes no flag of glog', '-v serve', '-v serve', []],
  ['nor does a flag of nobody', `--v=2 --verbose ${A}`, `--v=2 --verbose ${A}`, []],
  ['after the word auth they mean the same', `auth --v=2 -alsologtostderr ${A}`, `auth ${A}`, []],
  ['and before it', `--v=2 auth ${A} --addr :1`, `auth ${A} --addr :1`, []],
  ['auth has flags of its own', `auth --addr :1 ${A}`, `auth --addr :1 ${A}`, []],
  ['nothing is nothing', '', '', []],
]
test.each(rows)('%s', (_, args, words, notes) => {
  const split = (text: string) => text.split(' ').filter((word) => word !== '')
  const made = berthWords(split(args), isCommand, kindOf)
  expect(made.args).toEqual(split(words))
  expect(made.notes).toEqual(notes.map((note) => expect.stringMatching(note)))
})

test.each([['--v=2'], ['--alsologtostderr --']])('flags of glog without a file are wrong usage: %s', (args) => {
  expect(() => berthWords(args.split(' '), isCommand, kindOf)).toThrow(
    new CommandError('Config file not specified; name an auth_config.yml', 2),
  )
})

test.each([['-v=5 ls host/app'], ['--v 2 user list'], ['--logtostderr ls']])(
  'a command of Berth is no configuration file: %s',
  (args) => {
    const words = args.split(' ')
    const verb = words.find(isCommand) ?? ''
    expect(() => berthWords(words, isCommand, kindOf)).toThrow(
      new CommandError(`${words[0]} is a flag of docker_auth's server, and berth ${verb} has none such`, 2),
    )
  },
)

const files: [sentence: string, text: string | undefined, kind: ReturnType<typeof fileKind>][] = [
  ['a version is distribution’s', 'version: 0.1\nhttp: {addr: ":5000"}\n', 'registry'],
  ['so it is with a section of the token server', 'version: 0.1\ntokenserver: {server: {}}\n', 'registry'],
  ['server and token are docker_auth’s', 'server: {addr: ":5001"}\ntoken: {issuer: a}\n', 'token server'],
  ['one of the two, where the other was forgotten', 'token: {issuer: a}\nusers: {}\n', 'token server'],
  ['neither', 'http: {addr: ":5000"}\n', 'registry'],
  ['nothing', '', 'registry'],
  ['no YAML', 'server: [\n', 'registry'],
  ['no file', undefined, 'registry'],
]
test.each(files)('the kind of a file: %s', (_, text, kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-kind-'))
  try {
    const path = join(folder, 'a.yml')
    if (text !== undefined) writeFileSync(path, text)
    expect(fileKind(path)).toBe(kind)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
