import { expect, test } from 'bun:test'
import { addressBytes } from './address.ts'

test.each<[string, string]>([
  ['192.0.2.255', 'c00002ff'],
  ['::', '00'.repeat(16)],
  ['::1', `${'00'.repeat(15)}01`],
  ['2001:db8::', `20010db8${'00'.repeat(12)}`],
  ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a'],
  ['2001:DB8:0:0:8:800:200C:417A', '20010db80000000000080800200c417a'],
  ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
])('%s', (address, expected) => {
  expect(Buffer.from(addressBytes(address)).toString('hex')).toBe(expected)
})
