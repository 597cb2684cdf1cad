import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isRepositoryName, isTag, parseRepositoryName } from './name.ts'

describe('a repository name', () => {
  const rows: [string, string, boolean][] = [
    ['one part', 'app', true],
    ['several parts', 'team/project/app', true],
    ['digits alone', '1/2', true],
    ['one dot, one or two underscores, any number of hyphens between letters', 'a.b_c__d-e---f', true],
    ['255 characters', 'a'.repeat(255), true],
    ['256 characters are too many', 'a'.repeat(256), false],
    ['upper case', 'App', false],
    ['three underscores', 'a___b', false],
    ['two dots', 'a..b', false],
    ['a slash in front', '/a', false],
    ['a slash at the end', 'a/', false],
    ['an empty part', 'a//b', false],
    ['a part that begins with a separator', 'a/-b', false],
    ['a way out of the directory', '../etc', false],
    ['nothing', '', false],
    ['an escape', 'a%2fb', false],
    ['a letter beyond ASCII', 'café', false],
    ['a line break at the end', 'app\n', false],
  ]
  test.each(rows)('%s', (_, name, expected) => {
    expect(isRepositoryName(name)).toBe(expected)
    if (!expected) expect(() => parseRepositoryName(name)).toThrow('invalid repository name')
  })

  test('made by the grammar is taken', () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,5}$/)
    const separator = fc.constantFrom('.', '_', '__', '-', '--', '-----')
    const part = fc
      .tuple(word, fc.array(fc.tuple(separator, word), { maxLength: 3 }))
      .map(([first, rest]) => first + rest.map(([a, b]) => a + b).join(''))
    const name = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'))
    fc.assert(
      fc.property(name, (text) => isRepositoryName(text) === text.length <= 255),
      { seed: 20_260_101 },
    )
  })

  test('of any length is decided without backtracking for ever', () => {
    expect(isRepositoryName(`${'a-'.repeat(127)}!`)).toBe(false)
  })
})

describe('a tag', () => {
  const rows: [string, string, boolean][] = [
    ['letters, digits, _ . -', 'v1.0_rc-2', true],
    ['an underscore in front', '_x', true],
    ['128 characters', 'a'.repeat(128), true],
    ['129 characters are too many', 'a'.repeat(129), false],
    ['a dot in front', '.x', false],
    ['a hyphen in front', '-x', false],
    ['a colon', 'a:b', false],
    ['nothing', '', false],
    ['a line break at the end', 'a\n', false],
  ]
  test.each(rows)('%s', (_, tag, expected) => {
    expect(isTag(tag)).toBe(expected)
  })
})
