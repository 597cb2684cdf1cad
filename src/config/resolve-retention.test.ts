import { describe, expect, test } from 'bun:test'
import { readRetentionRule } from '../oci/retention-rule.ts'
import { lines, loadText } from './fixtures/load-text.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
const load = (text: string, env: Record<string, string> = {}) => loadText({ file: `${base}${text}`, env })

describe('retention', () => {
  test('has rules, with names of their own or by their place', () => {
    const { config, problems, warnings } = load(`retention:
  interval: 6h
  expiry: {names: [quay.expires-after]}
  rules:
    - name: releases
      tags: [v*]
      action: keep
    - repositories: [team/**, '!team/scratch']
      beyondnewest: 10
      count: images
      olderthan: 30d
      action: delete
`)
    expect([problems, warnings]).toEqual([[], []])
    expect(config?.retention).toEqual({
      enabled: true,
      intervalMs: 6 * 3_600_000,
      expiry: { enabled: true, names: ['quay.expires-after'] },
      rules: [
        readRetentionRule({ name: 'releases', tags: ['v*'], action: 'keep' }).rule,
        readRetentionRule({
          ...{ name: 'rule-2', repositories: ['team/**', '!team/scratch'], beyondnewest: 10, count: 'images' },
          ...{ olderthan: '30d', action: 'delete' },
        }).rule,
      ],
    })
  })

  test('has patterns that may match nothing, which is said', () => {
    const { warnings } = load(`retention:\n  rules:\n    - {repositories: [Team], tags: ['a/b'], action: delete}\n`)
    expect(lines(warnings)).toEqual([
      'config.yml:6: retention.rules[0].repositories[0]: "Team" can match nothing: the name of a repository has no capitals',
      'config.yml:6: retention.rules[0].tags[0]: "a/b" can match nothing: the name of a tag has no "/"',
    ])
  })

  test('is reached by variables', () => {
    const env = {
      REGISTRY_RETENTION_ENABLED: 'false',
      REGISTRY_RETENTION_RULES_0_TAGS: '[pr-*]',
      REGISTRY_RETENTION_RULES_0_OLDERTHAN: '7d',
      REGISTRY_RETENTION_RULES_0_ACTION: 'delete',
    }
    const { config } = load('', env)
    expect([config?.retention.enabled, config?.retention.rules]).toEqual([
      false,
      [readRetentionRule({ name: 'rule-1', tags: ['pr-*'], olderthan: '7d', action: 'delete' }).rule],
    ])
  })

  test('is refused where a rule could not mean what it says, each with its line', () => {
    const { problems, warnings } = load(`retention:
  interval: 1s
  rules:
    - name: a b
      action: delete
    - name: twice
      tag: [x]
      action: keep
    - name: twice
      tags: ['[a']
      older_than: 30d
      olderthan: 30 days
      action: destroy
    - name: c
      newest: 3
      action: delete
`)
    expect(lines(warnings)).toEqual([
      'config.yml:5: retention.interval: is less than a minute, which is taken in its place',
    ])
    expect(lines(problems)).toMatchInlineSnapshot(`
      [
        "config.yml:10: retention.rules[1].tag: is an unknown key",
        "config.yml:14: retention.rules[2].older_than: is an unknown key",
        "config.yml:16: retention.rules[2].action: must be one of delete, keep",
        "config.yml:7: retention.rules[0].name: a name has 1 to 63 letters, digits and . _ -, and begins with one of the first two",
        "config.yml:7: retention.rules[0]: this rule would delete everything in every repository; where that is meant, write repositories: ['**']",
        "config.yml:13: retention.rules[2].tags[0]: "[a" is no glob, and would match nothing: a [class] is not closed, or the last \\ has nothing to mask",
        "config.yml:15: retention.rules[2].olderthan: "30 days" is no age: write one such as 30d, 12h, 2w or 1h30m",
        "config.yml:12: retention.rules[2].name: "twice" is the name of another rule, too",
        "config.yml:18: retention.rules[3].newest: cannot be deleted: each run would delete as many again; beyondnewest deletes all but the newest",
      ]
    `)
  })
})
