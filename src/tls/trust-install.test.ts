import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
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
})

test.each<[string, string, string | undefined]>([
  ['Debian', 'usr/local/share/ca-certificates', 'update-ca-certificates'],
  ['RHEL', 'etc/pki/ca-trust/source/anchors', 'update-ca-trust'],
  ['something else', 'etc', undefined],
])("the system's store of %s", (_, folder, command) => {
  mkdirSync(join(root, folder), { recursive: true })
  expect(systemStore(root)?.command as string | undefined).toBe(command)
})
