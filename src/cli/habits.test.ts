import { expect, test } from 'bun:test'
import { run } from '../../test/programs.ts'
import { BERTH } from '../../test/start-berth.ts'
import { verbOf } from './client/verbs.ts'
import { phraseOf } from './habits.ts'

test.each<[string, string | undefined]>([
  ['manifest get r:5000/a:v1', 'manifest r:5000/a:v1'],
  ['manifest inspect --insecure r:5000/a:v1', 'manifest --pretty --insecure r:5000/a:v1'],
  ['manifest delete r:5000/a:v1', 'delete --manifest r:5000/a:v1'],
  ['tag ls r:5000/a', 'ls r:5000/a'],
  ['image copy r:5000/a q:5000/a', 'cp r:5000/a q:5000/a'],
  ['image inspect --help', 'inspect --help'],
  ['auth login r:5000 -u kim', 'login r:5000 -u kim'],
  // Images of Docker Hub that are called so, and what Berth's own words mean.
  ['manifest get', undefined],
  ['tag ls v1', undefined],
  ['tag history team/app', undefined],
  ['index list r:5000/a:v1', undefined],
  ['auth auth_config.yml', undefined],
  ['ls r:5000/a', undefined],
  ['constructor x r/a', undefined],
])('%s', (words, expected) => {
  const phrase = phraseOf(words.split(' '))
  expect(phrase?.join(' ')).toBe(expected)
  if (phrase !== undefined) expect(verbOf(phrase[0], phrase[1])).toBe(phrase[0])
})

test.each<[string[], number, string]>([
  [
    ['images'],
    2,
    "unknown command 'images'\nHint: berth catalog HOST lists repositories, berth ls HOST/NAME their tags\n",
  ],
  [['nonsense'], 2, "unknown command 'nonsense'\nHint: berth --help\n"],
  [
    ['cp', 'a'],
    64,
    "missing required argument 'destination'\nHint: berth cp SOURCE DESTINATION (berth cp --help says more)\n",
  ],
  [
    ['token', 'create'],
    2,
    "missing required argument 'account'\nHint: berth token create ACCOUNT (berth token create --help says more)\n",
  ],
  [['image', 'inspect', '127.0.0.1:1/a'], 5, 'cannot reach 127.0.0.1:1: nobody listens there\n'],
])('%p says what to write', async (args, code, error) => {
  const ended = await run([BERTH, ...args], { env: {} })
  expect([ended.code, ended.stdout, ended.stderr]).toEqual([code, '', expect.stringContaining(`berth: ${error}`)])
})
