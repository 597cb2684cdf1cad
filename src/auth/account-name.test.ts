import { describe, expect, test } from 'bun:test'
import { nameProblem, robotName } from './account-name.ts'

const GRAMMAR =
  'a name has 1 to 64 letters (a-z, A-Z), digits and the signs . _ @ + - and begins with a letter or digit'
const RESERVED = 'names that begin with robot- are those of robots'

describe('a name', () => {
  test.each([
    ['of one letter is a user', 'user', 'a', undefined],
    ['may be a mail address', 'user', 'Jo.Doe+x@example.com', undefined],
    ['may have 64 characters', 'user', 'a'.repeat(64), undefined],
    ['may not have 65', 'user', 'a'.repeat(65), GRAMMAR],
    ['may not be empty', 'user', '', GRAMMAR],
    ['may not begin with a dot', 'group', '.a', GRAMMAR],
    ['may not look like an option', 'group', '-rf', GRAMMAR],
    ['has no colon, which ends it in Basic credentials', 'user', 'a:b', GRAMMAR],
    ['has no slash, which a URL would split', 'user', 'a/b', GRAMMAR],
    ['has no dollar, which a shell would eat', 'user', 'robot$a', GRAMMAR],
    ['has no star, which a rule would take for a pattern', 'user', 'a*', GRAMMAR],
    ['has no line break, not even at its end', 'user', 'a\n', GRAMMAR],
    ['has no letter that looks like another', 'user', 'аdmin', GRAMMAR],
    ['of a user does not begin as those of robots do', 'user', 'robot-a', RESERVED],
    ['of a user does not nearly so, either', 'user', 'Robot-a', RESERVED],
    ['of a group may', 'group', 'robot-a', undefined],
    ['of a robot does', 'robot', 'robot-a', undefined],
    ['of a robot is more than that', 'robot', 'robot-', 'the name of a robot begins with robot-'],
    ['of a robot is nothing else', 'robot', 'a', 'the name of a robot begins with robot-'],
  ] as const)('%s', (_, kind, name, expected) => {
    expect(nameProblem(kind, name)).toBe(expected)
  })

  test('of a robot may be said without its prefix', () => {
    expect([robotName('ci'), robotName('robot-ci')]).toEqual(['robot-ci', 'robot-ci'])
  })
})
