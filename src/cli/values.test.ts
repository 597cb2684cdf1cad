import { describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ofProcess } from './control.ts'
import { formatTable, printable, printableJson } from './table.ts'
import { parseActions, parseExpiry, parseLabels } from './values.ts'

const NOW = Date.parse('2026-01-02T03:04:05Z')

describe('an end', () => {
  test.each([
    ['12h', '2026-01-02T15:04:05.000Z'],
    ['90d', '2026-04-02T03:04:05.000Z'],
    ['4w', '2026-01-30T03:04:05.000Z'],
    ['1y', '2027-01-02T03:04:05.000Z'],
    ['2027-01-31', '2027-01-31T23:59:59.000Z'],
    ['2027-01-31T10:00:00+02:00', '2027-01-31T08:00:00.000Z'],
    ['never', null],
  ])('%s is %p', (text, expected) => {
    expect(parseExpiry(text, NOW)).toBe(expected)
  })

  test.each(['', '90', '90m', '-1d', '2027-13-01', '2027-01-31T10:00:00', 'tomorrow', '999999d'])(
    'is not %p',
    (text) => {
      expect(() => parseExpiry(text, NOW)).toThrow('is no end')
    },
  )
})

test('labels keep their values in order, and no name is special', () => {
  expect(parseLabels(['a=1', 'b=x=y', 'a=2', 'c='])).toEqual({ a: ['1', '2'], b: ['x=y'], c: [''] })
  expect(Object.entries(parseLabels(['__proto__=1']))).toEqual([['__proto__', ['1']]])
  expect(parseActions('pull, push,,')).toEqual(['pull', 'push'])
})

test('a table keeps its columns whatever stands in them', () => {
  expect(
    formatTable([
      ['A', 'B'],
      ['日本', 'x'],
      ['e\u0301', ''],
      ['a\nb', 'y'],
    ]),
  ).toBe('A        B\n日本     x\ne\u0301\na\\u{a}b  y\n')
  expect(printable('\u{e0001}\u009b')).toBe('\\u{e0001}\\u{9b}')
  expect(printableJson('{"a":"\u{e0001}\u009b"}')).toBe('{"a":"\\udb40\\udc01\\u009b"}\n')
})

test('a data directory without a registry is named before anybody types a password', () => {
  const run = () => ofProcess.configOf({ data: '/nowhere/berth-data' })
  expect(run).toThrow('there is no registry in /nowhere/berth-data; name its data directory with --data DIR')
})

test('a registry in ./data, where npm start puts it, is named', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-beside-'))
  const before = process.cwd()
  const refusal = () => {
    try {
      return ofProcess.configOf({ data: '/nowhere/berth-data' })
    } catch (error) {
      return error
    }
  }
  try {
    process.chdir(folder)
    mkdirSync('data')
    expect(refusal()).toMatchObject({ exitCode: 1, hint: undefined })
    writeFileSync('data/berth.db', '')
    expect(refusal()).toMatchObject({ exitCode: 1, hint: 'there is one in ./data: --data data' })
  } finally {
    process.chdir(before)
    rmSync(folder, { recursive: true })
  }
})
