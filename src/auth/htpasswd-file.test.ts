import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { changeHtpasswdFile, readHtpasswdFile } from './htpasswd-file.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-htpasswd-'))
  path = join(folder, 'htpasswd')
})
afterEach(() => rmSync(folder, { recursive: true }))

const mode = (file: string) => (statSync(file).mode & 0o7777).toString(8)

test('a new file is its owner’s alone', () => {
  expect(changeHtpasswdFile(path, () => 'a:b\n')).toEqual({ made: true })
  expect([readFileSync(path, 'latin1'), mode(path), readdirSync(folder)]).toEqual(['a:b\n', '600', ['htpasswd']])
})

test('a change keeps the mode, and is another file, so that a reader sees the old one or the new one', () => {
  writeFileSync(path, 'a:b\n')
  chmodSync(path, 0o640)
  const before = statSync(path).ino
  expect(changeHtpasswdFile(path, (text) => `${text}c:d\n`)).toEqual({ made: false })
  expect([readFileSync(path, 'latin1'), mode(path)]).toEqual(['a:b\nc:d\n', '640'])
  expect(statSync(path).ino).not.toBe(before)
  expect(readdirSync(folder)).toEqual(['htpasswd'])
})

test.skipIf(process.getuid?.() !== 0)('a change keeps the owner [needs root]', () => {
  writeFileSync(path, '')
  chownSync(path, 1234, 4321)
  chmodSync(path, 0o600)
  changeHtpasswdFile(path, () => 'a:b\n')
  expect([statSync(path).uid, statSync(path).gid, mode(path)]).toEqual([1234, 4321, '600'])
})

test('bytes that are no text stay', () => {
  const bytes = Buffer.from([0xff, 0x3a, 0x78, 0x0a])
  writeFileSync(path, bytes)
  changeHtpasswdFile(path, (text) => `${text}a:b\n`)
  expect(readFileSync(path)).toEqual(Buffer.concat([bytes, Buffer.from('a:b\n')]))
})

test('what a link names is changed, and the link stays', () => {
  mkdirSync(join(folder, 'real'))
  writeFileSync(join(folder, 'real', 'users'), 'a:b\n')
  symlinkSync('real/users', path)
  changeHtpasswdFile(path, (text) => `${text}c:d\n`)
  expect(readlinkSync(path)).toBe('real/users')
  expect(readFileSync(join(folder, 'real', 'users'), 'latin1')).toBe('a:b\nc:d\n')
  expect(lstatSync(path).isSymbolicLink()).toBe(true)
})

test('no change leaves the file untouched', () => {
  writeFileSync(path, 'a:b\n')
  const before = statSync(path)
  expect(changeHtpasswdFile(path, () => undefined)).toEqual({ made: false })
  const { ino, ctimeMs } = statSync(path)
  expect([ino, ctimeMs]).toEqual([before.ino, before.ctimeMs])
})

test('what another program writes meanwhile is not lost', () => {
  writeFileSync(path, 'a:b\n')
  let calls = 0
  changeHtpasswdFile(path, (text) => {
    calls++
    if (calls === 1) writeFileSync(path, 'a:b\nother:x\n')
    return `${text}c:d\n`
  })
  expect([calls, readFileSync(path, 'latin1')]).toEqual([2, 'a:b\nother:x\nc:d\n'])
})

test('a file that never comes to rest is left alone', () => {
  let n = 0
  const change = (text: string) => {
    writeFileSync(path, 'x:'.padEnd(3 + n++, 'y'))
    return `${text}c:d\n`
  }
  expect(() => changeHtpasswdFile(path, change)).toThrow('is being changed by another program all the time')
  expect(readFileSync(path, 'latin1')).not.toContain('c:d')
  expect(readdirSync(folder)).toEqual(['htpasswd'])
})

describe('what cannot be changed is said', () => {
  test.each([
    ['a folder', '.', 'is a folder, not a file; nothing is changed'],
    ['a file in a folder that is not there', 'none/htpasswd', 'is in a folder that does not exist; nothing is changed'],
  ])('%s', (_, name, message) => {
    expect(() => changeHtpasswdFile(join(folder, name), () => 'a:b\n')).toThrow(message)
    expect(readdirSync(folder)).toEqual([])
  })

  test('a link that leads round', () => {
    symlinkSync('htpasswd', path)
    expect(() => readHtpasswdFile(path)).toThrow('is a link that leads round in a circle')
  })

  test('a failure of the change itself leaves everything as it was', () => {
    writeFileSync(path, 'oops\n')
    const fail = () => {
      throw new Error('line 1')
    }
    expect(() => changeHtpasswdFile(path, fail)).toThrow('line 1')
    expect([readFileSync(path, 'latin1'), readdirSync(folder)]).toEqual(['oops\n', ['htpasswd']])
  })
})
