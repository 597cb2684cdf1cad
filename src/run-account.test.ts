import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { descend, IMAGE_ACCOUNT, type Needs } from './run-account.ts'

let folder: string
let data: string
const none: Needs = { directories: [], reads: [], writes: [], ports: [] }
const ALL = '000001ffffffffff'
/** SETUID and SETGID alone. */
const POOR = '00000000000000c0'

/** A /proc whose process has these capabilities, and whose ports below `start` are for the privileged. */
function procOf(capabilities: string, start = 1024): string {
  const proc = join(folder, `proc-${capabilities}-${start}`)
  mkdirSync(join(proc, 'self'), { recursive: true })
  mkdirSync(join(proc, 'sys/net/ipv4'), { recursive: true })
  writeFileSync(join(proc, 'self/status'), `Name:\tberth\nCapEff:\t${capabilities}\nCapBnd:\t${capabilities}\n`)
  writeFileSync(join(proc, 'sys/net/ipv4/ip_unprivileged_port_start'), `${start}\n`)
  return proc
}

function optionsFor(uid: number, gid: number, kept = '', isSealed = true): string[] {
  const set = `-all${kept}`
  return [
    ...[`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'],
    ...[`--inh-caps=${set}`, `--ambient-caps=${set}`, ...(isSealed ? [`--bounding-set=${set}`] : [])],
  ]
}

/** `folder/name` with that content, owner and mode. */
function file(name: string, uid: number, mode: number): string {
  const path = join(folder, name)
  writeFileSync(path, 'content')
  chmodSync(path, mode)
  chownSync(path, uid, uid)
  return path
}

// Only root has anything to give.
describe.skipIf(process.getuid?.() !== 0)('whoever root becomes', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-account-'))
    chmodSync(folder, 0o755)
  })
  beforeEach(() => {
    data = mkdtempSync(join(folder, 'data-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const owners = (...paths: string[]) => paths.map((path) => lstatSync(join(data, path)).uid)

  test('a directory of root’s, and all of root’s in it, is given to the image’s account', () => {
    mkdirSync(join(data, 'docker/registry/v2'), { recursive: true })
    writeFileSync(join(data, 'docker/registry/v2/link'), '')
    const outside = file('outside', 0, 0o600)
    symlinkSync(outside, join(data, 'out'))
    symlinkSync(folder, join(data, 'up'))
    expect(descend({ ...none, directories: [data] })).toEqual({ options: optionsFor(65532, 65532), notes: [] })
    expect(owners('.', 'docker', 'docker/registry/v2/link', 'out', 'up')).toEqual(Array(5).fill(IMAGE_ACCOUNT))
    expect([statSync(outside).uid, statSync(folder).uid]).toEqual([0, 0])
  })

  test('one that is not there is made', () => {
    const made = join(data, 'a/b')
    descend({ ...none, directories: [made] })
    expect([statSync(made).uid, statSync(made).mode & 0o777]).toEqual([IMAGE_ACCOUNT, 0o700])
  })

  test('the owner of a directory keeps it, and gets what root wrote there, and nothing of anybody else’s', () => {
    mkdirSync(join(data, 'docker'))
    writeFileSync(join(data, 'theirs'), '')
    chownSync(join(data, 'theirs'), 77, 77)
    chownSync(data, 1234, 4321)
    expect(descend({ ...none, directories: [data] })).toEqual({ options: optionsFor(1234, 4321), notes: [] })
    expect(owners('.', 'docker', 'theirs')).toEqual([1234, 1234, 77])
  })

  test('a group of root’s is not kept', () => {
    chownSync(data, 1234, 0)
    expect(descend({ ...none, directories: [data] }).options).toEqual(optionsFor(1234, 1234))
  })

  test('a folder for the database alone is given, too', () => {
    const database = mkdtempSync(join(folder, 'database-'))
    descend({ ...none, directories: [data, database] })
    expect(statSync(database).uid).toBe(IMAGE_ACCOUNT)
  })

  test.each(['/', '/etc', '/var', '/tmp'])('a folder of the system is not given away: %s', (path) => {
    const before = statSync(path).uid
    expect(descend({ ...none, directories: [path] }).notes).toEqual([])
    expect(statSync(path).uid).toBe(before)
  })

  test('a directory that cannot be given leaves the server to root, and says why', () => {
    const path = '/proc/berth'
    expect(descend({ ...none, directories: [path] })).toEqual({
      options: [],
      notes: [
        expect.stringMatching(/^the server stays root, because \/proc\/berth cannot be given away: .*ENOENT.*; chown/),
      ],
    })
  })

  const closed: [
    sentence: string,
    needs: () => Partial<Needs>,
    capabilities: string,
    kept: string,
    note: RegExp | undefined,
  ][] = [
    ['what everybody may read', () => ({ reads: [file('open', 0, 0o644)] }), ALL, '', undefined],
    ['what is the account’s own', () => ({ reads: [file('own', 65532, 0o600)] }), ALL, '', undefined],
    ['what is not there', () => ({ reads: [join(folder, 'nowhere')] }), ALL, '', undefined],
    [
      'root’s key',
      () => ({ reads: [file('a.key', 0, 0o600)] }),
      '00000000a80425fb',
      ',+dac_override',
      /may not open .*\/a\.key; it keeps the capability DAC_OVERRIDE/,
    ],
    [
      'root’s key, where reading alone can be kept',
      () => ({ reads: [file('b.key', 0, 0o600)] }),
      ALL,
      ',+dac_read_search',
      /DAC_READ_SEARCH/,
    ],
    [
      'root’s key, where neither can be kept',
      () => ({ reads: [file('c.key', 0, 0o600)] }),
      POOR,
      '',
      /c\.key; make them that user's/,
    ],
    [
      'a folder of root’s that a file is made in',
      () => ({ writes: [join(folder, 'audit.jsonl')] }),
      ALL,
      ',+dac_override',
      /DAC_OVERRIDE/,
    ],
    ['a port of the privileged', () => ({ ports: [443] }), ALL, ',+net_bind_service', undefined],
    ['a port of the privileged that nobody may have', () => ({ ports: [443] }), POOR, '', undefined],
    ['a port of everybody', () => ({ ports: [5000, 0] }), ALL, '', undefined],
  ]
  test.each(closed)('%s', (_, needs, capabilities, kept, note) => {
    expect(descend({ ...none, ...needs() }, procOf(capabilities))).toEqual({
      options: optionsFor(65532, 65532, kept, capabilities !== POOR),
      notes: note === undefined ? [] : [expect.stringMatching(note)],
    })
  })

  test('where every port is for everybody, as docker has it, no capability is kept', () => {
    expect(descend({ ...none, ports: [80] }, procOf(ALL, 0)).options).toEqual(optionsFor(65532, 65532))
  })

  test('a container that may not change its user stays who it is, and says how it would not', () => {
    expect(descend({ ...none, directories: [data] }, procOf('0000000000000000'))).toEqual({
      options: [],
      notes: [expect.stringContaining('--user 65532')],
    })
    expect(owners('.')).toEqual([0])
  })
})
