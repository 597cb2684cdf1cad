import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDraft } from './draft-file.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-draft-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const at = (name: string) => join(folder, name)
const text = (bytes: string) => new TextEncoder().encode(bytes)
function save(path: string, bytes = 'new'): void {
  const draft = openDraft(path)
  draft.write(text(bytes))
  draft.keep()
}

describe('a file', () => {
  test('is there when it is whole, and before it what was there', () => {
    writeFileSync(at('file'), 'old')
    const draft = openDraft(at('file'))
    draft.write(text('new'))
    expect(readFileSync(at('file'), 'utf8')).toBe('old')
    expect(readdirSync(folder).sort()).toEqual(['file', `file.${process.pid}.part`])
    draft.keep()
    draft.discard()
    expect([readFileSync(at('file'), 'utf8'), readdirSync(folder)]).toEqual(['new', ['file']])
  })

  test('that is discarded leaves nothing', () => {
    const draft = openDraft(at('file'), { isHidden: true })
    draft.write(text('new'))
    expect(readdirSync(folder)).toEqual([`.file.${process.pid}.part`])
    draft.discard()
    draft.discard()
    expect(readdirSync(folder)).toEqual([])
  })

  test('keeps its permissions, and a link to it stays a link', () => {
    writeFileSync(at('file'), 'old')
    chmodSync(at('file'), 0o600)
    symlinkSync('file', at('link'))
    save(at('link'))
    expect(readlinkSync(at('link'))).toBe('file')
    expect([readFileSync(at('file'), 'utf8'), statSync(at('file')).mode & 0o777]).toEqual(['new', 0o600])
    expect(readdirSync(folder).sort()).toEqual(['file', 'link'])
  })

  test('whose name is as long as a name can be', () => {
    const name = 'n'.repeat(255)
    save(at(name))
    expect(readdirSync(folder)).toEqual([name])
  })

  test('is written beside what another process of this number has, and takes away what a killed one left', () => {
    const own = `file.${process.pid}.part`
    // No process has a number so high.
    const dead = 'file.4194305.part'
    for (const name of [own, dead, 'file.4194306-3.part', 'other.4194305.part', 'file.x.part']) {
      writeFileSync(at(name), '')
      utimesSync(at(name), 1, 1)
    }
    writeFileSync(at('file.4194307.part'), 'young')
    save(at('file'))
    expect(readdirSync(folder).sort()).toEqual(
      ['file', 'file.4194307.part', own, 'file.x.part', 'other.4194305.part'].sort(),
    )
  })
})

describe('what is no file', () => {
  test('/dev/null stays what it is', () => {
    symlinkSync('/dev/null', at('null'))
    const before = lstatSync('/dev/null')
    save(at('null'))
    const draft = openDraft('/dev/null')
    draft.write(text('gone'))
    draft.keep()
    draft.discard()
    expect(lstatSync('/dev/null')).toMatchObject({ ino: before.ino, rdev: before.rdev })
    expect(readdirSync(folder)).toEqual(['null'])
    expect(readdirSync('/dev').filter((name) => name.endsWith('.part'))).toEqual([])
  })

  test.each<[string, () => string, string, string]>([
    ['a directory', () => folder, 'usage', 'PATH is a directory, and no file'],
    ['a pipe', () => pipe(), 'usage', 'PATH is a pipe or a device, and no file'],
    ['in no directory', () => at('no/file'), 'failed', 'cannot write PATH: no such file or directory'],
    ['in a file', () => within(), 'failed', 'cannot write PATH: not a directory'],
    ['with a name that is too long', () => at('n'.repeat(256)), 'failed', 'cannot write PATH: name too long'],
  ])('%s', (_, path, fault, message) => {
    const where = path()
    let found: unknown
    try {
      save(where)
    } catch (error) {
      found = error
    }
    expect(found).toMatchObject({ fault, message: message.replace('PATH', where) })
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  function pipe(): string {
    mkdirSync(at('pipes'))
    expect(Bun.spawnSync(['mkfifo', at('pipes/one')]).exitCode).toBe(0)
    return at('pipes/one')
  }

  function within(): string {
    writeFileSync(at('plain'), '')
    return at('plain/file')
  }
})
