import { describe, expect, test } from 'bun:test'
import { digestOf } from '../oci/digest.ts'
import { readRetentionRule, type WrittenRetentionRule } from '../oci/retention-rule.ts'
import { compileRules, type RetentionItem } from './retention-engine.ts'

const DAY = 86_400_000
const NOW = 1000 * DAY

/** `name: [days since its push, days since its last use, image]`; a name that begins with @ is a manifest without a tag. */
type Content = Record<string, [pushed: number, used?: number, image?: string]>

function itemsOf(content: Content): RetentionItem[] {
  return Object.entries(content).map(([name, [pushed, used = pushed, image = name]]) => ({
    kind: name.startsWith('@') ? 'manifest' : 'tag',
    name,
    digest: digestOf(Buffer.from(image)),
    pushedAt: NOW - pushed * DAY,
    usedAt: NOW - Math.min(pushed, used) * DAY,
    expiresAt: name.includes('expired') ? NOW - 1 : undefined,
  }))
}

function rulesOf(written: readonly WrittenRetentionRule[]) {
  return compileRules(
    written.map((each, index) => {
      const { rule, problems } = readRetentionRule({ name: `r${index + 1}`, ...each })
      expect(problems).toEqual([])
      return rule
    }),
  )
}

/** What goes of a repository. */
function deleted(written: readonly WrittenRetentionRule[], content: Content, repository = 'team/app'): string[] {
  const rules = rulesOf(written).of(repository)
  const items = itemsOf(content)
  if (rules === undefined) return []
  for (const item of items) rules.rank(item)
  return items.filter((item) => rules.decide(item, NOW).action === 'delete').map(({ name }) => name)
}

const RELEASES: Content = { v1: [400, 5], v2: [300, 200], v3: [20], latest: [20, 1] }
const BUILDS: Content = { b1: [50], b2: [40], b3: [30], b4: [20], b5: [10] }

