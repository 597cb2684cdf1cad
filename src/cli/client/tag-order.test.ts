import { expect, test } from 'bun:test'
import { sortTags } from './tag-order.ts'

const sorted = (key: Parameters<typeof sortTags>[1], rows: Parameters<typeof sortTags>[0]) =>
  sortTags(rows, key).map(({ tag }) => tag)

test('versions come in their order, after what is none', () => {
  const tags = ['v1.10.0', 'latest', '1.2', 'v1.10.0-rc.1', 'v2', 'v1.9.3', 'main', '1.2.0']
  expect(
    sorted(
      'semver',
      tags.map((tag) => ({ tag })),
    ),
  ).toEqual(['latest', 'main', '1.2', '1.2.0', 'v1.9.3', 'v1.10.0-rc.1', 'v1.10.0', 'v2'])
})

test.each<[Parameters<typeof sortTags>[1], string[]]>([
  ['name', ['a', 'b', 'c']],
  ['created', ['c', 'b', 'a']],
  ['size', ['b', 'c', 'a']],
  ['pushed', ['c', 'a', 'b']],
  ['pulled', ['b', 'c', 'a']],
  ['pulls', ['a', 'b', 'c']],
])('by %s, and by name what is the same there', (key, expected) => {
  const rows = [
    {
      tag: 'b',
      created: '2026-01-01T00:00:00+01:00',
      size: 1,
      pushedAt: '2026-01-02T00:00:00Z',
      pulls: 1,
      lastPullAt: null,
    },
    {
      tag: 'a',
      created: '2026-01-01T00:00:00Z',
      size: 2,
      pushedAt: '2026-01-01T00:00:00Z',
      pulls: 1,
      lastPullAt: '2026-01-03T00:00:00Z',
    },
    { tag: 'c', created: null, size: 1, pulls: 2, lastPullAt: '2026-01-02T00:00:00Z' },
  ]
  expect(sorted(key, rows)).toEqual(expected)
})
