import { describe, expect, test } from 'bun:test'
import { lines, loadText } from './fixtures/load-text.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
const load = (text: string, env: Record<string, string> = {}) => loadText({ file: `${base}${text}`, env })

describe('immutable tags', () => {
  test('have rules, with names of their own or by their place', () => {
    const { config, problems, warnings } = load(`immutable:
  - name: releases
    repositories: [team/**, '!team/scratch']
    tags: [v*]
  - tags: ['/^\\d+$/']
`)
    expect([problems, warnings]).toEqual([[], []])
    expect(config?.immutable).toEqual([
      { name: 'releases', repositories: ['team/**', '!team/scratch'], tags: ['v*'] },
      { name: 'immutable-2', repositories: [], tags: ['/^\\d+$/'] },
    ])
  })

  test('have patterns that may match nothing, which is said', () => {
    const { problems, warnings } = load(
      `immutable:\n  - {repositories: [a.example/x, 'a.example:5000/**'], tags: ['x:v*', v*]}\n`,
    )
    expect([lines(problems), lines(warnings)]).toEqual([
      [],
      [
        'config.yml:5: immutable[0].repositories[1]: "a.example:5000/**" can match nothing: the name of a repository has no ":"',
        'config.yml:5: immutable[0].tags[0]: "x:v*" can match nothing: the name of a tag has no ":"',
      ],
    ])
  })

  test('are reached by variables', () => {
    const env = { REGISTRY_IMMUTABLE_0_NAME: 'x', REGISTRY_IMMUTABLE_0_TAGS: '[v*]' }
    expect(load('', env).config?.immutable).toEqual([{ name: 'x', repositories: [], tags: ['v*'] }])
  })

  test('are refused where a rule could not mean what it says, each with its line', () => {
    const { problems } = load(`immutable:
  - name: a b
    tags: ['[a']
  - name: twice
    tags: ['!', v*]
  - name: twice
    tags: [x]
  - repositories: []
  - tag: [x]
`)
    expect(lines(problems)).toMatchInlineSnapshot(`
      [
        "config.yml:12: immutable[4].tag: is an unknown key",
        "config.yml:5: immutable[0].name: "a b" is no name",
        "config.yml:6: immutable[0].tags[0]: "[a" is no glob, and would match nothing: a [class] is not closed, or the last \\ has nothing to mask",
        "config.yml:8: immutable[1].tags[0]: the pattern is empty: write ** for every name",
        "config.yml:9: immutable[2].name: "twice" is the name of another rule, too",
        "config.yml:11: immutable[3]: names neither repositories nor tags",
        "config.yml:12: immutable[4]: names neither repositories nor tags",
      ]
    `)
  })
})

describe('quotas', () => {
  test('have a prefix, and limits in sizes and numbers', () => {
    const { config, problems, warnings } = load(`quotas:
  - {prefix: team/, bytes: 1.5GiB, tags: 100}
  - {prefix: '*', repositories: 0}
`)
    expect([problems, warnings]).toEqual([[], []])
    expect(config?.quotas).toEqual([
      { prefix: 'team', limits: { bytes: 1.5 * 2 ** 30, tags: 100, repositories: undefined } },
      { prefix: '', limits: { bytes: undefined, tags: undefined, repositories: 0 } },
    ])
  })

  test('are reached by variables', () => {
    const env = { REGISTRY_QUOTAS_0_PREFIX: 'team', REGISTRY_QUOTAS_0_BYTES: '1000' }
    const limits = { bytes: 1000, tags: undefined, repositories: undefined }
    expect(load('', env).config?.quotas).toEqual([{ prefix: 'team', limits }])
  })

  test('are refused where they could not mean what they say, each with its line', () => {
    const { problems } = load(`quotas:
  - {prefix: Team, bytes: 1GiB}
  - {bytes: much, prefix: a}
  - {prefix: a/*, tags: 1}
  - {prefix: b}
  - {prefix: c, tags: -1}
  - {prefix: d, byte: 1}
`)
    expect(lines(problems)).toMatchInlineSnapshot(`
      [
        "config.yml:10: quotas[5].byte: is an unknown key",
        "config.yml:9: quotas[4].tags: must be at least 0",
        "config.yml:5: quotas[0].prefix: "Team" is no prefix of repositories",
        "config.yml:6: quotas[1].bytes: "much" is no number of bytes",
        "config.yml:7: quotas[2].prefix: "a/*" has a quota already",
        "config.yml:8: quotas[3]: limits nothing",
        "config.yml:9: quotas[4]: limits nothing",
        "config.yml:10: quotas[5]: limits nothing",
      ]
    `)
  })
})