/** Each policy in the words of where it comes from, and in ours. */
describe('a policy of', () => {
  test.each<[string, WrittenRetentionRule[], Content, string[]]>([
    [
      'zot: keepTags patterns v.*, mostRecentlyPushedCount 2 (what no keepTags has goes, untagged too)',
      [
        { tags: ['/v.*/'], newest: 2, action: 'keep' },
        { repositories: ['**'], state: 'any', action: 'delete' },
      ],
      { ...RELEASES, '@old': [3] },
      ['v1', 'latest', '@old'],
    ],
    [
      'zot: keepTags with mostRecentlyPulledCount 1 or pulledWithin 100 days (OR-ed), deleteUntagged false',
      [
        { tags: ['/v.*/'], newest: 1, on: 'pulled', action: 'keep' },
        { tags: ['/v.*/'], newerthan: '100d', on: 'pulled', action: 'keep' },
        { repositories: ['**'], action: 'delete' },
      ],
      { ...RELEASES, '@old': [300] },
      ['v2', 'latest'],
    ],
    [
      'zot: keepTags with pushedWithin 168h, keepUntagged mostRecentlyPushedCount 1',
      [
        { newerthan: '7d', action: 'keep' },
        { state: 'untagged', newest: 1, action: 'keep' },
        { repositories: ['**'], state: 'any', action: 'delete' },
      ],
      { a: [1], b: [9], '@new': [2], '@old': [3] },
      ['b', '@old'],
    ],
    [
      'Harbor: latestPushedK 2 of images (several tags of one are one)',
      [
        { newest: 2, count: 'images', action: 'keep' },
        { repositories: ['**'], action: 'delete' },
      ],
      { '1.2.3': [5, 5, 'x'], '1.2': [5, 5, 'x'], '1': [5, 5, 'x'], '1.2.2': [9, 9, 'y'], '1.2.1': [11, 11, 'z'] },
      ['1.2.1'],
    ],
    [
      'Harbor: latestPulledN 1 or nDaysSinceLastPush 30, tags matching except latest, untagged too',
      [
        { tags: ['!latest'], newest: 1, on: 'pulled', action: 'keep' },
        { tags: ['!latest'], newerthan: '30d', action: 'keep' },
        { tags: ['latest'], action: 'keep' },
        { repositories: ['**'], state: 'any', action: 'delete' },
      ],
      { ...RELEASES, '@old': [3] },
      ['v2', '@old'],
    ],
    [
      'Harbor: always, for repositories matching release/**',
      [
        { repositories: ['release/**'], action: 'keep' },
        { repositories: ['**'], olderthan: '1d', action: 'delete' },
      ],
      RELEASES,
      ['v1', 'v2', 'v3', 'latest'],
    ],
    [
      'Quay: number_of_tags 2 for tag_pattern b.*',
      [{ tags: ['/^b/'], beyondnewest: 2, action: 'delete' }],
      { ...BUILDS, other: [90] },
      ['b1', 'b2', 'b3'],
    ],
    [
      'Quay: two policies, either of which deletes: number_of_tags 4, and creation_date 25d where the pattern does not match',
      [
        { beyondnewest: 4, action: 'delete' },
        { tags: ['!b2'], olderthan: '25d', action: 'delete' },
      ],
      BUILDS,
      ['b1', 'b3'],
    ],
    [
      'Quay: expired by a label',
      [{ expired: true, state: 'any', action: 'delete' }],
      { 'expired-a': [2], b: [2], '@expired': [2] },
      ['expired-a', '@expired'],
    ],
    [
      'GitLab: keep_n 2, older_than 15d, name_regex_delete .*, name_regex_keep b1, latest always kept',
      [
        { tags: ['latest', '/^b1$/'], action: 'keep' },
        { tags: ['!latest', '!/^b1$/'], newest: 2, action: 'keep' },
        { tags: ['/^.*$/'], olderthan: '15d', action: 'delete' },
      ],
      { ...BUILDS, latest: [60] },
      ['b2', 'b3'],
    ],
    [
      'Gitea: keep the most recent 1, keep pattern v1, remove older than 100 days, remove pattern v.*',
      [
        { newest: 1, action: 'keep' },
        { tags: ['/^v1$/'], action: 'keep' },
        { tags: ['/^v.*$/'], olderthan: '100d', action: 'delete' },
      ],
      RELEASES,
      ['v2'],
    ],
    [
      'ECR: rule 1 untagged sinceImagePushed 14 days, rule 2 tagPrefixList b imageCountMoreThan 3, rule 3 any sinceImagePushed 365',
      [
        { state: 'untagged', olderthan: '14d', action: 'delete' },
        { tags: ['b*'], newest: 3, count: 'images', action: 'keep' },
        { tags: ['b*'], action: 'delete' },
        { state: 'any', olderthan: '365d', action: 'delete' },
      ],
      { ...BUILDS, b0: [500], ancient: [400], young: [3], '@old': [15], '@new': [13] },
      ['b1', 'b2', 'b0', 'ancient', '@old'],
    ],
    [
      'ECR: sinceImagePulled 90 days (never pulled: since the push)',
      [{ on: 'pulled', olderthan: '90d', action: 'delete' }],
      { used: [200, 10], idle: [200, 100], never: [100], new: [1] },
      ['idle', 'never'],
    ],
    [
      'GAR: delete tagState any olderThan 30d, keep mostRecentVersions 2 and tagPrefixes v (keep wins)',
      [
        { newest: 2, count: 'images', action: 'keep' },
        { tags: ['v*'], action: 'keep' },
        { state: 'any', olderthan: '30d', action: 'delete' },
      ],
      { ...BUILDS, v1: [400], '@old': [31] },
      ['b1', 'b2', '@old'],
    ],
    [
      'GAR: delete newerThan 2d and olderThan 1h of tagPrefixes tmp-',
      [{ tags: ['tmp-*'], newerthan: '2d', olderthan: '1h', action: 'delete' }],
      { 'tmp-a': [1], 'tmp-b': [3], 'tmp-c': [0], a: [1] },
      ['tmp-a'],
    ],
    [
      'keppel: protect oldest 1, protect match_tag b5, delete older_than 25d except_tag b3',
      [
        { oldest: 1, action: 'keep' },
        { tags: ['b5'], action: 'keep' },
        { tags: ['!/^b3$/'], olderthan: '25d', action: 'delete' },
      ],
      BUILDS,
      ['b2'],
    ],
    [
      'keppel: only_untagged, last_pulled_at older_than 7d',
      [{ state: 'untagged', on: 'pulled', olderthan: '7d', action: 'delete' }],
      { a: [90], '@idle': [20, 8], '@used': [20, 6] },
      ['@idle'],
    ],
  ])('%s', (_, rules, content, expected) => {
    expect(deleted(rules, content)).toEqual(expected)
  })
})

