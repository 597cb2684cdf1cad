import { describe, expect, test } from 'bun:test'
import { covered, formatGrant, parseGrant } from './grants.ts'

describe('a grant', () => {
  test.each([
    ['repository:team/**:pull,push', { type: 'repository', name: 'team/**', actions: ['pull', 'push'] }],
    ['registry:catalog:*', { type: 'registry', name: 'catalog', actions: ['*'] }],
    ['repository:a:pull,pull', { type: 'repository', name: 'a', actions: ['pull'] }],
    ['repository:a:', undefined],
    ['repository::pull', undefined],
    ['repository:a', undefined],
    ['', undefined],
  ])('is read from %p', (text, expected) => {
    expect(parseGrant(text)).toEqual(expected)
    if (expected !== undefined) expect(parseGrant(formatGrant(expected))).toEqual(expected)
  })

  test.each([
    ['what is granted', ['repository:a:pull'], ['pull', 'push'], ['pull']],
    ['everything where the grant is a star', ['repository:a:*'], ['delete', 'pull'], ['delete', 'pull']],
    ['the sum of two grants', ['repository:*:pull', 'repository:a:push'], ['pull', 'push'], ['pull', 'push']],
    ['nothing of another type', ['registry:a:*'], ['pull'], []],
    ['nothing of another name', ['repository:b:*'], ['pull'], []],
    ['a star only where it was granted', ['repository:a:pull,push'], ['*'], []],
    ['each action once', ['repository:a:pull'], ['pull', 'pull'], ['pull']],
  ])('covers %s', (_, texts, actions, expected) => {
    const grants = texts.flatMap((text) => parseGrant(text) ?? [])
    expect(covered(grants, { type: 'repository', name: 'a', actions })).toEqual(expected)
  })
})
