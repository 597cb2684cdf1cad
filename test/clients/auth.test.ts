import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { openVerbShell, type VerbShell } from './verb-shell.ts'

const PASSWORD = 'correct horse'
let folder = ''
let berth: Berth
let host = ''
let shell: VerbShell
let kim: VerbShell

const shellWith = (entries: Record<string, unknown>) =>
  openVerbShell(folder, [], { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: entries }) })
const basic = (name: string) => ({ auth: Buffer.from(`${name}:${PASSWORD}`).toString('base64') })

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-auth-'))
  berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
  host = `127.0.0.1:${berth.port}`
  const data = ['--data', berth.dataDirectory]
  await run([BERTH, 'user', 'add', 'kim', '--password-stdin', ...data], { stdin: `${PASSWORD}\n` })
  await must([BERTH, 'acl', 'add', '--account', 'kim', '--name', 'team/*', '--actions', 'pull', ...data])
  shell = openVerbShell(folder)
  kim = shellWith({ [host]: basic('kim') })
})
afterAll(async () => {
  await berth?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const accessOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).access

describe('auth get', () => {
  test('prints what login kept, which another program can use', async () => {
    expect(await shell.run('auth', 'get', host)).toEqual({
      ...{ out: '', error: `berth: not logged in to ${host}\nHint: berth login ${host}\n`, code: 3 },
    })
    const login = await shell.runWith(`${PASSWORD}\n`, 'login', host, '-u', 'admin', '--password-stdin')
    expect(login.code).toBe(0)
    // The one registry that somebody is logged in to need not be named.
    const { out, error, code } = await shell.run('auth', 'get')
    expect({ error, code }).toEqual({ error: '', code: 0 })
    const { ServerURL, Username, Secret } = JSON.parse(out)
    expect({ ServerURL, Username }).toEqual({ ServerURL: host, Username: '<token>' })
    const other = shellWith({ [host]: { identitytoken: Secret } })
    expect(await other.run('whoami', host)).toMatchObject({ out: 'admin\n', code: 0 })
  })

  test('prints a name and a password, and no token of a registry', async () => {
    const { out } = await kim.run('auth', 'get', host)
    expect(JSON.parse(out)).toEqual({ ServerURL: host, Username: 'kim', Secret: PASSWORD })
    const odd = await shellWith({ [host]: { registrytoken: 'abc' } }).run('auth', 'get', host)
    expect(odd).toMatchObject({ out: '', code: 4 })
    expect(odd.error).not.toContain('abc')
  })
})

describe('auth token', () => {
  test('prints a token that the registry takes, for what is asked', async () => {
    const admin = shellWith({ [host]: basic('admin') })
    const { out, error, code } = await admin.run(
      'auth',
      'token',
      `${host}/team/app`,
      '--push',
      '-m',
      'base',
      '-m',
      `${host}/other`,
    )
    expect({ error, code }).toEqual({ error: '', code: 0 })
    expect(accessOf(out)).toEqual([
      { type: 'repository', name: 'team/app', actions: ['pull', 'push'] },
      { type: 'repository', name: 'base', actions: ['pull'] },
      { type: 'repository', name: 'other', actions: ['pull'] },
    ])
    const header = (await admin.run('auth', 'token', '-H', `${host}/team/app`, '--push')).out
    expect(header).toMatch(/^Authorization: Bearer \S+\n$/)
    const Authorization = header.trim().slice('Authorization: '.length)
    const asked = async (method: string, path: string) =>
      (await fetch(`${berth.url}/v2/${path}`, { method, headers: { Authorization } })).status
    expect(await asked('POST', 'team/app/blobs/uploads/')).toBe(202)
    expect(await asked('POST', 'other/blobs/uploads/')).toBe(401)
  })

  test('is refused where less is granted, and says what', async () => {
    expect((await kim.run('auth', 'token', `${host}/team/app`)).code).toBe(0)
    const refused = await kim.run('auth', 'token', `${host}/team/app`, '--push')
    expect(refused).toMatchObject({ out: '', code: 3 })
    expect(refused.error).toStartWith(`berth: the token server of ${host} does not grant repository:team/app:push\n`)
  })

  const wrong: [string, (at: string) => string[]][] = [
    ['an image', (at) => [`${at}/team/app:v1`]],
    ['an image to mount from', (at) => [`${at}/team/app`, '-m', 'base:v1']],
    ['no repository', () => []],
  ]
  test.each(wrong)('of %s is wrong usage', async (_, args) => {
    expect(await kim.run('auth', 'token', ...args(host))).toMatchObject({ out: '', code: 64 })
  })

  test('of a registry without a token server is a header with the password, or none', async () => {
    const answers = [{ status: 200 }, { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }]
    const servers = answers.map((init) => Bun.serve({ port: 0, fetch: () => new Response('', init) }))
    const [open = '', closed = ''] = servers.map(({ port }) => `127.0.0.1:${port}`)
    const at = shellWith({ [open]: basic('kim'), [closed]: basic('kim') })
    expect(await at.run('auth', 'token', `${open}/app`)).toMatchObject({ out: '', code: 4 })
    expect(await at.run('auth', 'token', `${closed}/app`)).toMatchObject({ out: '', code: 4 })
    expect(await at.run('auth', 'token', '-H', `${closed}/app`)).toMatchObject({
      ...{ out: `Authorization: Basic ${basic('kim').auth}\n`, code: 0 },
    })
    for (const server of servers) await server.stop(true)
  })
})

test('a file of that name is the configuration of a token server', async () => {
  const cwd = mkdtempSync(join(folder, 'files-'))
  const asked = () => run([BERTH, 'auth', 'get', '--nonsense'], { cwd, env: { HOME: cwd } })
  expect(await asked()).toMatchObject({ code: 64, stderr: expect.stringContaining('berth auth get --help') })
  writeFileSync(join(cwd, 'get'), '')
  expect(await asked()).toMatchObject({ code: 2, stderr: expect.stringContaining('berth auth --help') })
})