describe('rules', () => {
  test.each<[string, WrittenRetentionRule[], Content, string[]]>([
    [
      'decide in their order',
      [
        { tags: ['b*'], action: 'keep' },
        { tags: ['b1'], action: 'delete' },
      ],
      BUILDS,
      [],
    ],
    [
      'that are later ones decide what is left',
      [
        { tags: ['b1'], action: 'delete' },
        { tags: ['b*'], action: 'keep' },
      ],
      BUILDS,
      ['b1'],
    ],
    ['leave alone what none speaks of', [{ tags: ['x*'], action: 'delete' }], BUILDS, []],
    ['speak of tags alone unless told', [{ tags: ['**'], action: 'delete' }], { a: [1], '@m': [1] }, ['a']],
    [
      'are met by an age that is more than theirs',
      [{ olderthan: '10d', action: 'delete' }],
      { a: [10], b: [10.001] },
      ['b'],
    ],
    [
      'count what their patterns match, whoever decides about it before',
      [
        { tags: ['b5'], action: 'keep' },
        { tags: ['b*'], beyondnewest: 2, action: 'delete' },
      ],
      BUILDS,
      ['b1', 'b2', 'b3'],
    ],
    [
      'count nothing that their patterns do not match',
      [{ tags: ['b*', '!b5'], beyondnewest: 2, action: 'delete' }],
      BUILDS,
      ['b1', 'b2'],
    ],
    [
      'take the later name for the newer at the same moment',
      [{ beyondnewest: 1, action: 'delete' }],
      { v2: [1], v10: [1], v1: [1] },
      ['v10', 'v1'],
    ],
    [
      'that count images leave every tag of those that are among them',
      [{ beyondnewest: 1, count: 'images', action: 'delete' }],
      { old: [90, 90, 'x'], new: [1, 1, 'x'], other: [2, 2, 'y'] },
      ['other'],
    ],
  ])('%s', (_, rules, content, expected) => {
    expect(deleted(rules, content)).toEqual(expected)
  })

  test('say why, and what else would have deleted', () => {
    const rules = rulesOf([
      { name: 'recent', newest: 1, count: 'images', action: 'keep' },
      { name: 'ten', beyondnewest: 2, olderthan: '5d', on: 'pulled', action: 'delete' },
      { name: 'old', olderthan: '1h', action: 'delete' },
    ]).of('team/app')
    const items = itemsOf({ a: [3], b: [4], c: [9, 7], d: [0] })
    for (const item of items) rules?.rank(item)
    expect(items.map((item) => rules?.decide(item, NOW))).toEqual([
      { action: 'delete', rule: 'old', reason: 'pushed 3d ago (more than 1h)', inspite: undefined, mayEmpty: false },
      { action: 'delete', rule: 'old', reason: 'pushed 4d ago (more than 1h)', inspite: undefined, mayEmpty: false },
      {
        ...{ action: 'delete', rule: 'ten', inspite: undefined, mayEmpty: false },
        reason: 'last used 7d ago (more than 5d), not among the 2 newest by use',
      },
      { action: 'keep', rule: 'recent', reason: 'among the 1 newest images', inspite: undefined, mayEmpty: false },
    ])
  })

  test('of other repositories, and those that delete nothing, are not asked', () => {
    const rules = rulesOf([
      { repositories: ['team/*', '!team/b'], tags: ['a'], action: 'delete' },
      { repositories: ['**'], action: 'keep' },
    ])
    expect(['team/a', 'team/b', 'team/a/c'].map((name) => rules.of(name) !== undefined)).toEqual([true, false, false])
  })
})
