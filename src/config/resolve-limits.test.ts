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
