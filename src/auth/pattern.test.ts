// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the placeholders of rules
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { RE2JS } from 're2js'
import { matchDeepGlob } from '../oci/deep-glob.ts'
import { matchGlob } from '../oci/glob.ts'
import type { Labels } from './authenticator.ts'
import { type Effort, newEffort } from './effort.ts'
import { matches, type Subject } from './pattern.ts'
import { templateOf } from './template.ts'

function subject(labels: Labels, more: Partial<Subject> = {}): Subject {
  const fields = { account: 'ann', type: 'repository', name: 'x', service: 's' }
  return { fields, labels, rule: {}, deep: false, effort: newEffort(), ...more }
}

function costOf(pattern: string, text: string, labels: Labels): number {
  const effort = newEffort()
  const whole = effort.left
  matches(pattern, text, subject(labels, { effort }), true)
  return whole - effort.left
}

/** Tries every combination, leaving nothing out. */
function matchesSlowly(pattern: string, text: string, { labels, deep, fields }: Subject): boolean {
  const names = Object.keys(labels).filter((name) => pattern.includes(`\${labels:${name}}`))
  const quoted = fields.account.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
  const fill = (chosen: Record<string, string>) =>
    pattern.replace(/\$\{(account|labels:(\w+))\}/g, (all, _, label) =>
      label === undefined ? quoted : (chosen[label] ?? all),
    )
  const test = (filled: string): boolean => {
    if (!(filled.length > 2 && filled.startsWith('/') && filled.endsWith('/')))
      return deep ? matchDeepGlob(filled, text) : matchGlob(filled, text)
    try {
      return RE2JS.compile(filled.slice(1, -1)).test(text)
    } catch {
      return false
    }
  }
  let all: Record<string, string>[] = [{}]
  for (const name of names) all = all.flatMap((one) => (labels[name] ?? []).map((value) => ({ ...one, [name]: value })))
  return test(fill({})) || all.some((chosen) => test(fill(chosen)))
}

describe('what is left out of the combinations of labels could not have matched', () => {
  const piece = fc.constantFrom(
    ...['a', 'b', 'ab', '/', '-', '.', '*', '**', '?', '+', '(', ')', '(?:', '(?i)', '|', '[', ']', '[^', '{0}', '{2}'],
    ...['\\', '\\d', '\\.', '\\Q', '^', '$', '\u00e9', '\ud83d', '\ude00', '0', '1', ',', '{', '}', ''],
  )
  const hole = fc.constantFrom('${labels:g}', '${labels:h}', '${labels:none}', '${labels:g|}', '${account}')
  const text = fc.array(fc.constantFrom('a', 'b', 'A', '/', '-', '.', '1', 'aa', '\u00e9', '\ud83d', '\ude00', '*'), {
    maxLength: 6,
  })
  const word = fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: fc.array(piece, { maxLength: 4 }) })
  const values = fc.array(
    word.map((parts) => parts.join('')),
    { maxLength: 3 },
  )
  const inner = fc
    .array(fc.oneof({ weight: 2, arbitrary: hole }, { weight: 3, arbitrary: piece }), { minLength: 1, maxLength: 7 })
    .map((parts) => parts.join(''))
  const pattern = fc.oneof(
    inner,
    inner.map((part) => `/${part}/`),
    inner.map((part) => `/^${part}$/`),
  )

  test('in any pattern, with any values', () => {
    let matched = 0
    fc.assert(
      fc.property(
        pattern,
        text.map((parts) => parts.join('')),
        values,
        values,
        fc.constantFrom('ann', '', '/', 'a.b', '\\'),
        fc.boolean(),
        (rule, asked, g, h, account, deep) => {
          const fields = { account, type: 'repository', name: asked, service: 's' }
          const one = subject({ g, h }, { deep, fields })
          const expected = matchesSlowly(rule, asked, one)
          if (expected) matched++
          expect(matches(rule, asked, one, true)).toBe(expected)
        },
      ),
      { numRuns: 5_000, seed: 20_260_101, ignoreEqualValues: true },
    )
    // Otherwise nothing was shown.
    expect(matched).toBeGreaterThan(100)
  }, 120_000)

  const samples: [sentence: string, pattern: string, text: string, labels: Labels, deep?: boolean][] = [
    ['an alternative needs no value', '/^${labels:g}$|^${labels:h}$/', 'x', { g: ['no'], h: ['x'] }],
    ['nor does an optional group', '/^(${labels:g})?${labels:h}$/', 'x', { g: ['no'], h: ['x'] }],
    ['nor one of several', '/^(y|${labels:g})${labels:h}$/', 'yx', { g: ['no'], h: ['x'] }],
    ['nor an optional last letter', '/^${labels:g}?$/', 'n', { g: ['no'] }],
    ['nor one before an empty value', '/^${labels:g}${labels:h}?$/', 'n', { g: ['no'], h: [''] }],
    ['nor an alternative that a value makes', '/^${labels:g}${labels:h}$/', 'x', { g: ['no'], h: ['|x'] }],
    ['a class has any of its letters', '[${labels:g}]', 'o', { g: ['no'] }],
    ['a class that a value opens', '${labels:h}${labels:g}]', 'o', { g: ['no'], h: ['['] }],
    ['case that does not matter', '/(?i)^${labels:g}$/', 'NO', { g: ['no'] }],
    ['a glob that a value makes an expression', '${labels:g}', 'xay', { g: ['/a/'] }],
    ['a glob that two values make an expression', '${labels:g}a.*b${labels:h}', 'xazb', { g: ['/'], h: ['/'] }],
    ['a glob that an empty value makes an expression', '/${labels:g}/${labels:h}', 'xazb', { g: ['a.*b'], h: [''] }],
    ['wildcards of a value', '${labels:g}', 'team/app', { g: ['t?am/*'] }],
    ['a dot of a value', '/^${labels:g}$/', 'a-b', { g: ['a.b'] }],
    ['two stars of a value', '${labels:g}', 'b', { g: ['**/b'] }, true],
  ]
  test.each(samples)('%s', (_, rule, asked, labels, deep = false) => {
    expect(matches(rule, asked, subject(labels, { deep }), true)).toBe(true)
  })
})

