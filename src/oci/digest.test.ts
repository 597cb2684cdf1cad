import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { algorithmOf, digestOf, hexOf, isDigest, parseDigest } from './digest.ts'

const SHA256 = 'a'.repeat(64)
const SHA512 = 'b'.repeat(128)

describe('a digest', () => {
  const rows: [string, string, boolean][] = [
    ['sha256 with 64 hex digits is one', `sha256:${SHA256}`, true],
    ['sha512 with 128 hex digits is one', `sha512:${SHA512}`, true],
    ['upper-case hex is none', `sha256:${SHA256.toUpperCase()}`, false],
    ['63 digits are none', `sha256:${SHA256.slice(1)}`, false],
    ['65 digits are none', `sha256:${SHA256}a`, false],
    ['sha512 with the length of sha256 is none', `sha512:${SHA256}`, false],
    ['sha384 is none that Berth stores', `sha384:${'c'.repeat(96)}`, false],
    ['an upper-case algorithm is none', `SHA256:${SHA256}`, false],
    ['a line break behind it makes none', `sha256:${SHA256}\n`, false],
    ['a tag is none', 'latest', false],
    ['nothing is none', '', false],
  ]
  test.each(rows)('%s', (_, text, expected) => {
    expect(isDigest(text)).toBe(expected)
    if (expected) expect(parseDigest(text) as string).toBe(text)
    else expect(() => parseDigest(text)).toThrow('invalid digest')
  })

  test('of bytes is what sha256sum and sha512sum say', () => {
    expect(digestOf(new TextEncoder().encode('abc'))).toBe(
      'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(hexOf(digestOf(new Uint8Array(), 'sha512')).slice(0, 16)).toBe('cf83e1357eefb8bd')
  })

  test('is read back from any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.constantFrom('sha256' as const, 'sha512' as const), (bytes, algorithm) => {
        const digest = digestOf(bytes, algorithm)
        expect(isDigest(digest)).toBe(true)
        expect(algorithmOf(digest)).toBe(algorithm)
        expect(`${algorithm}:${hexOf(digest)}`).toBe(digest)
      }),
      { seed: 20_260_101 },
    )
  })
})
