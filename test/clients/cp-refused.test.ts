import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { fill, isRoot, mountSmallDisk } from '../crash/small-disk.ts'
import { makeImage, makeIndex, noise, pushBlob, pushImage, type TestImage } from '../image.ts'
import { cleanEnvironment, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { PASSWORD } from './registry-sites.ts'
import { openVerbShell } from './verb-shell.ts'

const OLD = makeImage({ layers: [3000], seed: 'old' })
const NEW = makeImage({ layers: [2_000_000], seed: 'new' })
const CONFIG = `version: 0.1
auth: none
storage: {delete: {enabled: true}}
immutable:
  - {name: releases, repositories: [team/**], tags: ['v*']}
quotas:
  - {prefix: full, bytes: 1MB}
  - {prefix: few, tags: 1}
`
/** No floor, for a disk that is really full. */
const DISK = { REGISTRY_AUTH: 'none', REGISTRY_SPACE_MINFREE: '0', REGISTRY_SPACE_RESERVE: '0' }
const shell = openVerbShell('/nonexistent')
let source: TestRegistry
let from = ''
beforeAll(async () => {
  source = await startRegistry()
  from = `127.0.0.1:${source.port}/app`
  await pushImage(source.url, 'app', OLD, { tag: 'old' })
  await pushImage(source.url, 'app', NEW, { tag: 'new' })
})
afterAll(async () => await source?.stop())

const digestAt = async (image: string) => (await shell.run('digest', image)).out.trim()

describe('a rule of the destination', () => {
  let berth: Berth
  let host = ''
  beforeAll(async () => {
    berth = await startBerth({ config: CONFIG })
    host = `127.0.0.1:${berth.port}`
  })
  afterAll(async () => await berth?.dispose())

  test('that a tag is immutable leaves it where it is, and is no failure where it is there already', async () => {
    const copy = (tag: string) => shell.run('cp', '-q', `${from}:${tag}`, `${host}/team/app:v1`)
    expect(await copy('old')).toMatchObject({ code: 0, error: '' })
    expect(await copy('new')).toEqual({
      out: '',
      error: `berth: ${host}/team/app:v1: DENIED: team/app:v1 is immutable by the rule releases: it stays at ${OLD.manifest.digest}; push another tag\n`,
      code: 4,
    })
    expect(await digestAt(`${host}/team/app:v1`)).toBe(OLD.manifest.digest)
    expect(await copy('old')).toMatchObject({ code: 0, error: '' })
    // Of all tags: those before it are there, and it is not passed over in silence.
    const all = await shell.run('cp', '-q', '-a', from, `${host}/team/app`)
    expect(all).toMatchObject({ code: 0 })
    await pushImage(source.url, 'moved', NEW, { tag: 'v1' })
    const moved = await shell.run('cp', '-q', '-a', `127.0.0.1:${source.port}/moved`, `${host}/team/app`)
    expect(moved).toMatchObject({ out: '', code: 1 })
    expect(moved.error).toMatch(
      /DENIED: team\/app:v1 is immutable [^\n]+\nberth: 1 tag of 1 failed: v1\nHint: [^\n]+\n$/,
    )
    expect(await digestAt(`${host}/team/app:v1`)).toBe(OLD.manifest.digest)
  })

  test('that a tag is immutable keeps it from whoever deletes, and says what an administrator can do', async () => {
    const image = `${host}/team/kept:v1`
    expect(await shell.run('cp', '-q', `${from}:old`, image)).toMatchObject({ code: 0 })
    for (const args of [['delete'], ['untag'], ['delete', '--manifest', '--yes'], ['delete', '--purge', '--yes']]) {
      const { out, error, code } = await shell.run(...args, image)
      expect({ out, code }).toEqual({ out: '', code: 4 })
      expect(error).toEndWith(
        'DENIED: team/kept:v1 is immutable by the rule releases: it cannot be deleted, nor its repository renamed\n' +
          'Hint: for administrators, on the server: berth immutable rm releases takes the rule away (one of the configuration is taken away there)\n',
      )
    }
    expect(await digestAt(image)).toBe(OLD.manifest.digest)
  })

  test('that a quota is used up is told, and there is no tag', async () => {
    const refused = await shell.run('cp', '-q', `${from}:new`, `${host}/full/app:v1`)
    expect(refused).toMatchObject({ out: '', code: 4 })
    expect(refused.error).toMatch(/^berth: [^\n]+DENIED: the quota of full is used up: [^\n]+ more\n$/)
    expect((await shell.run('digest', `${host}/full/app:v1`)).code).toBe(2)
    expect(await shell.run('cp', '-q', `${from}:old`, `${host}/few/app:v1`)).toMatchObject({ code: 0 })
    expect(await shell.run('cp', '-q', `${from}:old`, `${host}/few/app:v2`)).toMatchObject({ out: '', code: 4 })
    expect((await shell.run('ls', `${host}/few/app`)).out).toBe('v1\n')
  })
})

test('cp -a of a repository without tags says so', async () => {
  await pushBlob(source.url, 'empty', OLD.config)
  const empty = `127.0.0.1:${source.port}/empty`
  expect(await shell.run('cp', '-a', empty, `127.0.0.1:${source.port}/copy-of-empty`)).toEqual({
    ...{ out: '', error: `berth: ${empty} has no tags\n`, code: 2 },
  })
})

/** The source as it is, with something that happens when a path is asked for. */
function before(happens: (path: string) => Promise<Response | undefined> | undefined) {
  return Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, idleTimeout: 0, error: () => undefined },
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      return (await happens(pathname)) ?? (await fetch(`${source.url}${pathname}${search}`, request))
    },
  })
}

