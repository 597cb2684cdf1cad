import { describe, expect, test } from 'bun:test'
import { parseQuery } from './call.ts'
import { nextLink, type PageRequest, parsePage } from './page.ts'

describe('a page', () => {
  const rows: [string, string, PageRequest][] = [
    ['nothing', '', { last: undefined, count: undefined }],
    ['a count', 'n=10', { last: undefined, count: 10 }],
    ['a count of none', 'n=0', { last: undefined, count: 0 }],
    ['a count with a plus', 'n=%2B7', { last: undefined, count: 7 }],
    ['a count beyond any list', 'n=999999999999999', { last: undefined, count: 999999999999999 }],
    ['an empty count', 'n=&last=a', { last: 'a', count: undefined }],
    ['where to go on', 'last=a%2Fb&n=2', { last: 'a/b', count: 2 }],
    ['an empty place', 'last=&n=2', { last: undefined, count: 2 }],
    ['the first of several', 'n=1&n=2&last=a&last=b', { last: 'a', count: 1 }],
  ]
  test.each(rows)('%s', (_, query, expected) => {
    expect(parsePage(parseQuery(query))).toEqual(expected)
  })

  test.each(['-1', 'x', '1.5', '1e3', '0x1', ' 1', '1 ', '9'.repeat(16), '٣'])('"%s" is no count', (n) => {
    expect(() => parsePage(parseQuery(new URLSearchParams({ n }).toString()))).toThrow('invalid number of results')
  })
})

test('the link to the next page encodes what stands in it', () => {
  expect(nextLink('/v2/_catalog', 'a/b', 5)).toBe('</v2/_catalog?last=a%2Fb&n=5>; rel="next"')
  expect(nextLink('/x', '">,<&', 1, { more: 'ü' })).toBe('</x?more=%C3%BC&last=%22%3E%2C%3C%26&n=1>; rel="next"')
})
