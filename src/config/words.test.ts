import { describe, expect, test } from 'bun:test'
import { parseAddress } from './address.ts'
import { parseDuration } from './duration.ts'
import { nearestName } from './nearest.ts'
import { isCidr, isIpPattern, regexpFault, regexpOf } from './pattern.ts'

describe('durations are those of Go, in milliseconds', () => {
  test.each([
    ['10s', 10_000],
    ['2h45m', 9_900_000],
    ['1.5h', 5_400_000],
    ['.5s', 500],
    ['100us', 0.1],
    ['100\u00b5s', 0.1],
    ['1ms1ns', 1.000001],
    ['0', 0],
    ['-5s', -5000],
    ['1000000', 1],
    ['', undefined],
    ['10', 0.00001],
    ['10 s', undefined],
    ['s', undefined],
    ['1d', undefined],
    ['1.s', 1000],
    ['5s3', undefined],
    ['2562047h', 2_562_047 * 3_600_000],
    ['-2562048h', undefined],
    ['9999999999h', undefined],
    ['9223372036854775808000', undefined],
  ])('%p is %p', (text, expected) => {
    const actual = parseDuration(text)
    if (expected === undefined) expect(actual).toBeUndefined()
    else expect(actual).toBeCloseTo(expected, 9)
  })
})

describe('addresses are those of Go', () => {
  test.each([
    [':5000', '::', 5000],
    ['0.0.0.0:80', '0.0.0.0', 80],
    ['localhost:0', 'localhost', 0],
    ['[::1]:5000', '::1', 5000],
    ['[::]:5000', '::', 5000],
    ['registry.example:https', 'registry.example', 443],
    [':http', '::', 80],
  ])('%p listens', (text, hostname, port) => {
    expect(parseAddress(text)).toEqual({ listen: { kind: 'tcp', hostname, port } })
  })

  test.each([
    ['5000', 'missing port in address "5000"'],
    ['localhost', '"localhost" is not HOST:PORT'],
    ['::1', 'too many colons in the address'],
    ['http://localhost:5000', 'is a URL, not an address'],
    ['localhost:', '"" is no port'],
    [':ftp-data-x', '"ftp-data-x" is no port'],
    [':70000', '"70000" is no port'],
    ['[localhost]:1', '[localhost] is no IPv6 address'],
    ['*:5000', '"*" is no host name or address'],
    ['300.1.1.1:5000', '"300.1.1.1" is no host name or address'],
    ['', '"" is not HOST:PORT'],
  ])('%p does not', (text, wrong) => {
    expect(parseAddress(text)).toMatchObject({ wrong })
  })
})

describe('patterns', () => {
  test.each([
    ['//', undefined],
    ['/a/', 'a'],
    ['/a', undefined],
    ['a/b', undefined],
  ])('the expression of %p is %p', (pattern, expression) => {
    expect(regexpOf(pattern)).toBe(expression)
  })

  test.each([
    ['(?i)\\A[[:alpha:]]\\z', true],
    [`\${account}_.*`, true],
    ['(?=a)', false],
    ['(a)\\1', false],
    ['(', false],
  ])('RE2 takes %p: %p', (expression, taken) => {
    expect(regexpFault(expression) === undefined).toBe(taken)
  })

  test.each([
    ['10.0.0.0/8', true, true],
    ['10.0.0.1', true, false],
    ['::1/128', true, true],
    ['::1/129', false, false],
    ['10.0.0.0/33', false, false],
    ['10.0.0.0/', false, false],
    ['10.0.0/8', false, false],
    ['fe80::1%eth0', false, false],
    ['', false, false],
  ])('%p is an address or block: %p, a block: %p', (text, either, block) => {
    expect([isIpPattern(text), isCidr(text)]).toEqual([either, block])
  })
})

describe('the nearest name', () => {
  test.each([
    ['adr', ['addr', 'net'], 'addr'],
    ['certifcate', ['certificate', 'clientcas'], 'certificate'],
    ['htpaswd', ['token', 'htpasswd'], 'htpasswd'],
    ['issure', ['issuer'], 'issuer'],
    ['quota', ['log', 'http'], undefined],
    ['', ['log'], undefined],
  ] as const)('of %p is right', (name, candidates, expected) => {
    expect(nearestName(name, candidates)).toBe(expected)
  })
})
