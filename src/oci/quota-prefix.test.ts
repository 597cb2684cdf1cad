import { expect, test } from 'bun:test'
import { quotaPrefix, quotaPrefixText } from './quota-prefix.ts'
import { parseSize, sizeText } from './size.ts'

test.each([
  ['team', 'team'],
  ['team/', 'team'],
  ['team/*', 'team'],
  ['team/**', 'team'],
  ['team/a-b/c', 'team/a-b/c'],
  ['*', ''],
  ['**', ''],
  ['/', undefined],
  ['/*', undefined],
  ['', undefined],
  ['Team', undefined],
  ['team*', undefined],
  ['team//a', undefined],
  ['/team', undefined],
])('%p is the prefix %p', (text, prefix) => {
  expect(quotaPrefix(text)).toBe(prefix as string)
})

test('the prefix of all has a name that can be written again', () => {
  expect(['', 'a/b'].map(quotaPrefixText)).toEqual(['*', 'a/b'])
})

test.each([
  ['64MiB', 64 * 2 ** 20],
  ['1.5 GB', 1.5e9],
  ['1000', 1000],
  ['0', 0],
  ['2 TiB', 2 * 2 ** 40],
  ['-1', undefined],
  ['1 parsec', undefined],
  ['MiB', undefined],
  ['1constructor', undefined],
  ['', undefined],
])('%p is a size of %p bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes as number)
})

test.each([
  [-1, '0 B'],
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1075, '1 KiB'],
  [2 ** 20 - 1, '1023.9 KiB'],
  [1.5 * 2 ** 40, '1.5 TiB'],
  [2 ** 51, '2048 TiB'],
])('%p bytes are %p for people', (bytes, text) => {
  expect(sizeText(bytes)).toBe(text)
})
