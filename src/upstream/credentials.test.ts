import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { must } from '../../test/programs.ts'
import { credentialHelper } from './credential-helper.ts'
import { createCredentials } from './credentials.ts'

const HOST = 'registry.example:5000'
const basic = (text: string) => Buffer.from(text).toString('base64')

let home: string
let env: Record<string, string>

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'berth-credentials-'))
  env = { PATH: `${join(home, 'bin')}:${process.env.PATH}`, XDG_RUNTIME_DIR: join(home, 'run') }
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

function write(path: string, content: unknown): string {
  const file = join(home, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
  return file
}

const open = (file?: string) => createCredentials({ env, home, file })
const config = () => join(home, '.docker/config.json')
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

/** A credential helper that keeps its secrets in files, as the real ones talk (docker-credential-helpers). */
function installHelper(name: string): string {
  const store = join(home, `store-${name}`)
  mkdirSync(store)
  const path = write(
    `bin/docker-credential-${name}`,
    `#!/bin/sh
input=$(cat)
key() { printf %s "$1" | tr -c 'a-zA-Z0-9' _; }
case $1 in
  store) server=$(printf %s "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/'); printf %s "$input" > '${store}'/"$(key "$server")" ;;
  get) if [ -f '${store}'/"$(key "$input")" ]; then cat '${store}'/"$(key "$input")"; else printf 'credentials not found in native keychain'; exit 1; fi ;;
  erase) rm -f '${store}'/"$(key "$input")" ;;
  *) echo "unknown verb" ; exit 1 ;;
esac
`,
  )
  chmodSync(path, 0o755)
  return store
}

describe('credentials are found', () => {
  test('nowhere when there are no files', async () => {
    expect(await open().find(HOST)).toBeUndefined()
  })

  test("in docker's file", async () => {
    write('.docker/config.json', { auths: { [HOST]: { auth: basic('kim:a:b') } } })
    expect(await open().find(HOST)).toEqual({ kind: 'password', username: 'kim', password: 'a:b', source: config() })
  })

  test('where DOCKER_CONFIG says', async () => {
    env.DOCKER_CONFIG = join(home, 'elsewhere')
    const source = write('elsewhere/config.json', { auths: { [HOST]: { auth: basic('kim:x') } } })
    expect(await open().find(HOST)).toMatchObject({ username: 'kim', source })
  })

  test('in DOCKER_AUTH_CONFIG before any file, and in the file for other registries', async () => {
    env.DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { [HOST]: { auth: basic('ci:x') } } })
    write('.docker/config.json', {
      auths: { [HOST]: { auth: basic('kim:x') }, 'other.example': { auth: basic('kim:y') } },
    })
    expect(await open().find(HOST)).toMatchObject({ username: 'ci', source: 'DOCKER_AUTH_CONFIG' })
    expect(await open().find('other.example')).toMatchObject({ username: 'kim', password: 'y' })
  })

  test('as a refresh token, or as a token of the registry itself', async () => {
    write('.docker/config.json', {
      auths: {
        [HOST]: { auth: basic('kim:'), identitytoken: 'refresh' },
        'other.example': { registrytoken: 'bearer' },
      },
    })
    expect(await open().find(HOST)).toMatchObject({ kind: 'identity-token', username: 'kim', token: 'refresh' })
    expect(await open().find('other.example')).toMatchObject({ kind: 'registry-token', token: 'bearer' })
  })

  test("under old URLs and under the hub's own name", async () => {
    write('.docker/config.json', {
      auths: {
        [`https://${HOST}/v1/`]: { auth: basic('old:x') },
        'https://index.docker.io/v1/': { auth: basic('hub:x') },
      },
    })
    expect(await open().find(HOST)).toMatchObject({ username: 'old' })
    expect(await open().find('docker.io', 'library/ubuntu')).toMatchObject({ username: 'hub' })
  })

  test("in podman's file, by the longest namespace that fits", async () => {
    const source = write('run/containers/auth.json', {
      auths: {
        [HOST]: { auth: basic('all:x') },
        [`${HOST}/team`]: { auth: basic('team:x') },
        [`${HOST}/team/app`]: { auth: basic('app:x') },
      },
    })
    const user = async (repository?: string) => await open().find(HOST, repository)
    expect(await user('team/app')).toMatchObject({ username: 'app', source })
    expect(await user('team/app/sub')).toMatchObject({ username: 'app' })
    expect(await user('team/other')).toMatchObject({ username: 'team' })
    expect(await user('teamwork')).toMatchObject({ username: 'all' })
    expect(await user()).toMatchObject({ username: 'all' })
  })

  test('in the one file that was named, and nowhere else', async () => {
    env.DOCKER_AUTH_CONFIG = JSON.stringify({ auths: { [HOST]: { auth: basic('ci:x') } } })
    write('.docker/config.json', { auths: { [HOST]: { auth: basic('kim:x') } } })
    const file = write('named.json', { auths: { 'other.example': { auth: basic('named:x') } } })
    expect(await open(file).find(HOST)).toBeUndefined()
    expect(await open(file).find('other.example')).toMatchObject({ username: 'named', source: file })
  })

  test("with a helper of the registry before the store for all, and both before the file's own entries", async () => {
    const [mine, all] = [installHelper('mine'), installHelper('all')]
    writeFileSync(join(mine, 'registry_example_5000'), JSON.stringify({ Username: 'helped', Secret: 's' }))
    writeFileSync(join(all, 'other_example'), JSON.stringify({ Username: '<token>', Secret: 'refresh' }))
    const auths = { [HOST]: { auth: basic('file:x') }, 'third.example': { auth: basic('file:y') } }
    write('.docker/config.json', { auths, credsStore: 'all', credHelpers: { [HOST]: 'mine' } })
    expect(await open().find(HOST, 'team/app')).toEqual({
      kind: 'password',
      username: 'helped',
      password: 's',
      source: 'docker-credential-mine',
    })
    expect(await open().find('other.example')).toMatchObject({ kind: 'identity-token', token: 'refresh' })
    expect(await open().find('third.example')).toMatchObject({ username: 'file', password: 'y' })
  })
})

