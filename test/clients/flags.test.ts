import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { makePair } from '../certificates.ts'
import {
  type Content,
  descriptorOf,
  makeArtifact,
  makeImage,
  makeIndex,
  pushBlob,
  pushImage,
  writeLayout,
} from '../image.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const { ociIndex } = MEDIA_TYPES
const ARM = makeImage({ layers: [10], seed: 'arm', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
const AMD = makeImage({ layers: [90_000], seed: 'amd' })
const INDEX = makeIndex([AMD, ARM])
const SIGNATURE = makeArtifact({ seed: 'sig', artifactType: 'application/x-sig', subject: INDEX.manifest })
const NOTE = makeArtifact({ seed: 'note', artifactType: 'application/x-note', subject: SIGNATURE.manifest })

let registry: TestRegistry
let folder = ''
let host = ''
const shell = () => openVerbShell(folder)
const outOf = async (...args: string[]) => (await shell().run(...args)).out
beforeAll(async () => {
  let clock = Date.parse('2026-01-01T00:00:00Z')
  registry = await startRegistry({ now: () => (clock += 1000) })
  host = `127.0.0.1:${registry.port}`
  folder = mkdtempSync(join(tmpdir(), 'berth-flags-'))
  await pushImage(registry.url, 'large', AMD, { tag: 'v1' })
  await pushImage(registry.url, 'app', INDEX, { tag: 'both' })
  for (const image of [SIGNATURE, NOTE]) await pushImage(registry.url, 'app', image)
  await pushImage(registry.url, 'app', ARM, { tag: 'arm' })
  await pushImage(registry.url, 'app', AMD, { tag: 'amd' })
  await pushImage(registry.url, 'small', ARM, { tag: 'v1' })
})
afterAll(async () => {
  await registry?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe('what a list is of, and its order', () => {
  test.each<[string[], string]>([
    [[], 'app large small'],
    [['--desc'], 'small large app'],
    [['--desc', '-n', '1'], 'small'],
    [['--sort', 'name'], 'app large small'],
    [['--sort', 'updated'], 'large app small'],
    [['--sort', 'size', '--desc', '-n', '2'], 'app large'],
    [['--sort', 'size'], 'small large app'],
    [['--sort', 'pulls'], 'app large small'],
  ])('of repositories: %j', async (args, expected) => {
    expect((await outOf('catalog', host, ...args)).trim().replaceAll('\n', ' ')).toBe(expected)
  })

  test.each<[string[], string]>([
    [['-p', 'linux/arm64'], 'arm both'],
    [['-p', 'linux/arm64/v8'], 'arm both'],
    [['-p', 'linux/amd64', '-n', '1'], 'amd'],
    [['-p', 'linux/amd64', '--exclude', '^a'], 'both'],
  ])('of tags: %j', async (args, expected) => {
    expect((await outOf('ls', `${host}/app`, ...args)).trim().split('\n').sort()).toEqual(expected.split(' ').sort())
  })

  test('of tags, one of which says that it is for no platform that there can be', async () => {
    const odd = makeIndex([{ ...ARM, platform: { os: 'a/b/c/d', architecture: '' } }, AMD])
    await pushImage(registry.url, 'odd', odd, { tag: 'v1' })
    expect(await shell().run('ls', `${host}/odd`, '-p', 'linux/amd64')).toEqual({ out: 'v1\n', error: '', code: 0 })
  })

  test('of a tag and of a tree whose index names blobs, as the caches of BuildKit do', async () => {
    const blob = AMD.layers[0] as Content
    await pushBlob(registry.url, 'cache', blob)
    const body = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [descriptorOf(blob)] })
    const init = { method: 'PUT', headers: { 'content-type': ociIndex }, body }
    expect((await fetch(`${registry.url}/v2/cache/manifests/v1`, init)).status).toBe(201)
    const size = body.length + blob.bytes.byteLength
    expect(await shell().run('ls', '-l', `${host}/cache`, '-f', '{{.Tag}} {{.Size}}')).toEqual({
      ...{ out: `v1 ${size}\n`, error: '', code: 0 },
    })
    const tree = await shell().run('tree', `${host}/cache:v1`)
    expect(tree).toMatchObject({ error: '', code: 0 })
    expect(tree.out.trim().split('\n')).toEqual([expect.any(String), expect.stringContaining('layer')])
    await fetch(`${registry.url}/v2/cache/manifests/v1`, { method: 'DELETE' })
  })

  test('of tags for a platform that none has', async () => {
    const shown = { out: '', error: 'No tag fits what was asked for.\n', code: 0 }
    expect(await shell().run('ls', `${host}/app`, '-p', 'linux/s390x')).toEqual(shown)
  })

  test.each<[number, number]>([
    [1, 4],
    [2, 11],
    [3, 13],
    [9, 13],
  ])('of a tree down to level %d', async (depth, lines) => {
    const whole = await outOf('tree', `${host}/app:both`)
    const shown = await outOf('tree', `${host}/app:both`, '--depth', String(depth))
    expect(shown.split('\n').length - 1).toBe(lines)
    // Sizes are of all that is beneath, shown or not.
    expect(shown.split('\n')[0]).toBe(whole.split('\n')[0] ?? '')
  })
})

test('a search looks at labels, too, and says which', async () => {
  const amd = openVerbShell(folder, [], { DOCKER_DEFAULT_PLATFORM: 'linux/amd64' })
  const search = (...args: string[]) => amd.run('search', ...args, host)
  // makeImage labels each with its seed.
  expect(await search('SEED=arm')).toMatchObject({ out: '', code: 0 })
  expect(await search('SEED=arm', '--labels')).toEqual({ out: 'app:arm\nsmall:v1\n', error: '', code: 0 })
  expect(await search('arm', '--tags', '--labels', '-f', '{{.Repository}}:{{.Tag}} {{.Label}}')).toMatchObject({
    out: 'app:arm seed=arm\nsmall:v1 seed=arm\n',
  })
  expect(await search('nowhere', '--labels')).toEqual({
    ...{ out: '', code: 0, error: `Nothing at ${host} has "nowhere" in its name or its labels.\n` },
  })
})

test('all tags of a copy are those that are asked for', async () => {
  const [from, to] = [`${host}/app`, `${host}/copied`]
  expect(await shell().run('cp', '-q', '-a', '--exclude', 'both', '--include', '^a', from, to)).toMatchObject({
    code: 0,
  })
  expect(await outOf('ls', to)).toBe('amd\narm\n')
  expect(await shell().run('cp', '-q', '-a', '--include', '^x', from, to)).toEqual({
    ...{ out: '', code: 2, error: `berth: ${from} has no tag that was asked for\n` },
  })
  expect(await shell().run('cp', '--include', '^a', `${from}:amd`, to)).toMatchObject({ out: '', code: 64 })
})

test('progress for programs is a line of JSON for each blob that begins and ends, and no words', async () => {
  const { error, code } = await shell().run('cp', '--progress', 'rawjson', `${host}/large:v1`, `${host}/json:v1`)
  const said = error
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const blobs = [AMD.config, ...AMD.layers].map(({ digest, bytes }) => ({ digest, size: bytes.byteLength }))
  const expected = blobs.flatMap(({ digest, size }) => [
    { digest, status: 'started', bytes: 0, size },
    { digest, status: 'mounted', bytes: size, size },
  ])
  const inOrder = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).sort()
  expect([code, inOrder(said)]).toEqual([0, inOrder(expected)])
})

test('names with their digests, and the digest of a blob', async () => {
  writeLayout(join(folder, 'layout'), AMD, 'v1')
  const file = join(folder, 'refs')
  const pushed = await shell().run('push', '-q', '--image-refs', file, join(folder, 'layout'), `${host}/pushed:v1`)
  expect(pushed).toMatchObject({ out: `${host}/pushed:v1@${AMD.manifest.digest}\n`, code: 0 })
  expect(readFileSync(file, 'utf8')).toBe(pushed.out)

  writeFileSync(join(folder, 'blob'), 'bytes')
  const [right, wrong] = [digestOf(Buffer.from('bytes')), digestOf(Buffer.from('others'))]
  const put = (...args: string[]) => shell().run('blob', 'put', '-q', ...args, join(folder, 'blob'))
  expect(await put('--digest', right, `${host}/app`)).toMatchObject({ out: `${host}/app@${right}\n`, code: 0 })
  expect(await put('--digest', wrong, `${host}/app`)).toMatchObject({ out: '', code: 1 })
  expect(await put('--digest', right, `${host}/app@${wrong}`)).toMatchObject({ out: '', code: 64 })
  expect(await put('--digest', 'x', `${host}/app`)).toMatchObject({ out: '', code: 64 })
})

test('the images of an index may be named by a flag, and its tag', async () => {
  const index = `${host}/made`
  const made = await shell().run('index', 'create', '-q', '-t', 'v2', '-m', `${host}/app:amd`, index, `${host}/app:arm`)
  expect(made).toMatchObject({ code: 0 })
  expect(made.out).toMatch(/\/made:v2@sha256:/)
  expect(await outOf('index', 'ls', `${index}:v2`, '--format', '{{.Platform}}')).toBe('linux/arm64/v8\nlinux/amd64\n')
  expect(await shell().run('index', 'append', `${index}:v2`)).toMatchObject({ out: '', code: 64 })
})

test('a login that is not checked is kept for a registry that does not run', async () => {
  const nowhere = '127.0.0.1:1'
  const login = (...flags: string[]) =>
    shell().runWith('secret', 'login', nowhere, '-u', 'kim', '--password-stdin', ...flags)
  expect(await login()).toMatchObject({ out: '', code: 5 })
  const file = join(folder, '.docker/config.json')
  expect(await login('--skip-check')).toEqual({
    out: '',
    error: `The password is kept in ${file}.\n${nowhere} was not asked whether it lets anybody in with that.\n`,
    code: 0,
  })
  const { auths } = JSON.parse(readFileSync(file, 'utf8')) as { auths: unknown }
  expect(auths).toEqual({ [nowhere]: { auth: Buffer.from('kim:secret').toString('base64') } })
})

describe('how a registry is reached', () => {
  test('as often as asked, and not for ever', async () => {
    let asked = 0
    const busy = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => Response.json({}, { status: ++asked > 0 ? 503 : 200 }),
    })
    const at = `127.0.0.1:${busy.port}/app:v1`
    const counts: number[] = []
    for (const times of ['0', '1', '3']) {
      asked = 0
      const args = ['--plain-http', '--retry-times', times, '--retry-delay', '1ms']
      expect(await shell().run('digest', at, ...args)).toMatchObject({ out: '', code: 1 })
      counts.push(asked)
    }
    await busy.stop(true)
    expect(counts).toEqual([1, 2, 4])
  })

  test('at another address, by its own name and certificate', async () => {
    const { certificate, key } = await makePair(folder, { names: ['DNS:registry.example'] })
    const hosts: (string | null)[] = []
    const server = Bun.serve({
      ...{ port: 0, hostname: '127.0.0.1', tls: { cert: Bun.file(certificate), key: Bun.file(key) } },
      fetch: (request) => {
        hosts.push(request.headers.get('host'))
        return Response.json({ name: 'app', tags: ['v1'] })
      },
    })
    const name = `registry.example:${server.port}`
    const args = ['ls', `${name}/app`, '--ca-file', certificate, '--retry-times', '0']
    expect(await shell().run(...args, '--resolve', `${name}:127.0.0.1`)).toEqual({ out: 'v1\n', error: '', code: 0 })
    expect(new Set(hosts)).toEqual(new Set([name]))
    expect(await shell().run(...args, '--resolve', `${name}:nowhere`)).toMatchObject({ out: '', code: 64 })
    await server.stop(true)
  })

  test('as somebody else at each side, whatever the sides are called', async () => {
    const seen: string[] = []
    const guarded: Bun.Server<undefined> = Bun.serve({
      ...{ port: 0, hostname: '127.0.0.1' },
      fetch: (request): Response | Promise<Response> => {
        const given = request.headers.get('authorization')
        if (given === null) return new Response('', { status: 401, headers: { 'WWW-Authenticate': 'Basic realm="x"' } })
        seen.push(Buffer.from(given.replace('Basic ', ''), 'base64').toString())
        return fetch(new Request(request.url.replace(String(guarded.port), String(registry.port)), request))
      },
    })
    const at = `127.0.0.1:${guarded.port}`
    const flags = [
      '-q',
      '--src-creds',
      'reader:one',
      '--to-creds',
      'writer:two',
      '--from-plain-http',
      '--dest-plain-http',
    ]
    expect(await shell().run('cp', ...flags, `${at}/large:v1`, `${at}/guarded:v1`)).toMatchObject({
      code: 0,
      error: '',
    })
    await guarded.stop(true)
    expect(new Set(seen)).toEqual(new Set(['reader:one', 'writer:two']))
    const refused = await shell().run('cp', '--src-creds', ':s3cret', `${at}/a`, `${at}/b`)
    expect(refused).toMatchObject({ out: '', code: 64 })
    expect(refused.error).not.toContain('s3cret')
  })
})

