import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatUploadRange, parseContentRange, parseRange } from './range.ts'

describe('Content-Range of a chunk', () => {
  const rows: [string, string, { start: number; end: number } | undefined][] = [
    ['as the specification spells it', '0-1023', { start: 0, end: 1023 }],
    ['as RFC 9110 spells it', 'bytes 5-9/10', { start: 5, end: 9 }],
    ['with an unknown whole', 'bytes 5-9/*', { start: 5, end: 9 }],
    ['a single byte', '7-7', { start: 7, end: 7 }],
    ['an end before the start', '9-5', undefined],
    ['no end', '5-', undefined],
    ['no start', '-5', undefined],
    ['a sign', '+1-5', undefined],
    ['letters', 'a-b', undefined],
    ['too many digits', `0-${'9'.repeat(16)}`, undefined],
    ['nothing', '', undefined],
  ]
  test.each(rows)('%s', (_, text, expected) => {
    expect(parseContentRange(text)).toEqual(expected)
  })

  test('anything is read or refused, never thrown at', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const span = parseContentRange(text)
        return span === undefined || span.start <= span.end
      }),
      { seed: 20_260_101 },
    )
  })
})

describe('Range of something with 100 bytes', () => {
  const rows: [string, string | null, ReturnType<typeof parseRange>][] = [
    ['no header: the whole', null, 'whole'],
    ['the first ten', 'bytes=0-9', { start: 0, end: 9 }],
    ['from the middle to the end', 'bytes=50-', { start: 50, end: 99 }],
    ['an end beyond the last byte is cut', 'bytes=90-1000', { start: 90, end: 99 }],
    ['the last five', 'bytes=-5', { start: 95, end: 99 }],
    ['more than all from the end is all', 'bytes=-500', { start: 0, end: 99 }],
    ['a start beyond the last byte', 'bytes=100-', 'unsatisfiable'],
    ['the last none', 'bytes=-0', 'unsatisfiable'],
    ['several ranges are ignored', 'bytes=0-1,5-6', 'whole'],
    ['another unit is ignored', 'lines=0-1', 'whole'],
    ['an end before the start is ignored', 'bytes=9-5', 'whole'],
    ['a lone hyphen is ignored', 'bytes=-', 'whole'],
    ['words are ignored', 'bytes=a-b', 'whole'],
  ]
  test.each(rows)('%s', (_, header, expected) => {
    expect(parseRange(header, 100)).toEqual(expected)
  })

  test('of nothing is never satisfiable', () => {
    expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable')
    expect(parseRange('bytes=-1', 0)).toBe('unsatisfiable')
  })

  test('a span always lies inside', () => {
    const header = fc.tuple(fc.nat(), fc.option(fc.nat())).map(([a, b]) => `bytes=${a}-${b ?? ''}`)
    fc.assert(
      fc.property(fc.oneof(header, fc.string()), fc.nat(), (text, size) => {
        const range = parseRange(text, size)
        return typeof range === 'string' || (range.start >= 0 && range.start <= range.end && range.end < size)
      }),
      { seed: 20_260_101 },
    )
  })
})

test('the Range header of an upload names its last byte, and 0-0 for none', () => {
  expect([0, 1, 2, 100].map(formatUploadRange)).toEqual(['0-0', '0-0', '0-1', '0-99'])
})