describe('what is wrong is said without a secret', () => {
  test.each<[string, unknown, RegExp]>([
    ['no JSON', '{"auths": "s3cret', /is not valid JSON$/],
    ['no object', '["s3cret"]', /holds no JSON object$/],
    [
      'an auth that is no name and password',
      { auths: { [HOST]: { auth: basic('s3cret') } } },
      /not base64 of NAME:PASSWORD$/,
    ],
    ['an auth that is not base64', { auths: { [HOST]: { auth: '!!!' } } }, /not base64 of NAME:PASSWORD$/],
    ['an entry that is no object', { auths: { [HOST]: 's3cret' } }, /has an entry of auths that is none$/],
    ['a token that is no text', { auths: { [HOST]: { identitytoken: 7 } } }, /has an entry of auths that is none$/],
    [
      'a helper that is not there',
      { credHelpers: { [HOST]: 'missing' } },
      /docker-credential-missing is not installed$/,
    ],
    ['a helper with a path for a name', { credHelpers: { [HOST]: '../evil' } }, /has no valid name$/],
  ])('%s', async (_, content, message) => {
    write('.docker/config.json', content)
    const error = await open()
      .find(HOST)
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'UpstreamError', message: expect.stringMatching(message) })
    expect(String(error)).not.toContain('s3cret')
  })
})

test('a link to a device is read to a bound', async () => {
  mkdirSync(join(home, '.docker'))
  symlinkSync('/dev/zero', config())
  const reading = open().find(HOST)
  await expect(reading).rejects.toThrow(/cannot read .*config.json: it has more than 16777216 bytes$/)
})

test.each<[string, () => string, RegExp]>([
  ['docker', config, /cannot read .*\/config.json: it is a named pipe, and no file$/],
  [
    'podman',
    () => join(home, 'run/containers/auth.json'),
    /cannot read .*\/auth.json: it is a named pipe, and no file$/,
  ],
])(
  'a named pipe in the place of the file of %s, to which nobody writes, is not waited for',
  async (_, path, message) => {
    mkdirSync(dirname(path()), { recursive: true })
    await must(['mkfifo', path()])
    await expect(open().find(HOST)).rejects.toThrow(message)
  },
)