test.each([
  ['a group of the rule', '(?i)', '/${account:1}^${labels:g}$/', 'NO', 'no'],
  ['slashes of an account', '/', '${account}${labels:g}${account}', 'xazb', 'a.*b'],
  ['an account that is empty', '', '/${labels:g}/${account}', 'xazb', 'a.*b'],
])('%s may change what a value means', (_, account, rule, asked, value) => {
  const fields = { account, type: 'repository', name: asked, service: 's' }
  expect(matches(rule, asked, subject({ g: [value] }, { fields, rule: { account: '/^(.*)$/' } }), true)).toBe(true)
})

describe('values that must be found are known for', () => {
  test.each([
    ['${labels:a}/${labels:b}', ['a', 'b']],
    ['${labels:a}/[a-z]*', []],
    ['/^${labels:a}\\/${labels:b}(\\/.*)?$/', ['a', 'b']],
    ['/^(${labels:a})\\/[a-z]{2,3}\\/(?:x|${labels:b})$/', ['a']],
    ['/^(${labels:a})*${labels:b}$/', ['b']],
    ['/${labels:a}+/', []],
    ['/a|${labels:a}/', []],
    ['/[${labels:a}]/', []],
    ['/\\${labels:a}/', []],
    ['/\\x${labels:a}/', []],
    ['/(?i)${labels:a}/', []],
    ['/x{${labels:a}}/', []],
    ['/(${labels:a}/', []],
  ])('%s', (pattern, expected) => {
    expect([...templateOf(pattern, pattern.startsWith('/')).certain].sort()).toEqual(expected)
  })
})

describe('the effort', () => {
  const many = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const labels = { g: many('group-', 60), p: many('project-', 60) }

  test('grows with the values, and not with their combinations, where the text does not hold them', () => {
    const rule = '/^${labels:g}/${labels:p}(/.*)?$/'
    matches(rule, 'nope/3', subject(labels), true)
    expect(costOf(rule, 'nope/3', labels)).toBeLessThan(300)
    expect(costOf('${labels:g}/${labels:p}', 'nope/3', labels)).toBeLessThan(300)
  })

  test('is shared: what one pattern spent is missing for the next', () => {
    const effort: Effort = { left: 400 }
    const ask = () => matches('${labels:g}/x', 'nope/3', subject(labels, { effort }), true)
    expect([ask(), ask(), ask(), ask()]).toEqual([false, false, false, false])
    expect(ask).toThrow(RangeError)
  })

  test('is not spent on patterns without placeholders', () => {
    const effort: Effort = { left: 0 }
    expect(matches('/^a.*z$/', 'abcz', subject({}, { effort }), true)).toBe(true)
    expect(matches('a*', 'abcz', subject({}, { effort }), true)).toBe(true)
  })

  test('is not spent twice on compiling what fields fill, which many requests share', () => {
    const rule = '/^once-${account}-only$/'
    const first = costOf(rule, 'x', {})
    expect(costOf(rule, 'x', {})).toBeLessThan(first - 500)
  })

  test('ends before a text that holds every value is through', () => {
    const text = [...labels.g, ...labels.p].join('/')
    expect(() => matches('/^${labels:g}=${labels:p}$/', text, subject(labels), true)).toThrow(RangeError)
  })
})
