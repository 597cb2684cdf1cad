import { describe, expect, test } from 'bun:test'
import { ageText, parseAge } from './age.ts'
import { readRetentionRule, type WrittenRetentionRule, writtenRule } from './retention-rule.ts'

const problemsOf = (written: WrittenRetentionRule) =>
  readRetentionRule({ name: 'r', ...written }).problems.map(({ path, message }) => `${path}: ${message}`)

describe('a rule', () => {
  test.each<[string, WrittenRetentionRule, string]>([
    ['has a name', { name: '', tags: ['a'], action: 'keep' }, 'name: a name has 1 to 63 letters'],
    [
      'has a name of its own',
      { name: 'expiry', tags: ['a'], action: 'keep' },
      'name: expiry is the name of what deletes',
    ],
    ['says what it does', { tags: ['a'] }, 'action: say what the rule does'],
    ['has patterns that can match', { tags: ['a', '/(/'], action: 'keep' }, 'tags.1: "/(/" is no expression'],
    ['has ages', { olderthan: '1month', action: 'delete' }, 'olderthan: "1month" is no age'],
    ['has counts from 1', { newest: 0, action: 'keep' }, 'newest: must be a number from 1'],
    ['has whole counts', { newest: 1.5, action: 'keep' }, 'newest: must be a number from 1'],
    ['has one count', { newest: 1, oldest: 1, action: 'keep' }, 'oldest: cannot stand beside newest'],
    ['that deletes never takes the newest', { newest: 1, action: 'delete' }, 'newest: cannot be deleted'],
    ['that deletes never takes the oldest', { oldest: 1, action: 'delete' }, 'oldest: cannot be deleted'],
    [
      'that keeps has no use for the rest',
      { beyondnewest: 1, action: 'keep' },
      'beyondnewest: is for rules that delete',
    ],
    [
      'has ages that leave something between',
      { olderthan: '3d', newerthan: '72h', action: 'delete' },
      'newerthan: nothing is',
    ],
    [
      'names no tags of what has none',
      { tags: ['a'], state: 'untagged', action: 'delete' },
      'tags: names tags, and state',
    ],
    ['says on only of something', { on: 'pulled', tags: ['a'], action: 'delete' }, 'on: says nothing without'],
    ['says count only of a count', { count: 'images', tags: ['a'], action: 'delete' }, 'count: says nothing without'],
    ['says mayempty only of a deletion', { mayempty: true, action: 'keep' }, 'mayempty: says nothing'],
    ['deletes everything only where it says so', { action: 'delete' }, ': this rule would delete everything'],
    [
      'deletes everything of a state only where it says so',
      { state: 'any', action: 'delete' },
      ': this rule would delete',
    ],
  ])('%s', (_, written, expected) => {
    const problems = problemsOf(written)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toStartWith(expected)
  })

  test.each<[WrittenRetentionRule]>([
    [{ action: 'keep' }],
    [{ repositories: ['**'], action: 'delete' }],
    [
      {
        repositories: ['a', '!b'],
        tags: ['v*'],
        beyondnewest: 3,
        count: 'images',
        olderthan: '2w',
        on: 'pulled',
        mayempty: true,
        action: 'delete',
      },
    ],
    [{ state: 'untagged', expired: true, action: 'delete' }],
  ])('%p is a rule, and is written as it was read', (written) => {
    const { rule, problems } = readRetentionRule({ name: 'r', ...written })
    expect(problems).toEqual([])
    expect(writtenRule(rule)).toEqual({ name: 'r', ...written })
  })
})

describe('an age', () => {
  test.each([
    ['30d', 30 * 86_400_000],
    ['1h30m', 5_400_000],
    ['2w', 14 * 86_400_000],
    ['1y', 365 * 86_400_000],
    ['0s', 0],
    ['30', undefined],
    ['', undefined],
    ['-1d', undefined],
    ['1.5d', undefined],
    ['9999999999d', undefined],
  ])('%p is %p', (text, milliseconds) => {
    expect(parseAge(text)).toBe(milliseconds)
  })

  test.each([
    [-5, '0s'],
    [119_000, '119s'],
    [120_000, '2m'],
    [47 * 3_600_000, '47h'],
    [48 * 3_600_000, '2d'],
  ])('%p ms read as %p', (ms, text) => {
    expect(ageText(ms)).toBe(text)
  })
})
