import { expect, test } from 'bun:test'
import type { Metadata } from '../metadata/metadata.ts'
import { createCatalog } from './catalog.ts'

test('among given names: those that are listed, once each, in byte order, a page at a time', async () => {
  const listed = new Set(['a', 'a-b', 'a/b', 'b', 'c'])
  const asked: string[] = []
  const metadata = {
    repositories: {
      isListed: async (name: string) => {
        asked.push(name)
        return listed.has(name)
      },
    },
  } as unknown as Metadata
  const catalog = createCatalog({ metadata })
  const among = ['c', 'none', 'b', 'a/b', 'a', 'c', '*']
  expect(await catalog.list({ limit: 10 }, among)).toEqual(['a', 'a/b', 'b', 'c'])
  expect(await catalog.list({ limit: 10, last: 'a/b' }, among)).toEqual(['b', 'c'])
  expect(await catalog.list({ limit: 10, last: 'c' }, among)).toEqual([])
  expect(await catalog.list({ limit: 10 }, [])).toEqual([])
  asked.length = 0
  expect(await catalog.list({ limit: 2 }, among)).toEqual(['a', 'a/b'])
  // A page costs a page: what comes after it is not asked for.
  expect(asked).toEqual(['*', 'a', 'a/b'])
})
