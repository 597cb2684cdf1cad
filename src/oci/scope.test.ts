import { expect, test } from 'bun:test'
import { CATALOG, covers, formatScope, pullable, repositoryAccess } from './scope.ts'

test('a scope gathers the actions of each resource', () => {
  expect(formatScope(repositoryAccess('a', 'pull', 'push'))).toBe('repository:a:pull,push')
  expect(formatScope([...repositoryAccess('a', 'pull', 'push', 'pull'), ...repositoryAccess('b', 'pull')])).toBe(
    'repository:a:pull,push repository:b:pull',
  )
  expect(formatScope([CATALOG])).toBe('registry:catalog:*')
  expect(formatScope([])).toBe('')
})

test('a grant covers its actions, and * covers all', () => {
  const pull = { type: 'repository', name: 'a', action: 'pull' }
  expect(covers([{ type: 'repository', name: 'a', actions: ['pull'] }], pull)).toBe(true)
  expect(covers([{ type: 'repository', name: 'a', actions: ['*'] }], pull)).toBe(true)
  expect(
    covers(
      [
        { type: 'repository', name: 'a', actions: ['push'] },
        { type: 'repository', name: 'a', actions: ['pull'] },
      ],
      pull,
    ),
  ).toBe(true)
  expect(covers([{ type: 'repository', name: '*', actions: ['*'] }], pull)).toBe(false)
  expect(covers([{ type: 'registry', name: 'a', actions: ['pull'] }], pull)).toBe(false)
  expect(covers([{ type: 'repository', name: 'a', actions: [''] }], pull)).toBe(false)
  expect(covers([], pull)).toBe(false)
})

test('what may be pulled is what pull or * was granted for', () => {
  expect(
    pullable([
      { type: 'repository', name: 'a', actions: ['pull'] },
      { type: 'repository', name: 'b', actions: ['push'] },
      { type: 'repository', name: 'c', actions: ['*'] },
      { type: 'registry', name: 'catalog', actions: ['*'] },
    ]),
  ).toEqual(['a', 'c'])
})
