import { describe, expect, test } from 'bun:test'
import { describeSource, toPlain } from './node.ts'
import { readYaml } from './yaml-document.ts'

const read = (text: string) => {
  const { root, errors, warnings, duplicates } = readYaml(text, (line) => ({ kind: 'file', file: 'f', line }))
  const say = ({ at, message }: { at: Parameters<typeof describeSource>[0]; message: string }) =>
    `${describeSource(at)}: ${message}`
  return {
    value: root && JSON.parse(JSON.stringify(toPlain(root))),
    said: [...errors, ...warnings, ...duplicates].map(say),
  }
}

describe('YAML', () => {
  test.each([
    ['booleans of YAML 1.1', '[yes, No, on, OFF, y, true]', [true, false, true, false, true, true]],
    ['octal and hexadecimal numbers', '[010, 0x10, 1_000]', [8, 16, 1000]],
    ['no dates and no base 60', '[2020-01-01, 12:30]', ['2020-01-01', '12:30']],
    ['letters that are no number', '[e0, E5, .nan]', ['e0', 'E5', null]],
    ['nulls', '{a: , b: ~, c: null}', { a: null, b: null, c: null }],
    ['keys as they are written', '{on: 1, 0x10: 2, ~: 3}', { on: 1, '0x10': 2, '~': 3 }],
    ['an alias', '{a: &x [1], b: *x}', { a: [1], b: [1] }],
    [
      'a merged map loses to own keys',
      '{b: &x {p: 1, q: 2}, c: {<<: *x, q: 3}}',
      { b: { p: 1, q: 2 }, c: { p: 1, q: 3 } },
    ],
    ['the first of two merged maps wins', '{c: {<<: [{p: 1}, {p: 2, q: 2}]}}', { c: { p: 1, q: 2 } }],
    ['nothing', '', null],
    ['a comment alone', '# x', null],
    ['a byte order mark', '\ufeffa: 1', { a: 1 }],
  ])('%s', (_, text, expected) => {
    expect(read(text)).toEqual({ value: expected, said: [] })
  })

  test.each([
    ['an anchor that contains itself', 'a: &x [*x]', 'f:1: nested more than 64 levels deep'],
    ['a merge of a text', '\n<<: a', 'f:2: << merges a map or a list of maps'],
    ['a key that is a list', '? [a]\n: b', 'f:1: a key that is a list or a map'],
    ['a key that JavaScript uses', 'a:\n  __proto__: {b: 1}', 'f:2: __proto__ cannot be used as a key'],
    ['an unclosed quote', 'a: 1\nb: "x', 'f:2: not valid YAML: Missing closing "quote (column 6)'],
    ['deep nesting', `${'['.repeat(200)}${']'.repeat(200)}`, 'f:1: nested more than 64 levels deep'],
  ])('%s is refused', (_, text, said) => {
    expect(read(text)).toEqual({ value: undefined, said: [said] })
  })

  test('aliases of aliases do not fill the memory', () => {
    const levels = Array.from({ length: 30 }, (_, n) => `l${n + 1}: &l${n + 1} [*l${n}, *l${n}]`)
    expect(read(`l0: &l0 [a, a]\n${levels.join('\n')}`).said).toEqual([
      'f:16: more than 200000 values, aliases followed',
    ])
  })

  test('of a key that stands twice the last one counts', () => {
    expect(read('a: 1\nb: {c: 1, c: 2}\na: 3')).toEqual({
      value: { b: { c: 2 }, a: 3 },
      said: [
        'f:2: stands twice in the same map (first on line 2); the last one counts',
        'f:3: stands twice in the same map (first on line 1); the last one counts',
      ],
    })
  })
})

test('what breaks every line after it is not reported for each', () => {
  const { value, said } = read('['.repeat(100_000))
  expect(value).toBeUndefined()
  expect(said.length).toBeGreaterThan(0)
  expect(said.length).toBeLessThanOrEqual(10)
})
