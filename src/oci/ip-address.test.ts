import { expect, test } from 'bun:test'
import { isIP as isIPOfRuntime } from 'node:net'
import fc from 'fast-check'
import { isIP } from './ip-address.ts'

const group = fc.oneof(
  fc.integer({ min: 0, max: 0xffff }).map((number) => number.toString(16)),
  fc.constantFrom('', '0', '00', '0000', '00000', 'ABCD', 'g', '-1', '1.2.3.4', '1.2.3', '256.1.1.1'),
)
const like = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  fc.array(group, { minLength: 1, maxLength: 9 }).map((groups) => groups.join(':')),
  fc
    .tuple(fc.array(group, { maxLength: 7 }), fc.array(group, { maxLength: 7 }))
    .map(([a, b]) => `${a.join(':')}::${b.join(':')}`),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 300 }).map(String), fc.constantFrom('', '01', '00', ' 1')), {
      maxLength: 5,
    })
    .map((parts) => parts.join('.')),
  fc.tuple(fc.ipV6(), fc.constantFrom('%eth0', '%', '%a b', '%%', '%1')).map((parts) => parts.join('')),
  fc.string(),
)

test('what is an address is what the runtime takes for one', () => {
  fc.assert(
    fc.property(like, (text) => {
      expect([text, isIP(text)]).toEqual([text, isIPOfRuntime(text) as 0 | 4 | 6])
    }),
    { numRuns: 5000, seed: 20_260_101 },
  )
})

for (const [family, texts] of [
  [4, ['0.0.0.0', '255.255.255.255', '127.0.0.1']],
  [
    6,
    ['::', '::1', '1::', 'fe80::1%eth0', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:7::'],
  ],
  [
    0,
    [
      '',
      '1',
      '01.2.3.4',
      '1.2.3.4.5',
      '1.2.3.4 ',
      '1.2.3.4%eth0',
      ':',
      ':::',
      '1:2:3:4:5:6:7',
      '1::2::3',
      '1.2.3.4::',
      '::1.2.3.4:5',
      '1:2:3:4:5:6:7:8:9',
      '1:2:3:4:5:6:7:8::',
      'localhost',
      '::g',
    ],
  ],
] as const) {
  for (const text of texts)
    test(`${JSON.stringify(text)} is ${family === 0 ? 'no address' : `an IPv${family} address`}`, () =>
      expect(isIP(text)).toBe(family))
}
