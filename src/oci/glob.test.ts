import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isMalformedGlob, matchGlob } from './glob.ts'

describe('a glob', () => {
  test.each([
    ['matches the same text', 'abc', 'abc', true],
    ['matches the whole text only', 'ab', 'abc', false],
    ['star takes a run', 'a*c', 'abbc', true],
    ['star takes nothing', 'a*c', 'ac', true],
    ['star never takes a slash', 'a*c', 'a/c', false],
    ['star at the end never takes a slash', 'a*', 'a/b', false],
    ['two stars are one', 'foo/**', 'foo/a/b', false],
    ['question mark takes one character', 'a?c', 'abc', true],
    ['question mark takes one character of two bytes', 'a?c', 'aéc', true],
    ['question mark takes one character of four bytes', 'a?c', 'a😀c', true],
    ['question mark takes no slash', 'a?c', 'a/c', false],
    ['question mark takes not nothing', 'a?c', 'ac', false],
    ['a class takes one of its characters', '[ab]x', 'bx', true],
    ['a class takes one of a range', '[a-c]x', 'bx', true],
    ['a class of two-byte characters', '[à-ü]', 'é', true],
    ['a negated class takes another', '[^a]x', 'bx', true],
    ['a negated class takes a slash, as in Go', '[^a]x', '/x', true],
    ['an exclamation mark does not negate', '[!a]x', 'ax', true],
    ['a class may hold an escaped bracket', '[\\]]', ']', true],
    ['a class may hold a star', '[*]', '*', true],
    ['a backslash makes a star plain', 'foo\\*', 'foo*', true],
    ['a plain star takes nothing else', 'foo\\*', 'foox', false],
    ['braces are plain', '{a,b}', 'a', false],
    ['a leading dot is nothing special', '*', '.hidden', true],
    ['an empty pattern matches an empty text', '', '', true],
    ['an empty pattern matches nothing else', '', 'a', false],
    ['a star matches an empty text', '*', '', true],
    ['an unclosed class matches nothing', '[a', 'a', false],
    ['an unclosed class after a star matches nothing', '*[', 'a', false],
    ['an empty class matches nothing', '[]a]', 'a', false],
    ['a class that begins with a dash matches nothing', '[-]', '-', false],
    ['a class that ends in a dash matches nothing', '[x-]', 'x', false],
    ['a backslash at the end matches nothing', 'a\\', 'a\\', false],
    ['the leftmost match is kept, as in Go', '*[^x]*c', 'a/bc', false],
    ['star skips bytes and not characters, as in Go', '*[^é]', 'é', true],
    ['Go: a*b?c*x', 'a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['Go: a*b?c*x without the end', 'a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['Go: a*/b', 'a*/b', 'a/c/b', false],
    ['Go: a*b*c*d*e*/f', 'a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['Go: a*b*c*d*e*/f over a slash', 'a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
    ['Go: ab[^e-g]', 'ab[^e-g]', 'abc', true],
  ])('%s', (_, pattern, text, expected) => {
    expect(matchGlob(pattern, text)).toBe(expected)
  })

  /** Another way to the same answer: pieces of a pattern, each with the expression that means the same. */
  const piece = fc.oneof(
    fc.constantFrom(
      ['*', '[^/]*'],
      ['?', '[^/]'],
      ['/', '/'],
      ['\\*', '\\*'],
      ['\\?', '\\?'],
      ['\\\\', '\\\\'],
      ['[ab]', '[ab]'],
      ['[a-c]', '[a-c]'],
      ['[^a/]', '[^a/]'],
      ['.', '\\.'],
      ['é', 'é'],
    ),
    fc.constantFrom('a', 'b', 'c', '-').map((c) => [c, c]),
  )

  test('says what an expression of the same meaning says', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '/', '*', '?', '\\', '.', '-', 'é'), maxLength: 8 })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), text, (pieces, name) => {
        // Bytes skipped inside a character are Go's alone: no negated class meets a character of two bytes here.
        fc.pre(!(name.includes('é') && pieces.some(([glob]) => glob === '[^a/]')))
        const expression = new RegExp(`^${pieces.map(([, regex]) => regex).join('')}$`, 'u')
        expect(matchGlob(pieces.map(([glob]) => glob).join(''), name)).toBe(expression.test(name))
      }),
      { numRuns: 5000, seed: 20_260_101 },
    )
  })

  test('never throws, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 20 }),
        fc.string({ unit: 'binary', maxLength: 20 }),
        (p, t) => {
          expect(typeof matchGlob(p, t)).toBe('boolean')
        },
      ),
      { numRuns: 2000, seed: 20_260_101 },
    )
  })

  test.each([
    ['foo/*', false],
    ['[a-z]', false],
    ['[^a]x', false],
    ['[!a]x', false],
    ['[]a]', true],
    ['[a', true],
    ['[', true],
    ['[-x]', true],
    ['[x-]', true],
    ['[a-]', true],
    ['a\\', true],
    ['a\\*', false],
    ['[\\]]', false],
    ['[\\', true],
    ['', false],
  ])('%p is malformed: %p', (glob, malformed) => {
    expect(isMalformedGlob(glob)).toBe(malformed)
  })
})
