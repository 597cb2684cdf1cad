import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lines } from './fixtures/load-text.ts'
import { loadConfig } from './load.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-read-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const right = 'version: 0.1\nstorage: filesystem\nauth: none\n'

/** Everything that is wrong with a file, without the folder. */
function problemsOf(name: string): string[] {
  const { problems, config } = loadConfig({ file: join(folder, name), env: {}, flags: {} })
  expect(config === undefined).toBe(problems.length > 0)
  return lines(problems).map((line) => line.replaceAll(`${folder}/`, ''))
}

describe('a file that cannot be read', () => {
  test.each<[sentence: string, make: (path: string) => void, problem: string]>([
    ['is not there', () => {}, 'f: there is no such file'],
    ['is a folder', (path) => mkdirSync(path), 'f: is a directory, not a file'],
    ['is a link to nothing', (path) => symlinkSync('nothing', path), 'f: there is no such file'],
    [
      'is a device without end',
      (path) => symlinkSync('/dev/zero', path),
      'f: is larger than 8388608 bytes, so it is no configuration',
    ],
    [
      'is too large',
      (path) => writeFileSync(path, '#'.repeat(8_388_609)),
      'f: is larger than 8388608 bytes, so it is no configuration',
    ],
    ['is no UTF-8', (path) => writeFileSync(path, Buffer.from([0x61, 0xff])), 'f: is no UTF-8 text'],
    [
      'is UTF-16, as an editor of Windows may write it',
      (path) => writeFileSync(path, `\ufeff${right}`, 'utf16le'),
      'f: is no UTF-8 text',
    ],
    ['is an image', (path) => writeFileSync(path, Buffer.from('89504e470d0a1a0a', 'hex')), 'f: is no UTF-8 text'],
  ])('%s', (_, make, problem) => {
    const path = join(folder, 'f')
    make(path)
    try {
      expect(problemsOf('f')).toEqual([problem])
    } finally {
      rmSync(path, { recursive: true, force: true })
    }
  })

  test.skipIf(process.getuid?.() === 0)('may not be read [not as root]', () => {
    const path = join(folder, 'f')
    writeFileSync(path, right)
    chmodSync(path, 0)
    expect(problemsOf('f')).toEqual(['f: may not be read by this user; change its mode or owner'])
  })
})

describe('a file', () => {
  test.each<[sentence: string, text: string, problems: string[]]>([
    ['may begin with a byte order mark', `\ufeff${right}`, []],
    ['may have line ends of Windows', right.replaceAll('\n', '\r\n'), []],
    ['may have comments and an end mark', `# c\n---\n${right}...\n`, []],
    [
      'with a tab for space is refused, with line and column',
      `${right}http:\n\taddr: ":1"\n`,
      ['g:5: not valid YAML: Tabs are not allowed as indentation (column 1)'],
    ],
    ['with a NUL is refused', `${right}http: {addr: "\0"}\n`, ['g:4: http.addr: "\\u0000" is not HOST:PORT']],
    [
      'of another program is refused',
      '{"a": 1}',
      ['g:1: version: unsupported version: ""', 'g:1: storage: no storage configuration provided'],
    ],
    [
      'of another version is refused with what else is wrong',
      'version: 1\nstorage: {filesystem: , s3: }\nlog: {level: loud}\n',
      [
        'g:1: version: unsupported version: "1"',
        'g:2: storage.s3: Berth knows this key but does not do what it asks yet',
        'g:2: storage: must provide exactly one storage type. Provided: [filesystem s3]',
        'g:3: log.level: invalid loglevel loud',
      ],
    ],
    [
      'whose version is a map is refused',
      'version: {a: 1}\nstorage: filesystem\n',
      ['g:1: version: unsupported version: ""'],
    ],
    [
      'cut off in the middle is refused',
      'version: 0.1\nstorage:\n  filesystem: {rootdir',
      ['g:3: not valid YAML: Flow map in block collection must be sufficiently indented and end with a } (column 23)'],
    ],
  ])('%s', (_, text, problems) => {
    writeFileSync(join(folder, 'g'), text)
    expect(problemsOf('g').sort()).toEqual([...problems].sort())
  })
})
