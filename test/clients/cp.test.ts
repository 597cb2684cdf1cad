import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { makeArtifact, makeImage, makeIndex, noise, pushBlob, pushImage, type TestImage } from '../image.ts'
import { cleanEnvironment, describeWith, findProgram } from '../programs.ts'
import { BERTH, startBerth } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { startDebianRegistry } from './debian-registry.ts'
import { PASSWORD, SITES, type Site } from './registry-sites.ts'
import { openVerbShell, type VerbShell } from './verb-shell.ts'

const AMD = makeImage({ layers: [200_000, 3000], seed: 'amd' })
const ARM = makeImage({ layers: [1000], seed: 'arm', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
const OTHER = makeImage({ layers: [500], seed: 'other', format: 'docker' })
const INDEX = makeIndex([AMD, ARM])
const SIGNATURE = makeArtifact({ seed: 'signature', artifactType: 'application/x-signature', subject: INDEX.manifest })
const SBOM = makeArtifact({ seed: 'sbom', artifactType: 'application/x-sbom', subject: ARM.manifest })
const COSIGN = makeArtifact({ seed: 'cosign', artifactType: 'application/x-cosign' })
const FALLBACK = (of: TestImage | typeof INDEX) => of.manifest.digest.replace(':', '-')

const blobsOf = (...images: TestImage[]) =>
  new Set(images.flatMap(({ config, layers }) => [config, ...layers].map((one) => one.digest)))

/** An open Berth with everything that there is to copy. */
let source: TestRegistry
let from: string
beforeAll(async () => {
  source = await startRegistry()
  from = `127.0.0.1:${source.port}/team/app`
  await pushImage(source.url, 'team/app', INDEX, { tag: 'multi' })
  await pushImage(source.url, 'team/app', AMD, { tag: 'v1' })
  await pushImage(source.url, 'team/app', OTHER, { tag: 'v2' })
  await pushImage(source.url, 'team/app', SIGNATURE)
  await pushImage(source.url, 'team/app', SBOM)
  await pushImage(source.url, 'team/app', COSIGN, { tag: `${FALLBACK(INDEX)}.sig` })
})
afterAll(async () => await source.stop())

describeWith(['docker-registry', 'htpasswd', 'openssl'], 'cp', () => {
  describe.each(Object.keys(SITES))('to %s', (name) => {
    let folder: string
    let site: Site
    let shell: VerbShell
    let host: string

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'berth-cp-'))
      const start = SITES[name]
      if (start === undefined) throw new Error(name)
      site = await start(folder)
      host = site.registry
      shell = openVerbShell(folder, site.caFile === undefined ? [] : ['--ca-file', site.caFile])
      if (site.user === undefined) return
      expect((await shell.runWith(PASSWORD, 'login', host, '-u', 'admin', '--password-stdin')).code).toBe(0)
    })
    afterAll(async () => {
      await site?.dispose()
      rmSync(folder, { recursive: true, force: true })
    })

    const digestAt = async (image: string) => (await shell.run('digest', image)).out.trim()
    const dry = async (...args: string[]) => {
      const { out, code } = await shell.run('cp', ...args, '--dry-run', '--format', 'json')
      expect(code).toBe(0)
      const counts: Record<string, number> = {}
      for (const { steps } of JSON.parse(out).images) {
        for (const { kind, action } of steps) counts[`${kind} ${action}`] = (counts[`${kind} ${action}`] ?? 0) + 1
      }
      return counts
    }

    test('brings an index with all that it names, once', async () => {
      const planned = { 'blob copied': blobsOf(AMD, ARM).size, 'manifest copied': 3, 'tag copied': 1 }
      expect(await dry(`${from}:multi`, `${host}/a/app`)).toEqual(planned)
      expect((await shell.run('digest', `${host}/a/app:multi`)).code).toBe(2)

      const reference = `${host}/a/app:multi@${INDEX.manifest.digest}\n`
      const first = await shell.run('cp', `${from}:multi`, `${host}/a/app`)
      expect(first).toMatchObject({ out: reference, code: 0 })
      const lines = first.error.trim().split('\n')
      expect(
        lines
          .slice(0, -1)
          .map((line) => line.replace(/ \(.*/, ''))
          .sort(),
      ).toEqual([...blobsOf(AMD, ARM)].map((digest) => `${digest} copied`).sort())
      expect(lines.at(-1)).toStartWith(`${blobsOf(AMD, ARM).size} blobs copied (`)
      for (const [what, digest] of [
        [':multi', INDEX.manifest.digest],
        [`@${ARM.manifest.digest}`, ARM.manifest.digest],
      ]) {
        expect(await digestAt(`${host}/a/app${what}`)).toBe(digest as string)
      }
      expect(await shell.run('cp', `${from}:multi`, `${host}/a/app`)).toEqual({
        out: reference,
        error: '0 blobs copied (0 B)\n',
        code: 0,
      })
      expect(await dry(`${from}:multi`, `${host}/a/app`)).toEqual({ 'manifest skipped': 1, 'tag skipped': 1 })
    })

    test('mounts within one registry, and sends nothing', async () => {
      const count = blobsOf(AMD, ARM).size
      expect(await dry(`${host}/a/app:multi`, `${host}/b/app:x`)).toMatchObject({ 'blob mounted': count })
      const { error, code } = await shell.run('cp', `${host}/a/app:multi`, `${host}/b/app:x`)
      expect([code, error.split('\n').at(-2)]).toEqual([0, `0 blobs copied (0 B), ${count} mounted`])
      expect(await digestAt(`${host}/b/app:x`)).toBe(INDEX.manifest.digest)
    })

    test('brings one platform of an index, by the tag of the index', async () => {
      const arm = ['--platform', 'linux/arm64', '-q']
      expect(await shell.run('cp', `${from}:multi`, `${host}/c/app`, ...arm)).toEqual({
        out: `${host}/c/app:multi@${ARM.manifest.digest}\n`,
        error: '',
        code: 0,
      })
      expect((await shell.run('digest', `${host}/c/app@${AMD.manifest.digest}`)).code).toBe(2)
      expect(await shell.run('cp', `${from}:multi`, `${host}/c/app`, '--platform', 'linux/s390x')).toMatchObject({
        out: '',
        code: 2,
      })
    })

    test('brings every tag, in order, and what refers to them', async () => {
      const { out, code } = await shell.run('cp', '--all-tags', '--referrers', from, `${host}/d/app`)
      const tags = ['multi', `${FALLBACK(INDEX)}.sig`, 'v1', 'v2']
      expect([
        code,
        out
          .trim()
          .split('\n')
          .map((line) => line.replace(/^.*app:|@.*$/g, '')),
      ]).toEqual([0, tags])
      const listed = (await shell.run('ls', `${host}/d/app`)).out.trim().split('\n').sort()
      // A registry that lists no referrers has a tag in place of the list.
      const fallbacks = name.startsWith('Berth') ? [] : [FALLBACK(INDEX), FALLBACK(ARM)]
      expect(listed).toEqual([...tags, ...fallbacks].sort())
      for (const image of [SIGNATURE, SBOM]) {
        expect(await digestAt(`${host}/d/app@${image.manifest.digest}`)).toBe(image.manifest.digest)
      }
      for (const tag of fallbacks) {
        const { manifests } = JSON.parse((await shell.run('manifest', `${host}/d/app:${tag}`)).out)
        const [of, type] = tag === FALLBACK(INDEX) ? [SIGNATURE, 'signature'] : [SBOM, 'sbom']
        const { digest, mediaType, bytes } = of.manifest
        expect(manifests).toEqual([{ mediaType, digest, size: bytes.length, artifactType: `application/x-${type}` }])
      }
      // From there it goes on as well: the tags in place of a list are a list.
      const again = await shell.run('cp', '--referrers', '-q', `${host}/d/app:multi`, `${host}/e/app`)
      expect(again).toMatchObject({ code: 0, error: '' })
      for (const image of [SIGNATURE, SBOM, COSIGN]) {
        expect(await digestAt(`${host}/e/app@${image.manifest.digest}`)).toBe(image.manifest.digest)
      }
      expect(await digestAt(`${host}/e/app:${FALLBACK(INDEX)}.sig`)).toBe(COSIGN.manifest.digest)
      const kept = await shell.run('cp', '-a', '-n', from, `${host}/d/app`)
      expect(kept).toMatchObject({ out: '', code: 0 })
      expect(await shell.run('cp', '-n', `${from}:v1`, `${host}/d/app:v2`)).toMatchObject({ out: '', code: 4 })
      expect(await digestAt(`${host}/d/app:v2`)).toBe(OTHER.manifest.digest)
    })
  })
})

