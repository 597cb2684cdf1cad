import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDisk, type Fate } from './disk.ts'
import { parseTrace } from './trace.ts'

const MADE = '1 openat(AT_FDCWD</>, "/d/a", O_WRONLY|O_CREAT, 0600) = 5</d/a>'
const WRITTEN = '1 pwrite64(5</d/a>, "hello", 5, 0) = 5'
const SYNCED = '1 fsync(5</d/a>) = 0'
const NAMED = ['1 openat(AT_FDCWD</>, "/d", O_RDONLY|O_DIRECTORY) = 6</d>', '1 fsync(6</d>) = 0']

const rows: [string, string[], Fate, Record<string, string>][] = [
  ['a file that is synced, and its directory too, is there', [MADE, WRITTEN, SYNCED, ...NAMED], 'lost', { a: 'hello' }],
  ['a file whose directory is not synced is gone', [MADE, WRITTEN, SYNCED], 'lost', {}],
  ['a file that is not synced is empty', [MADE, WRITTEN, ...NAMED], 'lost', { a: '' }],
  ['a write may leave its first bytes', [MADE, WRITTEN, ...NAMED], { firstBytes: 2 }, { a: 'he' }],
  ['a write may be there without a sync', [MADE, WRITTEN], 'kept', { a: 'hello' }],
  [
    'a sync does not cover a write that ends after it began',
    [MADE, '1 fsync(5</d/a> <unfinished ...>', WRITTEN.replace('1', '2'), '1 <... fsync resumed>) = 0', ...NAMED],
    'lost',
    { a: '' },
  ],
  [
    'a file that was cut and grew again has zeros in between',
    [MADE, WRITTEN, '1 ftruncate(5</d/a>, 1) = 0', '1 pwrite64(5</d/a>, "x", 1, 3) = 1', SYNCED, ...NAMED],
    'lost',
    { a: 'h\0\0x' },
  ],
  [
    'a new name that is not synced leaves the old one',
    [MADE, WRITTEN, SYNCED, ...NAMED, '1 rename("/d/a", "/d/b") = 0'],
    'lost',
    { a: 'hello' },
  ],
  [
    'a new name that is synced is there',
    [MADE, WRITTEN, SYNCED, ...NAMED, '1 rename("/d/a", "/d/b") = 0', ...NAMED],
    'lost',
    { b: 'hello' },
  ],
  ['a failed sync makes nothing safe', [MADE, WRITTEN, '1 fsync(5</d/a>) = -1 EIO (Input/output error)'], 'lost', {}],
  [
    'a file that was removed for good is gone',
    [MADE, WRITTEN, SYNCED, ...NAMED, '1 unlink("/d/a") = 0', ...NAMED],
    'kept',
    {},
  ],
]

describe('after a power cut', () => {
  test.each(rows)('%s', (_, lines, fate, expected) => {
    const disk = createDisk('/d')
    for (const moment of parseTrace(lines.join('\n'))) disk.apply(moment)
    const target = mkdtempSync(join(tmpdir(), 'berth-disk-'))
    try {
      disk.write(target, () => fate)
      const found = readdirSync(target).map((name) => [name, readFileSync(join(target, name), 'latin1')])
      expect(Object.fromEntries(found)).toEqual(expected)
    } finally {
      rmSync(target, { recursive: true, force: true })
    }
  })

  test('what is not safe is told, for bytes and names', () => {
    const disk = createDisk('/d')
    for (const moment of parseTrace([MADE, WRITTEN].join('\n'))) disk.apply(moment)
    expect(disk.unsafe('/d/a')).toEqual(['bytes of /d/a are not synced', '/d was not synced since a was put there'])
    for (const moment of parseTrace([SYNCED, ...NAMED].join('\n'))) disk.apply(moment)
    expect(disk.unsafe('/d/a')).toEqual([])
    expect(disk.unsafe('/d/b')).toEqual(['/d/b is not there'])
  })
})