describe('a manifest goes with what refers to it', () => {
  const COSIGNED = makeImage({ layers: [5], seed: 'cosign' })
  const target = () => `${host}/signed`
  const tagOf = (suffix: string) => INDEX.manifest.digest.replace(':', '-') + suffix

  async function fill(): Promise<void> {
    await pushImage(registry.url, 'signed', INDEX, { tag: 'v1' })
    for (const image of [SIGNATURE, NOTE]) await pushImage(registry.url, 'signed', image)
    await pushImage(registry.url, 'signed', COSIGNED, { tag: tagOf('.sig') })
    await pushImage(registry.url, 'signed', ARM, { tag: 'other' })
  }

  test('that is asked for, in the order in which they go', async () => {
    await fill()
    const asked = (...flags: string[]) => shell().run('delete', '--manifest', '--referrers', ...flags, `${target()}:v1`)
    const gone = [
      `@${NOTE.manifest.digest}`,
      ...[`@${SIGNATURE.manifest.digest}`, `@${COSIGNED.manifest.digest}`, `:${tagOf('.sig')}`],
      ...[`@${INDEX.manifest.digest}`, ':v1'],
    ]
    const names = `${gone.map((name) => target() + name).join('\n')}\n`
    expect(await asked('--dry-run')).toEqual({
      ...{ out: names, error: 'Nothing is deleted: this is what would be.\n', code: 0 },
    })
    const nobody = await asked()
    expect(nobody).toMatchObject({ out: '', code: 64 })
    expect(nobody.error).toContain(`What refers to it goes with it:\n${target()}${gone[0]}\n`)
    expect(await asked('--force')).toEqual({ out: names, error: '', code: 0 })
    expect(await outOf('ls', target())).toBe('other\n')
    for (const { digest } of [SIGNATURE.manifest, NOTE.manifest, INDEX.manifest]) {
      expect((await shell().run('digest', `${target()}@${digest}`)).code).toBe(2)
    }
  })

  test('and not where that makes no sense', async () => {
    const refused = { out: '', code: 64 }
    expect(await shell().run('delete', '--referrers', `${target()}:other`)).toMatchObject(refused)
    expect(await shell().run('delete', '--referrers', '--purge', '--manifest', `${target()}:other`)).toMatchObject(
      refused,
    )
    expect(await outOf('ls', target())).toBe('other\n')
  })
})