test('what a shell pipes in place of the file is there each time that it is asked for', async () => {
  const file = write('config.json', { auths: { [HOST]: { auth: basic('kim:secret') } } })
  const program = write(
    'find.ts',
    `import { createCredentials } from ${JSON.stringify(join(import.meta.dir, 'credentials.ts'))}
    for (const home of ['/one', '/two']) {
      const found = await createCredentials({ env: {}, home, file: process.argv[2] }).find('${HOST}')
      console.log(found?.kind === 'password' ? found.password : 'nothing')
    }`,
  )
  const command = ['bash', '-c', '"$0" "$1" <(cat "$2")', process.execPath, program, file]
  expect(await must(command)).toBe('secret\nsecret\n')
})

test('an entry that is null has nothing, as for docker', async () => {
  write('.docker/config.json', { auths: { [HOST]: null, other: { auth: null } } })
  expect([await open().find(HOST), await open().find('other')]).toEqual([undefined, undefined])
})

describe('a helper', () => {
  const install = (script: string) => chmodSync(write('bin/docker-credential-odd', `#!/bin/sh\n${script}\n`), 0o755)

  test.each<[string, string, RegExp, number]>([
    ['that answers without an end', 'exec cat /dev/zero', /answered with more than 1048576 bytes$/, 60_000],
    ['that complains without an end', 'exec cat /dev/zero >&2', /answered with more than 1048576 bytes$/, 60_000],
    ['whose complaint is long', 'head -c 5000 /dev/zero | tr "\\0" e >&2; exit 1', /failed: e{300}$/, 60_000],
    ['that hangs, with a program of its own', 'trap "" TERM; sleep 20', /has not answered for 0.5 seconds$/, 500],
  ])('%s is given up', async (_, script, message, timeout) => {
    install(script)
    await expect(credentialHelper('odd', env, timeout).get(HOST)).rejects.toThrow(message)
  })

  test('that leaves a program behind has answered when it ends', async () => {
    install(`sleep 20 & echo '{"Username":"kim","Secret":"x"}'`)
    expect(await credentialHelper('odd', env).get(HOST)).toEqual({ username: 'kim', secret: 'x' })
  })
})

describe('logging in', () => {
  test('makes a file that only its owner reads', async () => {
    expect(await open().store(HOST, { username: 'kim', password: 'x' })).toBe(config())
    expect(read(config())).toEqual({ auths: { [HOST]: { auth: basic('kim:x') } } })
    expect(statSync(config()).mode & 0o777).toBe(0o600)
  })

  test('keeps the other keys of a file, and a link to it', async () => {
    const target = write('real.json', { HttpHeaders: { A: 'b' }, auths: { other: { auth: 'eDp5' } } })
    mkdirSync(join(home, '.docker'))
    symlinkSync(target, config())
    await open().store(HOST, { username: 'kim', identityToken: 'refresh' })
    expect(read(target)).toEqual({
      HttpHeaders: { A: 'b' },
      auths: { other: { auth: 'eDp5' }, [HOST]: { auth: basic('kim:'), identitytoken: 'refresh' } },
    })
    expect(lstatSync(config()).isSymbolicLink()).toBe(true)
  })

  test('gives the secret to the helper that the file names, and logging out takes it back', async () => {
    installHelper('all')
    write('.docker/config.json', { credsStore: 'all' })
    expect(await open().store(HOST, { username: 'kim', password: 'x' })).toBe('docker-credential-all')
    expect(read(config())).toEqual({ credsStore: 'all', auths: { [HOST]: {} } })
    expect(await open().find(HOST)).toMatchObject({ username: 'kim', password: 'x', source: 'docker-credential-all' })
    expect(open().registries()).toEqual([HOST])
    expect(await open().erase(HOST)).toEqual(['docker-credential-all'])
    expect(await open().find(HOST)).toBeUndefined()
    expect(read(config())).toEqual({ credsStore: 'all', auths: {} })
    expect(await open().erase(HOST)).toEqual([])
  })

  test('and out again leaves the rest of the file', async () => {
    write('.docker/config.json', { auths: { [HOST]: { auth: basic('kim:x') }, other: {} }, x: 1 })
    expect(await open().erase(HOST)).toEqual([config()])
    expect(read(config())).toEqual({ auths: { other: {} }, x: 1 })
  })

  test('says when the file cannot be written', async () => {
    writeFileSync(join(home, '.docker'), '')
    const error = await open()
      .store(HOST, { username: 'kim', password: 's3cret' })
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ message: expect.stringMatching(/^cannot write .*config\.json: /) })
    expect(String(error)).not.toContain('s3cret')
  })
})
