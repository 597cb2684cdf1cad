import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import { run } from '../../test/programs.ts'
import { openOwnCertificate } from '../tls/own-certificate.ts'
import { certCommand } from './cert.ts'
import { configOf } from './load.ts'

let folder: string
let data: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-cert-'))
  data = join(folder, 'data')
  mkdirSync(data)
  const machine = { hostname: () => 'box', hosts: () => '', addresses: () => ['192.0.2.7', '127.0.0.1'] }
  const file = join(data, 'berth-tls/server.pem')
  const own = await openOwnCertificate({ file, names: ['*.example'], machine, now: Date.now })
  await own.tend({ force: false, signal: new AbortController().signal })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** As a shell would see it. */
async function cert(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [code, stdout, stderr] = [0, '', '']
  const error = (text: string) => {
    stderr += text
  }
  const out = (text: string) => {
    stdout += text
  }
  const command = certCommand({ configOf, out, error })
  for (const each of [command, ...command.commands]) each.exitOverride().configureOutput({ writeErr: error })
  try {
    await command.parseAsync(args, { from: 'user' })
  } catch (thrown) {
    code = thrown instanceof CommanderError ? 2 : 1
    if (code === 1) error(`berth: ${thrown instanceof Error ? thrown.message : thrown}\n`)
  }
  return { code, stdout, stderr }
}
const ca = () => readFileSync(join(data, 'berth-tls/ca.crt'), 'utf8')

describe('berth cert', () => {
  test('show, as a table and as JSON', async () => {
    const table = await cert('show', '--data', data)
    expect(table.stdout).toMatch(
      /^server {5}\S+server\.pem\n {2}for {6}\*\.example, localhost, box, 127\.0\.0\.1, ::1, 192\.0\.2\.7\n/,
    )
    const { certificates } = JSON.parse((await cert('show', '--data', data, '--format', 'json')).stdout)
    expect(certificates).toMatchObject([
      {
        role: 'server',
        subject: 'CN=Berth',
        names: ['*.example', 'localhost', 'box', '127.0.0.1', '::1', '192.0.2.7'],
      },
      { role: 'authority', file: join(data, 'berth-tls/ca.crt') },
    ])
  })

  test('ca prints the authority, and never a key', async () => {
    expect((await cert('ca', '--data', data)).stdout).toBe(ca())
    for (const verb of ['show', 'ca', 'trust'])
      expect((await cert(verb, '--data', data)).stdout).not.toContain('PRIVATE')
  })

  test("a certificate of the operator's is shown, and not renewed", async () => {
    const config = join(folder, 'config.yml')
    const pair = join(data, 'berth-tls/server.pem')
    writeFileSync(
      config,
      `version: 0.1\nstorage: {filesystem: {rootdirectory: ${folder}/other}}\nauth: none\nhttp: {tls: {certificate: ${pair}, key: ${pair}}}\n`,
    )
    const shown = await cert('show', '--config', config, '--format', 'json')
    expect(JSON.parse(shown.stdout).certificates).toMatchObject([{ role: 'server', file: pair }])
    expect(await cert('renew', '--config', config)).toMatchObject({
      code: 1,
      stderr: `berth: Berth did not make ${pair}; a server reads it again when it changes\n`,
    })
    expect((await cert('ca', '--config', config)).code).toBe(1)
  })

  test.each<[string, string[], number, string]>([
    [
      'no certificate',
      ['show', '--data', 'nowhere'],
      1,
      'there is no certificate yet; berth serve --tls auto makes one',
    ],
    [
      'no authority',
      ['ca', '--data', 'nowhere'],
      1,
      "there is no authority of Berth's own; berth serve --tls auto makes one",
    ],
    ['nothing to renew', ['renew', '--data', 'nowhere'], 1, 'there is no authority in '],
    ['a host that is a path', ['trust', '../x', '--data', 'data'], 1, '"../x" is no HOST or HOST:PORT'],
    ['a host that a shell would read', ['trust', "x';id;'", '--data', 'data'], 1, 'is no HOST or HOST:PORT'],
    ['a port that is none', ['trust', 'x:70000', '--data', 'data'], 1, '"x:70000" is no HOST or HOST:PORT'],
    [
      'an unknown program',
      ['trust', '--for', 'rkt', '--data', 'data'],
      1,
      '"rkt" is none of docker, podman, containerd, system',
    ],
    ['installing nothing', ['trust', '--install', '--data', 'data'], 1, 'say what to install: --for docker'],
    ['a fetch without a fingerprint', ['trust', '--from', 'https://r'], 1, '--from needs --fingerprint'],
    [
      'a fetch by plain HTTP',
      ['trust', '--from', 'http://r', '--fingerprint', 'x'],
      1,
      '--from takes a URL such as https://',
    ],
    ['an authority without a registry', ['trust', '--ca', 'ca.pem'], 1, 'name the registry as images do: HOST:PORT'],
    ['an authority that is not there', ['trust', 'r', '--ca', 'none.pem'], 1, 'cannot read none.pem'],
    ['a wrong verb', ['trsut'], 2, "unknown command 'trsut'"],
  ])('refuses %s', async (_, args, code, message) => {
    const ended = await cert(...args.map((word) => (word === 'data' ? data : word)))
    expect({ code: ended.code, told: ended.stderr.includes(message), stdout: ended.stdout }).toEqual({
      code,
      told: true,
      stdout: '',
    })
  })
})

