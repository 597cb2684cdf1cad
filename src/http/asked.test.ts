import { describe, expect, test } from 'bun:test'
import { createUrlReader } from './asked.ts'

const MANIFEST = 'http://r.example/v2/some/image/manifests/1.0'
const image = { resource: 'manifest', name: 'some/image', reference: '1.0' } as const

describe('a URL asks for', () => {
  const rows: [string, string, string, Partial<ReturnType<ReturnType<typeof createUrlReader>>>][] = [
    ['a manifest', '/', MANIFEST, { path: '/v2/some/image/manifests/1.0', query: '', target: image }],
    ['a manifest below the prefix', '/a/', MANIFEST.replace('/v2/', '/a/v2/'), { target: image }],
    ['a manifest in a path that was encoded', '/', MANIFEST.replace('1.0', '1%2E0'), { target: image }],
    ['nothing of the registry outside the prefix', '/a/', MANIFEST, { target: undefined }],
    ['what its query says besides', '/', `${MANIFEST}?look`, { query: 'look', target: image }],
  ]
  test.each(rows)('%s', (_, prefix, url, expected) => {
    const read = createUrlReader(prefix)
    expect(read(url)).toMatchObject({ ...expected, named: false })
    expect(read(url)).toMatchObject({ ...expected, named: false })
  })
})

describe('a reader of URLs', () => {
  const read = createUrlReader('/')
  const url = (reference: string) => `http://r.example/v2/a/manifests/${reference}`

  test('gives the same answer for a manifest that is asked for again', () => {
    expect(read(url('1'))).toBe(read(url('1')))
    expect(read(url('1'))).not.toBe(read(url('2')))
  })

  test.each([
    ['anything with a query', url('1?look')],
    ['a blob', `http://r.example/v2/a/blobs/sha256:${'0'.repeat(64)}`],
    ['a URL that is longer than any name and digest', url('1'.repeat(600))],
    ['what is not the registry’s', 'http://r.example/auth'],
  ])('does not keep %s', (_, each) => {
    expect(read(each)).not.toBe(read(each))
    expect(read(each)).toEqual(read(each))
  })

  test('keeps a bounded number', () => {
    const first = read(url('first'))
    for (let number = 0; number < 2000; number++) read(url(`filler-${number}`))
    expect(read(url('first'))).not.toBe(first)
    expect(read(url('first'))).toEqual(first)
  })
})
