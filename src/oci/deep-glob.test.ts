import { describe, expect, test } from 'bun:test'
import { matchDeepGlob } from './deep-glob.ts'

describe('a deep glob', () => {
  test.each([
    ['ci/*', 'ci/a', true],
    ['ci/*', 'ci/a/b', false],
    ['ci/**', 'ci/a', true],
    ['ci/**', 'ci/a/b/c', true],
    ['ci/**', 'ci', false],
    ['ci/**', 'cix/a', false],
    ['**', 'a', true],
    ['**', 'a/b', true],
    ['**/cache', 'cache', true],
    ['**/cache', 'a/b/cache', true],
    ['**/cache', 'a/b/cached', false],
    ['a/**/z', 'a/z', true],
    ['a/**/z', 'a/b/c/z', true],
    ['a/**/b/**', 'a/x/b/y/b', true],
    ['a**', 'a/b', false],
    ['a**', 'abc', true],
    ['plain', 'plain', true],
    ['plain', 'plain/x', false],
  ])('%s matches %s: %p', (pattern, text, expected) => {
    expect(matchDeepGlob(pattern, text)).toBe(expected)
  })

  test('takes time in proportion to the text, however many stars it has', () => {
    expect(matchDeepGlob(`${'**/'.repeat(200)}x`, `${'a/'.repeat(2000)}y`)).toBe(false)
  })
})
