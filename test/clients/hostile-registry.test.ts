import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contextOfProcess } from '../../src/cli/client/context.ts'
import { berthCommand } from '../../src/cli/commands.ts'
import { complete } from '../../src/cli/complete.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { type Content, content, descriptorOf, json, makeImage, noise, pushImage } from '../image.ts'
import { run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { startRegistry } from '../start-registry.ts'
import { file, makeLayered, makeTar, pack } from '../tar.ts'
import { openVerbShell } from './verb-shell.ts'

/** What a terminal would obey, in each of its forms, and what a shell would. */
const EVIL = '\u001b[2J\u001b]0;owned\u0007\u009b31m\u202e\r\n$(touch owned)`x`; rm -rf'
const OBEYED = /(?![\n\t])[\p{Cc}\p{Cf}\u2028\u2029]/u

const CONFIG = json('application/vnd.oci.image.config.v1+json', {
  ...{ architecture: EVIL, os: EVIL, created: EVIL, author: EVIL },
  config: { Labels: { [EVIL]: EVIL }, Env: [EVIL], Cmd: [EVIL] },
  rootfs: { type: 'layers', diff_ids: [EVIL] },
  history: [{ created: EVIL, created_by: EVIL, comment: EVIL }],
})
const LAYER = content(`application/x${EVIL}`, new Uint8Array(makeTar([file(EVIL, EVIL), file('etc/motd', EVIL)])))
const IMAGE = json(MEDIA_TYPES.ociManifest, {
  ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, artifactType: EVIL },
  ...{ config: descriptorOf(CONFIG), layers: [descriptorOf(LAYER)], annotations: { [EVIL]: EVIL } },
})
const PLATFORM = { os: EVIL, architecture: EVIL, variant: EVIL }
const INDEX = indexOf([{ ...descriptorOf(IMAGE), platform: PLATFORM, annotations: { [EVIL]: EVIL } }])
/** Thirty times thirty times … the same image, in eight levels. */
const LEAF = makeImage({ layers: [10], seed: 'leaf' })
const LEVELS = [LEAF.manifest]
for (let level = 0; level < 7; level++) {
  LEVELS.push(
    indexOf(
      Array.from({ length: 30 }, () => descriptorOf(LEVELS.at(-1) ?? LEAF.manifest)),
      String(level),
    ),
  )
}
const OTHER = makeLayered([{ bytes: makeTar([file('etc/motd', 'hello\n')]) }])
const CONTENTS = [CONFIG, LAYER, IMAGE, INDEX, ...LEVELS, LEAF.config, ...LEAF.layers]
const TAGS: Record<string, Content> = { v1: INDEX, one: IMAGE, bomb: LEVELS.at(-1) ?? INDEX, other: OTHER.manifest }
CONTENTS.push(OTHER.manifest, OTHER.config, ...OTHER.layers)

function indexOf(manifests: unknown[], level = ''): Content {
  const own = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests, annotations: { level } }
  return json(MEDIA_TYPES.ociIndex, own)
}

function answer(request: Request): Response {
  const { pathname, searchParams } = new URL(request.url)
  if (pathname === '/v2/') return new Response('{}')
  if (pathname.startsWith('/v2/wrong/')) {
    return Response.json({ errors: [{ code: EVIL, message: EVIL, detail: EVIL }] }, { status: 400 })
  }
  if (pathname.startsWith('/v2/text/')) return new Response(EVIL, { status: 500 })
  if (pathname.startsWith('/v2/paths/tags/'))
    return Response.json({ tags: ['v1', '../../../prod/app/manifests/latest'] })
  if (pathname === '/v2/_catalog') {
    const from = Number(searchParams.get('last')?.replace(/\D/g, '') ?? 0)
    if (searchParams.get('last') === null) {
      return page('_catalog', 'r0', { repositories: [EVIL, 'app', `app/${EVIL}`, 'app/$(x)', '-rf'] })
    }
    const repositories = Array.from({ length: 1000 }, (_, at) => `r${from + at + 1}`)
    return from >= 100_000
      ? Response.json({ repositories: ['zz'] })
      : page('_catalog', `r${from + 1000}`, { repositories })
  }
  if (pathname.endsWith('/tags/list')) {
    return Response.json({
      tags: [EVIL, 'v1', 'v1$(x)', 'v1`x`', 'v1;x', 'v1 x', '-rf', 'v1&', "v1'x", 'v1\nv2', 'v1\tv2'],
    })
  }
  if (pathname.includes('/_berth/')) return Response.json({ tags: [{ name: 'one', pushedAt: EVIL, pulls: EVIL }] })
  if (pathname.includes('/referrers/')) {
    const manifests = pathname.includes(INDEX.digest) ? [{ ...descriptorOf(IMAGE), artifactType: EVIL }] : []
    return Response.json({ schemaVersion: 2, manifests })
  }
  const reference = decodeURIComponent(pathname.split('/').at(-1) ?? '')
  const found = TAGS[reference] ?? CONTENTS.find(({ digest }) => digest === reference)
  if (found === undefined) return new Response('', { status: 404 })
  const mediaType = pathname.includes('/manifests/') ? found.mediaType : 'application/octet-stream'
  const headers = { 'Content-Type': mediaType, 'Content-Length': String(found.bytes.byteLength) }
  return new Response(request.method === 'HEAD' ? null : found.bytes, { headers })
}

