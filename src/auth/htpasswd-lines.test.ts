import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { entriesOf, kindOf, nameFault, withEntry, withoutEntry } from './htpasswd-lines.ts'

const others = '# people\n\nold:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n  kim:first\nlee:x\nkim:second\n'

describe('a new password', () => {
  const rows: [sentence: string, text: string, name: string, after: string][] = [
    ['makes the first line of an empty file', '', 'kim', 'kim:H\n'],
    ['makes a line at the end', 'lee:x\n', 'kim', 'lee:x\nkim:H\n'],
    ['ends a last line that has no end', 'lee:x', 'kim', 'lee:x\nkim:H\n'],
    [
      'takes the place of all lines of that name, where the first stood, and leaves the others as they are',
      others,
      'kim',
      '# people\n\nold:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\nkim:H\nlee:x\n',
    ],
    ['keeps the line end of Windows', 'kim:x\r\nlee:y\r\n', 'kim', 'kim:H\r\nlee:y\r\n'],
    ['keeps bytes that are no UTF-8', 'j\u00f6rg:x\n', 'kim', 'j\u00f6rg:x\nkim:H\n'],
    [
      'of a name beyond ASCII finds its line',
      `${Buffer.from('jörg').toString('latin1')}:x\n`,
      'jörg',
      'j\u00c3\u00b6rg:H\n',
    ],
    ['of a name that begins another makes a line of its own', 'kimberley:x\n', 'kim', 'kimberley:x\nkim:H\n'],
    ['passes over a comment that looks like the user', '#kim:x\n', 'kim', '#kim:x\nkim:H\n'],
  ]
  test.each(rows)('%s', (_, text, name, after) => expect(withEntry(text, name, 'H')).toBe(after))
})

describe('a user that goes', () => {
  test('takes all its lines along', () => {
    expect(withoutEntry(others, 'kim')).toBe('# people\n\nold:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\nlee:x\n')
  })
  test('must be there', () => expect(withoutEntry(others, 'nobody')).toBeUndefined())
})

test('of two lines of a name the last counts', () => {
  expect(entriesOf(others).find(({ name }) => name === 'kim')).toEqual({ name: 'kim', hash: 'second' })
})

test('a line without a colon is named, and nothing is guessed', () => {
  for (const work of [
    entriesOf,
    (text: string) => withEntry(text, 'a', 'h'),
    (text: string) => withoutEntry(text, 'a'),
  ]) {
    expect(() => work('a:b\noops\n')).toThrow('line 2 is not "name:hash"')
  }
})

test.each([
  ['', 'a name cannot be empty'],
  ['a:b', 'a name cannot hold a colon'],
  ['a\nb', 'a name cannot hold control characters'],
  [' a', 'a name cannot begin or end with space'],
  ['#a', 'a name cannot begin with #, which makes a line a comment'],
  ['a'.repeat(256), 'a name has at most 255 bytes'],
  ['jörg smith', undefined],
])('the name %j', (name, expected) => expect(nameFault(name)).toBe(expected))

test.each([
  ['$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC', 'bcrypt'],
  ['$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/', 'apr1 (MD5)'],
  ['{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', 'SHA-1'],
  ['$5$x$y', 'SHA-256'],
  ['$6$x$y', 'SHA-512'],
  ['rqXexS6ZhobKA', 'crypt'],
  ['secret', 'unknown'],
])('%s is %s', (hash, kind) => expect(kindOf(hash)).toBe(kind))

test('whatever the file, the user is in it afterwards, the others are as before, and it can be taken out again', () => {
  const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => nameFault(text) === undefined)
  const line = fc.oneof(
    fc.constantFrom('', '# note', '   '),
    fc.tuple(name, fc.stringMatching(/^[A-Za-z0-9$./]{0,8}$/)).map(([user, hash]) => `${user}:${hash}`),
  )
  const ends = fc.constantFrom('', '\n', '\r\n')
  const file = fc.tuple(fc.array(line, { maxLength: 6 }), ends).map(([lines, end]) => lines.join('\n') + end)
  fc.assert(
    fc.property(file, name, (text, user) => {
      const bytes = Buffer.from(text).toString('latin1')
      const rest = (from: string) => entriesOf(from).filter((entry) => entry.name !== user)
      const after = withEntry(bytes, user, 'H')
      expect(entriesOf(after).find((entry) => entry.name === user)?.hash).toBe('H')
      expect(rest(after)).toEqual(rest(bytes))
      expect(entriesOf(withoutEntry(after, user) ?? '')).toEqual(rest(bytes))
    }),
    { seed: 20_260_101 },
  )
})