test.skipIf(!isRoot)('a destination that is full is told, and takes the copy once there is room', async () => {
  const disk = await mountSmallDisk('24m')
  const berth = await startBerth({ dataDirectory: join(disk.path, 'data'), env: DISK })
  const target = `127.0.0.1:${berth.port}/app:v1`
  const copy = () => shell.run('cp', '-q', `${from}:new`, target)
  try {
    fill(join(disk.path, 'filler'))
    const refused = await copy()
    expect(refused).toMatchObject({ out: '', code: 1 })
    expect(refused.error).toMatch(/^berth: [^\n]+ UNAVAILABLE: [^\n]*space[^\n]*\n(Hint: [^\n]+\n)?$/)
    rmSync(join(disk.path, 'filler'))
    expect(await shell.run('digest', target)).toMatchObject({ out: '', code: 2 })
    expect(await copy()).toMatchObject({ code: 0, out: `${target}@${NEW.manifest.digest}\n` })
  } finally {
    await berth.dispose()
    await disk.remove()
  }
})

test('a tag that moves during the copy is copied as it was at the beginning', async () => {
  const [first, second] = [makeIndex([OLD]), makeIndex([NEW])]
  await pushImage(source.url, 'moving', first, { tag: 'v1' })
  const server = before(async (path) => {
    if (!path.endsWith(OLD.manifest.digest)) return undefined
    await pushImage(source.url, 'moving', second, { tag: 'v1' })
    return undefined
  })
  const target = `127.0.0.1:${source.port}/moved-to`
  expect(await shell.run('cp', '-q', `127.0.0.1:${server.port}/moving:v1`, target)).toEqual({
    ...{ out: `${target}:v1@${first.manifest.digest}\n`, error: '', code: 0 },
  })
  expect(await digestAt(`127.0.0.1:${source.port}/moving:v1`)).toBe(second.manifest.digest)
  expect(await digestAt(`${target}:v1`)).toBe(first.manifest.digest)
  expect((await shell.run('validate', `${target}:v1`)).code).toBe(0)
  await server.stop(true)
})

test('a copy that is killed, and whose password is another one then, says so, and goes on after a login', async () => {
  const berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
  const home = mkdtempSync(join(tmpdir(), 'berth-killed-'))
  const layer = noise(8 * 1024 * 1024, 'killed')
  const image: TestImage = {
    ...OLD,
    layers: [{ mediaType: 'application/octet-stream', digest: digestOf(layer), bytes: layer }],
  }
  const manifest = JSON.parse(Buffer.from(OLD.manifest.bytes).toString())
  manifest.layers = image.layers.map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.byteLength }))
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(manifest)))
  image.manifest = { ...OLD.manifest, digest: digestOf(bytes), bytes }
  await pushImage(source.url, 'large', image, { tag: 'v1' })
  const ranges: (string | null)[] = []
  const server = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, idleTimeout: 0, error: () => undefined },
    async fetch(request) {
      const { pathname, search } = new URL(request.url)
      if (!pathname.endsWith(digestOf(layer))) return await fetch(`${source.url}${pathname}${search}`, request)
      ranges.push(request.headers.get('range'))
      if (ranges.length > 1) return await fetch(`${source.url}${pathname}`, request)
      let at = 0
      const body = new ReadableStream({
        async pull(controller) {
          if (at >= layer.byteLength / 2) await new Promise(() => {})
          controller.enqueue(layer.slice(at, at + 65_536))
          at += 65_536
        },
      })
      return new Response(body, { headers: { 'Content-Length': String(layer.byteLength) } })
    },
  })
  const target = `127.0.0.1:${berth.port}/copy`
  const env = cleanEnvironment({ HOME: home })
  const berthAs = async (stdin: string, ...args: string[]) =>
    await run([BERTH, ...args], { env: { HOME: home }, stdin })
  const login = (password: string) =>
    berthAs(password, 'login', `127.0.0.1:${berth.port}`, '-u', 'admin', '--password-stdin')
  const command = ['cp', '--debug', `127.0.0.1:${server.port}/large:v1`, target]
  try {
    expect((await login(PASSWORD)).code).toBe(0)
    const child = Bun.spawn([BERTH, ...command], { env, stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
    // Bytes of it are at the registry.
    const uploads = join(berth.dataDirectory, 'berth-uploads')
    const isThere = () => readdirSync(uploads).some((name) => Bun.file(join(uploads, name)).size >= 1024 * 1024)
    for (let tries = 0; tries < 4000 && !isThere(); tries++) await Bun.sleep(25)
    expect(isThere()).toBe(true)
    child.kill('SIGKILL')
    await child.exited
    expect(readdirSync(join(home, '.local/state/berth/uploads')).length).toBe(1)

    const passwd = ['user', 'passwd', 'admin', '--password-stdin', '--data', berth.dataDirectory]
    expect((await berthAs('another password\n', ...passwd)).code).toBe(0)
    const refused = await berthAs('', ...command)
    expect({ code: refused.code, out: refused.stdout }).toEqual({ code: 3, out: '' })
    expect(refused.stderr).toMatch(
      /\nberth: [^\n]+ does not accept the credentials of [^\n]+\nHint: berth login 127[^\n]+\n$/,
    )

    expect((await login('another password')).code).toBe(0)
    expect(await berthAs('', ...command)).toMatchObject({ code: 0, stdout: `${target}:v1@${image.manifest.digest}\n` })
    expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d{3,}-$/)
    expect(readdirSync(join(home, '.local/state/berth/uploads'))).toEqual([])
  } finally {
    await server.stop(true)
    await berth.dispose()
    rmSync(home, { recursive: true, force: true })
  }
})