function page(path: string, last: string, body: unknown): Response {
  return Response.json(body, { headers: { Link: `</v2/${path}?n=1000&last=${last}>; rel="next"` } })
}

let server: Bun.Server<undefined>
let home = ''
let host = ''
beforeAll(() => {
  server = Bun.serve({ hostname: '127.0.0.1', port: 0, development: false, fetch: answer })
  host = `127.0.0.1:${server.port}`
  home = mkdtempSync(join(tmpdir(), 'berth-hostile-'))
  mkdirSync(join(home, '.docker'))
  writeFileSync(join(home, '.docker/config.json'), JSON.stringify({ auths: { [host]: {}, [EVIL]: {} } }))
})
afterAll(async () => {
  await server?.stop(true)
  rmSync(home, { recursive: true, force: true })
})
const shell = openVerbShell('/nonexistent')

describe('nothing that a terminal would obey is shown by', () => {
  test.each<[string, string[], number]>([
    ['catalog', ['catalog', 'HOST', '-n', '5'], 0],
    ['catalog -l', ['catalog', '-l', 'HOST', '-n', '5'], 1],
    ['search', ['search', 'app', 'HOST', '--repositories', '5'], 0],
    ['search --tags', ['search', 'owned', 'HOST', '--tags', '--repositories', '5'], 0],
    ['ls', ['ls', 'HOST/app'], 0],
    ['ls -l', ['ls', '-l', 'HOST/app', '--include', '^v1$'], 0],
    ['ls -l of what is no tag', ['ls', '-l', 'HOST/app'], 1],
    ['inspect', ['inspect', 'HOST/app:one'], 0],
    ['inspect as JSON', ['inspect', 'HOST/app:one', '-f', 'json'], 0],
    ['layers', ['layers', 'HOST/app:one'], 0],
    ['history', ['history', 'HOST/app:one'], 0],
    ['dockerfile', ['dockerfile', 'HOST/app:one'], 0],
    ['tree', ['tree', 'HOST/app:v1'], 0],
    ['files', ['files', 'HOST/app:one'], 0],
    ['files -l', ['files', '-l', 'HOST/app:one'], 0],
    ['diff', ['diff', 'HOST/app:other', 'HOST/app:one'], 0],
    ['validate', ['validate', 'HOST/app:v1'], 1],
    ['index list', ['index', 'list', 'HOST/app:v1'], 0],
    ['an error of the registry', ['ls', 'HOST/wrong', '--debug'], 1],
    ['an error that is a text', ['ls', 'HOST/text'], 1],
    ['a hint', ['files', 'HOST/app:v1', '-p', 'a/b'], 2],
  ])('%s', async (_, args, code) => {
    const shown = await shell.run(...args.map((word) => word.replace('HOST', host)))
    expect(shown.code).toBe(code)
    expect(shown.out + shown.error).toMatch(/owned/)
    expect(shown.out + shown.error).not.toMatch(OBEYED)
  })

  test.each<[string, string[], string]>([
    ['cat', ['cat', 'HOST/app:one', '/etc/motd'], EVIL],
    ['manifest', ['manifest', 'HOST/app:one'], JSON.stringify(EVIL)],
    ['inspect --config', ['inspect', '--config', 'HOST/app:one'], JSON.stringify(EVIL)],
    ['blob get', ['blob', 'get', 'HOST/app@LAYER'], EVIL],
  ])('%s on a terminal, and a pipe gets the bytes', async (_, words, bytes) => {
    const args = words.map((word) => word.replace('HOST', host).replace('LAYER', LAYER.digest))
    const command = [BERTH, ...args].map((word) => `'${word}'`).join(' ')
    const options = { env: { HOME: home, PATH: `${process.env.PATH}`, TERM: 'xterm' } }
    const seen = (await run(['script', '-qec', command, '/dev/null'], options)).stdout.replaceAll('\r\n', '\n')
    // A layer is an archive: it is refused there.
    expect(seen).toMatch(words[0] === 'blob' ? /is no text/ : /owned/)
    expect(seen).not.toMatch(OBEYED)
    const piped = await run([BERTH, ...args], options)
    expect(piped.stdout).toContain(bytes)
  })
})

