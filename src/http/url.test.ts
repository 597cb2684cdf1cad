import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { splitUrl } from './url.ts'

describe('path and query of a URL', () => {
  const rows: [string, string, { path: string; query: string }][] = [
    ['of a whole URL', 'http://r.example:5000/v2/a?n=1&b', { path: '/v2/a', query: 'n=1&b' }],
    ['of a path alone (no Host)', '/v2/a?n=1', { path: '/v2/a', query: 'n=1' }],
    ['without a query', 'http://x/v2/', { path: '/v2/', query: '' }],
    ['with an empty query', 'http://x/v2/?', { path: '/v2/', query: '' }],
    ['with question marks in the query', 'http://x/a?b?c', { path: '/a', query: 'b?c' }],
    ['with a fragment', 'http://x/a?b#c?d', { path: '/a', query: 'b' }],
    ['with a fragment that has a question mark', 'http://x/a#b?c', { path: '/a', query: '' }],
    ['with a URL in the query', '/a?u=http://y/z', { path: '/a', query: 'u=http://y/z' }],
    ['with a URL in the path', 'http://x/http://y/z', { path: '/http://y/z', query: '' }],
    ['without a path', 'http://x', { path: '/', query: '' }],
    ['of IPv6', 'http://[::1]:5000/v2/', { path: '/v2/', query: '' }],
  ]
  test.each(rows)('%s', (_, url, expected) => {
    expect(splitUrl(url)).toEqual(expected)
  })

  test('are those of the URL standard, wherever it has an opinion', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (text) => {
        const url = new URL(text)
        expect(splitUrl(url.href)).toEqual({ path: url.pathname, query: url.search.slice(1) })
      }),
      { seed: 20_260_101 },
    )
  })
})
