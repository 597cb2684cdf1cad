import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { matchDeepGlob } from './deep-glob.ts'
import { compileSelector, selectorProblem } from './selector.ts'

const matches = (patterns: readonly string[], name: string) => compileSelector(patterns).matches(name)

describe('a list of patterns', () => {
  test.each([
    ['matches everything when it is empty', [], 'team/app', true],
    ['matches a name that stands there', ['a', 'b'], 'b', true],
    ['matches nothing that no pattern names', ['a', 'b'], 'c', false],
    ['knows no characters that mean something in a plain name', ['v1.2'], 'v1x2', false],
    ['takes a glob', ['v*'], 'v1.2', true],
    ['takes a glob for the whole name', ['v*'], 'dev1', false],
    ['has a star that stays between two slashes', ['team/*'], 'team/a/b', false],
    ['has two stars that cross slashes', ['team/**'], 'team/a/b', true],
    ['means every name by a star alone', ['*'], 'team/a/b', true],
    ['means every name by two stars alone', ['**'], 'team/a/b', true],
    ['takes a masked star for a star', ['a\\*'], 'ab', false],
    ['takes an expression, found anywhere', ['/-rc\\d/'], 'v1-rc1', true],
    ['takes an expression with its own ends', ['/^rc/'], 'v1-rc1', false],
    ['takes an expression that holds a slash', ['/^team/[ab]$/'], 'team/a', true],
    ['leaves out what is negated', ['v*', '!v1*'], 'v1.2', false],
    ['leaves out nothing else', ['v*', '!v1*'], 'v2', true],
    ['leaves out from everything when all is negated', ['!latest', '!v*'], 'nightly', true],
    ['leaves out all that is negated', ['!latest', '!v*'], 'v1', false],
    ['leaves out what an expression says', ['!/^v/'], 'v1', false],
    ['leaves out, whatever stands first', ['!v1*', 'v*'], 'v1.2', false],
    ['can leave out everything', ['v*', '!*'], 'v1', false],
  ])('%s', (_, patterns, name, expected) => {
    expect(matches(patterns, name)).toBe(expected)
  })

  const pattern = fc.oneof(
    fc.constantFrom('*', '**', 'a*', 'team/*', 'team/**', '**/a', 'v?', '[ab]*', '/a/', '/^v/', '/\\d$/', 'a', 'v1'),
    fc.stringMatching(/^[a-z*?/]{1,6}$/).filter((text) => selectorProblem(text) === undefined),
  )
  const list = fc.array(fc.tuple(fc.boolean(), pattern).map(([negated, text]) => (negated ? `!${text}` : text)))
  const name = fc.stringMatching(/^[a-z0-9]{1,4}(\/[a-z0-9]{1,4}){0,2}$/)

  test('is one list, whatever its order, and however often a pattern stands there', () => {
    fc.assert(
      fc.property(list, name, (patterns, text) => {
        const expected = matches(patterns, text)
        expect(matches([...patterns].reverse(), text)).toBe(expected)
        expect(matches([...patterns, ...patterns], text)).toBe(expected)
      }),
      { seed: 20_260_101 },
    )
  })

  test('never matches what one of its negated patterns matches, and loses nothing to another pattern', () => {
    fc.assert(
      fc.property(list, pattern, name, (patterns, extra, text) => {
        if (matches([extra], text)) expect(matches([...patterns, `!${extra}`], text)).toBe(false)
        else expect(matches([...patterns, `!${extra}`], text)).toBe(matches(patterns, text))
        const wanted = patterns.some((each) => !each.startsWith('!'))
        if (wanted && matches(patterns, text)) expect(matches([...patterns, extra], text)).toBe(true)
      }),
      { seed: 20_260_101 },
    )
  })

  test('decides by its globs as grants do, a star alone aside', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z*?/]{2,6}$/), name, (glob, text) => {
        fc.pre(selectorProblem(glob) === undefined && !/^\*+$/.test(glob) && !/^\/.+\/$/.test(glob))
        expect(matches([glob], text)).toBe(matchDeepGlob(glob, text))
      }),
      { seed: 20_260_101 },
    )
  })
})

describe('a pattern', () => {
  test.each([
    ['v*', undefined],
    ['!/^v\\d+$/', undefined],
    ['', 'the pattern is empty: write ** for every name'],
    ['!', 'the pattern is empty: write ** for every name'],
    ['!!a', '"!!a" is negated twice'],
    ['/a', '"/a" matches no name: an expression stands between two slashes'],
    ['//', '"//" matches no name: an expression stands between two slashes'],
    ['[a', '"[a" is no glob, and would match nothing: a [class] is not closed, or the last \\ has nothing to mask'],
    ['x'.repeat(1001), 'a pattern has at most 1000 characters'],
  ])('%p: %p', (pattern, problem) => {
    expect(selectorProblem(pattern)).toBe(problem)
    if (problem === undefined) compileSelector([pattern])
    else expect(() => compileSelector([pattern])).toThrow(RangeError)
  })

  test('that is no expression says what RE2 has against it', () => {
    expect(selectorProblem('/a(/')).toMatch(/^"\/a\(\/" is no expression: .*missing closing \)/)
    expect(() => compileSelector(['!/a(/'])).toThrow(/is no expression/)
  })
})