test.each(['gzip', 'zstd', 'none'] as const)(
  'other bytes than a digest names are never shown as files of %s',
  async (packing) => {
    const image = makeLayered([{ bytes: makeTar([file('good', noise(300_000, 'good'))]), packing }])
    const [layer] = image.layers
    const evil = pack(makeTar([file('evil')]), packing)
    const bytes = new Uint8Array(layer?.bytes.byteLength ?? 0)
    bytes.set(evil)
    const liar = Bun.serve({
      ...{ hostname: '127.0.0.1', port: 0, development: false },
      fetch: (request) => {
        if (request.url.endsWith(layer?.digest ?? '')) return new Response(bytes)
        const found = request.url.endsWith(image.config.digest) ? image.config : image.manifest
        return new Response(found.bytes, { headers: { 'Content-Type': found.mediaType } })
      },
    })
    expect(await shell.run('files', `127.0.0.1:${liar.port}/app:v1`)).toMatchObject({
      ...{
        out: '',
        code: 1,
        error: expect.stringMatching(/^berth: blob sha256:[^\n]+: the registry sent other bytes /),
      },
    })
    await liar.stop(true)
  },
)

test('a cell of a million signs widens no other', async () => {
  const history = Array.from({ length: 2000 }, (_, at) => ({ created: at === 7 ? 'x'.repeat(1_000_000) : 'y' }))
  const image = makeLayered([], { config: { history } })
  const long = Bun.serve({
    ...{ hostname: '127.0.0.1', port: 0, development: false },
    fetch: (request) => {
      const found = request.url.endsWith(image.config.digest) ? image.config : image.manifest
      return new Response(found.bytes, { headers: { 'Content-Type': found.mediaType } })
    },
  })
  const { out, code } = await shell.run('history', `127.0.0.1:${long.port}/app:v1`)
  expect(code).toBe(0)
  expect(out).toContain('x'.repeat(1_000_000))
  expect(out.length).toBeLessThan(4_000_000)
  await long.stop(true)
})

test('what it calls a tag leads a copy to no other repository', async () => {
  const target = await startRegistry()
  const to = `127.0.0.1:${target.port}`
  const prod = makeImage({ layers: [10], seed: 'prod' })
  await pushImage(target.url, 'prod/app', prod, { tag: 'latest' })
  const shown = await shell.run('cp', '-a', '-q', `${host}/paths`, `${to}/mine/app`)
  expect(shown).toEqual({
    ...{ out: '', code: 1 },
    error: `berth: ${host}/paths lists "../../../prod/app/manifests/latest", which is no tag\n`,
  })
  expect((await shell.run('digest', `${to}/prod/app:latest`)).out.trim()).toBe(prod.manifest.digest)
  expect((await shell.run('catalog', to)).out).toBe('prod/app\n')
  await target.stop()
})

test('an index of indexes of the same images is shown up to a bound, and copied and read once', async () => {
  const bomb = `${host}/app:bomb`
  expect(await shell.run('tree', bomb)).toMatchObject({
    ...{ out: '', code: 1, error: `berth: ${bomb} leads to more than 5000 manifests\n` },
  })
  expect((await shell.run('validate', bomb)).out).toStartWith(`${bomb} is whole: 8 manifests, 2 blobs, `)
  const target = await startRegistry()
  const copied = await shell.run('cp', '-q', bomb, `127.0.0.1:${target.port}/copy`)
  expect(copied).toMatchObject({ code: 0, error: '' })
  await target.stop()
})

test('a hundred thousand repositories are searched', async () => {
  expect(await shell.run('search', 'r99999', host, '--repositories', '200000')).toMatchObject({
    out: 'r99999\n',
    code: 0,
  })
  expect(await shell.run('search', 'zz', host)).toEqual({
    ...{ out: '', code: 0, error: 'Only 10000 repositories were looked at; add --repositories 100000\n' },
  })
})

describe('a shell is offered no word that it would obey', () => {
  const words = async (line: string) => {
    const context = { ...contextOfProcess(new AbortController().signal), env: {}, home }
    const found = await complete(berthCommand(), line.replaceAll('HOST', host).split(' ').slice(1), context)
    return found.words.map(([word]) => word.replaceAll(host, 'HOST'))
  }

  test.each<[string, string[]]>([
    ['berth digest ', ['HOST/']],
    ['berth digest HOST/a', ['HOST/app']],
    ['berth digest HOST/app:', ['HOST/app:v1', 'HOST/app:-rf']],
    ['berth digest HOST/app:v1', ['HOST/app:v1']],
  ])('%s', async (line, expected) => {
    expect(await words(line)).toEqual(expected)
  })
})