describe('cp of', () => {
  const shell = openVerbShell('/nonexistent')

  test.each<[string, () => string[], number, RegExp]>([
    ['a tag that is not there', () => [`${from}:none`, `${from}:x`], 2, /none/],
    ['a repository that is not there', () => ['-a', `${from}/nothing`, `${from}/x`], 2, /nothing/],
    ['a wrong reference', () => ['HOST/App', `${from}:x`], 64, /invalid reference/],
    [
      'another digest than the destination has',
      () => [`${from}:v1`, `${from}/x@${ARM.manifest.digest}`],
      64,
      /cannot be/,
    ],
    ['a repository with a tag', () => ['-a', `${from}:v1`, `${from}/x`], 64, /invalid reference/],
    ['an image to a registry that is not there', () => [`${from}:v1`, '127.0.0.1:1/x'], 5, /nobody listens/],
  ])('%s', async (_, args, code, message) => {
    const shown = await shell.run('cp', ...args())
    expect([shown.out, shown.code]).toEqual(['', code])
    expect(shown.error).toMatch(message)
    expect(shown.error).toMatch(/^berth: [^\n]+\n(Hint: [^\n]+\n)?$/)
  })

  test('an index that lacks an image names it, and copies another one for its platform alone', async () => {
    const sparse = makeIndex([
      AMD,
      makeImage({ layers: [1], seed: 'nowhere', platform: { os: 'linux', architecture: 's390x' } }),
    ])
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        const url = new URL(request.url)
        if (url.pathname !== '/v2/team/app/manifests/sparse')
          return await fetch(`${source.url}${url.pathname}${url.search}`, request)
        const { digest, mediaType, bytes } = sparse.manifest
        return new Response(bytes, { headers: { 'Content-Type': mediaType, 'Docker-Content-Digest': digest } })
      },
    })
    const image = `127.0.0.1:${server.port}/team/app:sparse`
    const target = `127.0.0.1:${source.port}/sparse/app`
    const missing = sparse.images[1]?.manifest.digest
    expect(await shell.run('cp', image, target)).toEqual({
      out: '',
      error: `berth: 127.0.0.1:${server.port}/team/app has an index without one of its images: ${missing} (linux/s390x)\nHint: to have one of the others alone: --platform linux/amd64\n`,
      code: 2,
    })
    expect(await shell.run('ls', target)).toMatchObject({ code: 2 })
    expect(await shell.run('cp', '-q', image, target, '-p', 'linux/amd64')).toMatchObject({ code: 0 })
    expect((await shell.run('digest', `${target}:sparse`)).out.trim()).toBe(AMD.manifest.digest)
    await server.stop(true)
  })

  test('an image whose layer is damaged stores nothing of it', async () => {
    const [layer] = AMD.layers
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url)
        if (pathname.endsWith(layer?.digest ?? '')) return new Response(new Uint8Array(layer?.bytes.byteLength ?? 0))
        return await fetch(`${source.url}${pathname}${search}`, request)
      },
    })
    const target = `127.0.0.1:${source.port}/damaged/app`
    const shown = await shell.run('cp', '-q', `127.0.0.1:${server.port}/team/app:v1`, target)
    expect(shown).toMatchObject({ out: '', code: 1, error: expect.stringContaining('its source gave other bytes') })
    expect(await shell.run('ls', target)).toMatchObject({ out: '', code: 0 })
    const stored = await fetch(`${source.url}/v2/damaged/app/blobs/${layer?.digest}`, { method: 'HEAD' })
    expect(stored.status).toBe(404)
    await server.stop(true)
  })
})