describe('berth cert trust', () => {
  test('prints a script that writes the same files as --install, for every name that others know', async () => {
    const scripted = join(folder, 'scripted')
    const installed = join(folder, 'installed')
    const { stdout } = await cert('trust', '--addr', ':5443', '--data', data)
    const script = stdout.replaceAll("'/etc/", `'${scripted}/etc/`)
    expect(await run(['sh', '-c', script])).toMatchObject({ code: 0, stderr: '' })
    const install = ['--install', '--for', 'docker,podman', '--for', 'containerd', '--root', installed]
    expect((await cert('trust', '--addr', ':5443', ...install, '--data', data)).code).toBe(0)
    const files = async (root: string) =>
      (await run(['sh', '-c', `cd '${root}' && find . -type f | sort | xargs sha256sum`])).stdout
    const found: string[] = [...((await files(installed)).match(/\.\/\S+/g) ?? [])]
    const paths = ['192.0.2.7', 'box'].flatMap((name) => [
      `./etc/containerd/certs.d/${name}:5443/ca.crt`,
      `./etc/containerd/certs.d/${name}:5443/hosts.toml`,
      `./etc/containers/certs.d/${name}:5443/ca.crt`,
      `./etc/docker/certs.d/${name}:5443/ca.crt`,
    ])
    expect(found).toEqual(paths.sort())
    expect([...((await files(scripted)).match(/\.\/\S+/g) ?? [])]).toEqual(found)
    expect(readFileSync(join(scripted, 'etc/docker/certs.d/box:5443/ca.crt'), 'utf8')).toBe(ca())
    // Twice is once.
    const again = await cert('trust', '--addr', ':5443', ...install, '--data', data)
    expect([again.code, again.stderr.includes('wrote')]).toEqual([0, false])
  })

  test.each<[string, string, string[]]>([
    ['every address', ':5443', ['box:5443', '192.0.2.7:5443']],
    ['every address of IPv4', '0.0.0.0:5443', ['box:5443', '192.0.2.7:5443']],
    ['this machine alone', '127.0.0.1:5443', ['localhost:5443', '127.0.0.1:5443']],
    ['this machine alone, by IPv6', '[::1]:5443', ['localhost:5443', '[::1]:5443']],
    ['one address', '192.0.2.7:5443', ['box:5443', '192.0.2.7:5443']],
    ['the port that images do not say', '127.0.0.1:443', ['localhost', '127.0.0.1']],
  ])('of a server on %s has the names that lead there', async (_, address, names) => {
    const { stdout, stderr } = await cert('trust', '--addr', address, '--for', 'docker', '--data', data)
    expect([...stdout.matchAll(/certs\.d\/([^/]+)\/ca\.crt/g)].map(([, name]) => name)).toEqual(names)
    expect(stderr).toStartWith(`For ${names.join(', ')}, as the configuration says`)
  })

  test('of a server on this machine alone has what the operator calls it, too', async () => {
    const config = join(folder, 'proxied.yml')
    const named = 'http: {addr: "127.0.0.1:5443", host: "https://box", tls: {auto: true}}'
    writeFileSync(config, `version: 0.1\nstorage: {filesystem: {rootdirectory: ${data}}}\nauth: none\n${named}\n`)
    const { stdout } = await cert('trust', '--config', config, '--for', 'docker')
    expect([...stdout.matchAll(/certs\.d\/([^/]+)\/ca\.crt/g)].map(([, name]) => name)).toEqual([
      ...['localhost:5443', 'box:5443', '127.0.0.1:5443'],
    ])
  })

  test('settings of somebody else stay, and what is missing is shown; the exit code says so', async () => {
    const root = join(folder, 'theirs')
    const path = join(root, 'etc/containerd/certs.d/r:1/hosts.toml')
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, 'theirs = true\n')
    const { code, stderr } = await cert(
      'trust',
      'r:1',
      '--install',
      '--for',
      'containerd',
      '--root',
      root,
      '--data',
      data,
    )
    expect([code, readFileSync(path, 'utf8')]).toEqual([1, 'theirs = true\n'])
    expect(stderr).toContain(`LEFT AS IT IS: ${path}\n`)
    expect(stderr).toContain('    [host."https://r:1"]\n')
  })

  test("the system's store, of another authority", async () => {
    const root = join(folder, 'debian')
    const store = join(root, 'usr/local/share/ca-certificates')
    mkdirSync(store, { recursive: true })
    const other = join(folder, 'other.pem')
    writeFileSync(other, `A remark with 'quotes'\n${ca()}`)
    const { code, stderr } = await cert('trust', 'r', '--ca', other, '--install', '--for', 'system', '--root', root)
    expect([code, stderr.includes('now run: update-ca-certificates')]).toEqual([0, true])
    const [name = ''] = (await run(['ls', store])).stdout.trim().split('\n')
    expect(name).toMatch(/^berth-[0-9a-f]{12}\.crt$/)
    expect(readFileSync(join(store, name), 'utf8')).toBe(ca())
    expect(existsSync(join(root, 'etc'))).toBe(false)
    const none = await cert('trust', 'r', '--ca', other, '--install', '--for', 'system', '--root', join(folder, 'none'))
    expect([none.code, none.stderr.includes('no store of the system')]).toEqual([1, true])
  })
})
