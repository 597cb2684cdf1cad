import { expect, test } from 'bun:test'
import { integer, octets, oid, time } from './der.ts'

const shown = (der: Buffer) => der.toString('hex')

test.each<[number, string]>([
  [0, '0400'],
  [127, '047f'],
  [128, '048180'],
  [255, '0481ff'],
  [256, '04820100'],
  [65_536, '0483010000'],
])('the length of %d bytes', (length, header) => {
  const der = octets(new Uint8Array(length))
  expect(shown(der.subarray(0, der.length - length))).toBe(header)
})

test.each<[string, number[], string]>([
  ['zero', [0, 0], '020100'],
  ['without zeros in front', [0, 1], '020101'],
  ['never negative', [0x80], '02020080'],
])('an integer: %s', (_, bytes, expected) => {
  expect(shown(integer(Uint8Array.from(bytes)))).toBe(expected)
})

test('an object identifier with numbers past 127 and past 2^14', () => {
  expect(shown(oid('1.2.840.113549.1.1.11'))).toBe('06092a864886f70d01010b')
  expect(shown(oid('2.5.29.17'))).toBe('0603551d11')
})

test('years from 2050 have four digits', () => {
  expect(time(new Date('2049-12-31T23:59:59Z')).toString('latin1', 2)).toBe('491231235959Z')
  expect(time(new Date('2050-01-01T00:00:00Z')).toString('latin1', 2)).toBe('20500101000000Z')
})
