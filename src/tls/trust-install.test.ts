import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { trustFiles, trustHost } from './trust-files.ts'
import { installTrust, systemStore } from './trust-install.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'berth-trust-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const text = (path: string) => readFileSync(join(root, path), 'utf8')

describe('files', () => {
  test.each<['docker' | 'podman' | 'containerd', string[]]>([
    ['docker', ['/etc/docker/certs.d/r.example:5000/ca.crt']],
    ['podman', ['/etc/containers/certs.d/r.example:5000/ca.crt']],
    [
      'containerd',
      ['/etc/containerd/certs.d/r.example:5000/ca.crt', '/etc/containerd/certs.d/r.example:5000/hosts.toml'],
    ],
  ])('of %s', (target, paths) => {
    const files = trustFiles(target, { pem: 'PEM\n', hosts: ['r.example:5000'] })
    expect(files.map(({ path }) => path)).toEqual(paths)
    expect(files[0]?.content).toBe('PEM\n')
  })

  test("hosts.toml in containerd's words", () => {
    const [, settings] = trustFiles('containerd', { pem: 'PEM\n', hosts: ['[::1]:5000'] })
    expect(Bun.TOML.parse(settings?.content ?? '')).toEqual({
      server: 'https://[::1]:5000',
      host: {
        'https://[::1]:5000': {
          capabilities: ['pull', 'resolve', 'push'],
          ca: '/etc/containerd/certs.d/[::1]:5000/ca.crt',
        },
      },
    })
  })

  test.each<[string, number | undefined, string]>([
    ['r.example', 5000, 'r.example:5000'],
    ['r.example', 443, 'r.example'],
    ['2001:db8::1', 5000, '[2001:db8::1]:5000'],
    ['r.example', undefined, 'r.example'],
  ])('a folder for %s and port %p', (name, port, expected) => {
    expect(trustHost(name, port)).toBe(expected)
  })
})

describe('installing', () => {
  const authority = (content: string) => ({ path: '/etc/docker/certs.d/r:1/ca.crt', content, isSettings: false })
  const settings = (content: string) => ({ path: '/etc/containerd/certs.d/r:1/hosts.toml', content, isSettings: true })
  const outcomes = (...files: Parameters<typeof installTrust>[0][number][]) =>
    installTrust(files, root).map(({ outcome }) => outcome)

  test('writes once, and the same again changes nothing', () => {
    expect(outcomes(authority('one'), settings('s'))).toEqual(['written', 'written'])
    expect(outcomes(authority('one'), settings('s'))).toEqual(['same', 'same'])
    expect([text('/etc/docker/certs.d/r:1/ca.crt'), text('/etc/containerd/certs.d/r:1/hosts.toml')]).toEqual([
      'one',
      's',
    ])
    expect(existsSync(join(root, '/etc/docker/certs.d/r:1/ca.crt.old'))).toBe(false)
  })

  test('replaces an authority, which stays beside it', () => {
    outcomes(authority('one'))
    expect(outcomes(authority('two'))).toEqual(['replaced'])
    expect([text('/etc/docker/certs.d/r:1/ca.crt'), text('/etc/docker/certs.d/r:1/ca.crt.old')]).toEqual(['two', 'one'])
  })

  test("leaves somebody's settings alone", () => {
    mkdirSync(join(root, 'etc/containerd/certs.d/r:1'), { recursive: true })
    writeFileSync(join(root, 'etc/containerd/certs.d/r:1/hosts.toml'), 'theirs')
    expect(outcomes(settings('s'))).toEqual(['kept'])
    expect(text('etc/containerd/certs.d/r:1/hosts.toml')).toBe('theirs')
  })

  describe('into an image with symbolic links', () => {
    let outside: string
    beforeEach(() => {
      outside = mkdtempSync(join(tmpdir(), 'berth-outside-'))
    })
    afterEach(() => rmSync(outside, { recursive: true, force: true }))
    const folder = () => join(root, 'etc/docker/certs.d/r:1')

    test.each<[string, () => void]>([
      ['a folder above', () => symlinkSync(outside, join(root, 'etc'))],
      ['one that leads to nothing yet', () => symlinkSync(join(outside, 'new'), join(root, 'etc'))],
      ['one with dots', () => symlinkSync(`../${outside.split('/').at(-1)}`, join(root, 'etc'))],
      [
        'the file itself',
        () => {
          mkdirSync(folder(), { recursive: true })
          symlinkSync(join(outside, 'ca.crt'), join(folder(), 'ca.crt'))
        },
      ],
    ])('that lead out of it, nothing is written: %s', (_, prepare) => {
      prepare()
      expect(() => outcomes(settings('s'), authority('one'))).toThrow('leads out of')
      expect(readdirSync(outside)).toEqual([])
      expect(existsSync(join(root, 'etc/containerd'))).toBe(false)
    })

    test('that stay in it, they are followed', () => {
      mkdirSync(join(root, 'opt'))
      symlinkSync('opt', join(root, 'etc'))
      expect(outcomes(authority('one'))).toEqual(['written'])
      expect(text('opt/docker/certs.d/r:1/ca.crt')).toBe('one')
    })

    test('one in the place of the file that is being written is not followed', () => {
      mkdirSync(folder(), { recursive: true })
      symlinkSync(join(outside, 'victim'), join(folder(), 'ca.crt.new'))
      expect(outcomes(authority('one'))).toEqual(['written'])
      expect(readdirSync(outside)).toEqual([])
    })
  })
})

test.each<[string, string, string | undefined]>([
  ['Debian', 'usr/local/share/ca-certificates', 'update-ca-certificates'],
  ['RHEL', 'etc/pki/ca-trust/source/anchors', 'update-ca-trust'],
  ['something else', 'etc', undefined],
])("the system's store of %s", (_, folder, command) => {
  mkdirSync(join(root, folder), { recursive: true })
  expect(systemStore(root)?.command as string | undefined).toBe(command)
})