type Start = (dataDirectory: string) => Promise<{ url: string; dispose(): Promise<void> }>

/** How each is started, and the folder of its uploads below its data directory. */
const targets: [name: string, start: Start, uploads: string][] = [
  ['Berth', (dataDirectory) => startBerth({ env: { REGISTRY_AUTH: 'none' }, dataDirectory }), 'berth-uploads'],
]
// It forgets an upload that breaks off, and keeps one that was ended properly.
if (findProgram('docker-registry') !== undefined) {
  const start: Start = (directory) => startDebianRegistry('none', directory)
  targets.push(['docker-registry', start, 'docker/registry/v2/repositories/copy/_uploads'])
}

test.each(targets)('cp to %s that is interrupted says how to go on, and goes on', async (_, start, uploads) => {
  const home = mkdtempSync(join(tmpdir(), 'berth-cp-'))
  const data = join(home, 'data')
  const target = await start(data)
  const layer = noise(8 * 1024 * 1024, 'large')
  const image = { ...AMD, layers: [{ mediaType: 'application/octet-stream', digest: digestOf(layer), bytes: layer }] }
  const manifest = { ...JSON.parse(Buffer.from(AMD.manifest.bytes).toString()), layers: [] as unknown[] }
  manifest.layers = image.layers.map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.byteLength }))
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(manifest)))
  image.manifest = { mediaType: AMD.manifest.mediaType, digest: digestOf(bytes), bytes }
  for (const blob of [image.config, ...image.layers]) await pushBlob(source.url, 'large', blob)
  await pushImage(source.url, 'large', image, { tag: 'v1' })
  const ranges: (string | null)[] = []
  const half = 4 * 1024 * 1024
  const folder = join(data, uploads)
  const sizes = () =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true }).map((name) => Bun.file(join(folder, `${name}`)).size)
      : []
  /** Whether bytes of the layer are at the registry. */
  const isThere = () => sizes().some((size) => size >= 1024 * 1024)
  // The first time it stops in the middle of the layer.
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url)
      if (!pathname.endsWith(digestOf(layer))) return await fetch(`${source.url}${pathname}${search}`, request)
      ranges.push(request.headers.get('range'))
      if (ranges.length > 1) return await fetch(`${source.url}${pathname}`, request)
      let at = 0
      const body = new ReadableStream({
        async pull(controller) {
          if (at >= half) await new Promise(() => {})
          controller.enqueue(layer.slice(at, at + 65_536))
          at += 65_536
        },
      })
      return new Response(body, { headers: { 'Content-Length': String(layer.byteLength) } })
    },
  })
  try {
    const command = [BERTH, 'cp', `127.0.0.1:${server.port}/large:v1`, `${new URL(target.url).host}/copy`]
    const env = cleanEnvironment({ HOME: home })
    const child = Bun.spawn(command, { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    while (!isThere() && child.exitCode === null) await Bun.sleep(25)
    child.kill('SIGINT')
    const [code, out, error] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
    expect([code, out]).toEqual([130, ''])
    expect(error).toEndWith('berth: interrupted; the same command again goes on from here\n')
    expect((await fetch(`${target.url}/v2/copy/manifests/v1`)).status).toBe(404)

    const again = Bun.spawn(command, { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    expect([await again.exited, await again.stdout.text()]).toEqual([
      0,
      `${new URL(target.url).host}/copy:v1@${image.manifest.digest}\n`,
    ])
    // Nothing that had arrived was sent again.
    expect(ranges).toEqual([null, expect.stringMatching(/^bytes=[1-9]\d{3,}-$/)])
    expect(digestOf(await (await fetch(`${target.url}/v2/copy/blobs/${digestOf(layer)}`)).bytes())).toBe(
      digestOf(layer),
    )
  } finally {
    await server.stop(true)
    await target.dispose()
    rmSync(home, { recursive: true, force: true })
  }
})
