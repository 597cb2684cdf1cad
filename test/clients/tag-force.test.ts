import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, writeLayout } from '../image.ts'
import { must, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { openVerbShell, type VerbShell } from './verb-shell.ts'

const PASSWORD = 'correct horse'
const OLD = makeImage({ layers: [10], seed: 'old' })
const NEW = makeImage({ layers: [20], seed: 'new' })
let folder = ''
let berth: Berth
let host = ''
let admin: VerbShell
let shellOf: (name: string) => VerbShell
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-tag-force-'))
  berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
  host = `127.0.0.1:${berth.port}`
  shellOf = (name) => {
    const auth = Buffer.from(`${name}:${PASSWORD}`).toString('base64')
    return openVerbShell(folder, [], {
      DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [host]: { auth } } }),
      TMPDIR: folder,
    })
  }
  admin = shellOf('admin')
  const data = ['--data', berth.dataDirectory]
  await must([BERTH, 'immutable', 'add', 'releases', '--repository', 'team/**', '--tag', 'v*', ...data])
  const added = await run([BERTH, 'user', 'add', 'kim', '--password-stdin', ...data], { stdin: `${PASSWORD}\n` })
  expect(added.code).toBe(0)
  await must([BERTH, 'acl', 'add', '--account', 'kim', '--name', 'team/app', '--actions', 'pull,push', ...data])
  for (const [image, ...tags] of [
    [OLD, 'old', 'v1', 'v2'],
    [NEW, 'new'],
  ] as const) {
    const own = join(folder, tags[0])
    writeLayout(own, image, 'one')
    for (const tag of tags)
      expect(await admin.run('push', '-q', own, `${host}/team/app:${tag}`)).toMatchObject({ code: 0 })
  }
})
afterAll(async () => {
  await berth?.dispose()
  rmSync(folder, { recursive: true, force: true })
})

const app = () => `${host}/team/app`
const digestAt = async (tag: string) => (await admin.run('digest', `${app()}:${tag}`)).out.trim()
const moved = (tag: string) => `${app()}:${tag}@${NEW.manifest.digest}\n`
const warning = (tag: string) => `warning: ${app()}:${tag} is immutable by the rule releases, and was moved by force\n`

describe('an immutable tag', () => {
  test('stays without --force, which is named', async () => {
    const refused = await admin.run('tag', `${app()}:new`, 'v1')
    expect(refused).toMatchObject({ out: '', code: 4 })
    expect(refused.error).toContain('is immutable by the rule releases: it stays at')
    expect(refused.error).toContain('Hint: --force does it all the same;')
    expect(await digestAt('v1')).toBe(OLD.manifest.digest)
  })

  test('stays where somebody else than an administrator has --force', async () => {
    const asKim = await shellOf('kim').run('tag', '--force', `${app()}:new`, 'v1')
    expect(asKim).toEqual({
      out: '',
      error:
        `berth: ${app()}:v1, as kim: only administrators may do this\n` +
        `Hint: on the server: berth tag restore team/app:v1 --to ${NEW.manifest.digest} --force\n`,
      code: 3,
    })
    expect(await digestAt('v1')).toBe(OLD.manifest.digest)
  })

  test('moves for an administrator, beside others, with an entry in the audit log', async () => {
    expect(await admin.run('tag', '--force', `${app()}:new`, 'free', 'v1')).toEqual({
      ...{ out: moved('free') + moved('v1'), error: warning('v1'), code: 0 },
    })
    expect([await digestAt('free'), await digestAt('v1')]).toEqual([NEW.manifest.digest, NEW.manifest.digest])
    const audit = await must([BERTH, 'audit', '--data', berth.dataDirectory, '--format', 'json'])
    expect(audit).toMatch(/"account":"admin"[^}]*team\/app:v1[^}]*restored, by force/)
    // It is where it should be: nothing is forced, and nobody warned.
    expect(await admin.run('tag', '--force', `${app()}:new`, 'v1')).toEqual({ out: moved('v1'), error: '', code: 0 })
  })

  test('moves by the password that is asked for, where a token for images is kept', async () => {
    const plain = openVerbShell(join(folder, 'home'))
    const login = await plain.runWith(`${PASSWORD}\n`, 'login', host, '-u', 'admin', '--password-stdin')
    expect(login.error).toContain('A token in place of the password is kept')
    const asked = ['tag', '--force', `${app()}:new`, 'v2']
    expect(await plain.run(...asked)).toMatchObject({
      out: '',
      code: 3,
      error: expect.stringContaining('DOCKER_AUTH_CONFIG'),
    })
    expect(await plain.runAnswering(['wrong'], ...asked)).toMatchObject({
      ...{ out: '', code: 3, error: expect.stringContaining('v2, as admin: the name or the password is wrong') },
    })
    expect(await digestAt('v2')).toBe(OLD.manifest.digest)
    const right = await plain.runAnswering([PASSWORD], ...asked)
    expect(right).toMatchObject({ out: moved('v2'), code: 0 })
    expect(right.error).toEndWith(warning('v2'))
  })
})

describe('a registry that is not Berth', () => {
  const cases: [string, number, unknown, number, string][] = [
    [
      'refuses as it would without --force',
      412,
      { errors: [{ code: 'PRECONDITION', message: 'immutable' }] },
      4,
      'of Berth protects',
    ],
    ['has no right to give', 403, { errors: [{ code: 'DENIED', message: 'access denied' }] }, 3, 'access denied'],
    [
      'says it is Berth, and has no such API',
      403,
      { errors: [{ code: 'DENIED', message: 'immutable', detail: { limit: 'immutable', rule: 'r' } }] },
      4,
      'has no API that moves an immutable tag (it answers 200)',
    ],
  ]
  test.each(cases)('%s', async (_, status, answer, code, words) => {
    const server = Bun.serve({
      port: 0,
      fetch(request) {
        if (request.method === 'PUT') return Response.json(answer, { status })
        if (!new URL(request.url).pathname.includes('/manifests/')) return Response.json({})
        const { digest, mediaType, bytes } = NEW.manifest
        return new Response(bytes, { headers: { 'content-type': mediaType, 'docker-content-digest': digest } })
      },
    })
    const other = `127.0.0.1:${server.port}`
    const auth = Buffer.from('kim:secret').toString('base64')
    const shell = openVerbShell(folder, [], { DOCKER_AUTH_CONFIG: JSON.stringify({ auths: { [other]: { auth } } }) })
    const refused = await shell.run('tag', '--force', `${other}/app:new`, 'v1')
    await server.stop(true)
    expect(refused).toMatchObject({ out: '', code })
    expect(refused.error).toContain(words)
    expect(refused.error).not.toContain('secret')
  })
})
