import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import {
  type Content,
  descriptorOf,
  makeArtifact,
  makeImage,
  makeIndex,
  pushImage,
  type TestImage,
  writeLayout,
} from '../image.ts'
import { describeWith } from '../programs.ts'
import { startRegistry } from '../start-registry.ts'
import { startDebianRegistry } from './debian-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const AMD = makeImage({ layers: [2000], seed: 'amd' })
const ARM = makeImage({ layers: [1000], seed: 'arm', platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
const ARM2 = makeImage({
  layers: [1001],
  seed: 'arm2',
  platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
})
const S390 = makeImage({
  layers: [10],
  seed: 's390',
  format: 'docker',
  platform: { os: 'linux', architecture: 's390x' },
})
const shell = openVerbShell('/nonexistent')

function changed(image: TestImage, change: (json: Record<string, never>) => void, layers = image.layers): TestImage {
  const json = JSON.parse(Buffer.from(image.manifest.bytes).toString())
  change(json as never)
  const bytes = new Uint8Array(Buffer.from(JSON.stringify(json)))
  return { ...image, layers, manifest: { ...image.manifest, digest: digestOf(bytes), bytes } }
}

function layerOf(mediaType: string, bytes: Uint8Array): Content {
  const copy = new Uint8Array(bytes)
  return { mediaType, digest: digestOf(copy), bytes: copy }
}

/** An image whose one layer is this, under the configuration of AMD. */
function withLayer(layer: Content): TestImage {
  const layers = [layer]
  return changed(AMD, (json) => Object.assign(json, { layers: layers.map(descriptorOf) }), layers)
}

describeWith(['docker-registry'], 'index and validate', () => {
  describe.each(['Berth', 'docker-registry'])('against %s', (name) => {
    let host: string
    let url: string
    let app: string
    let dispose: () => Promise<void>
    beforeAll(async () => {
      if (name === 'Berth') {
        const registry = await startRegistry()
        ;[host, url, dispose] = [`127.0.0.1:${registry.port}`, registry.url, registry.stop]
      } else {
        const registry = await startDebianRegistry('none')
        ;[host, url, dispose] = [registry.host, registry.url, registry.dispose]
      }
      app = `${host}/app`
      for (const [tag, image] of Object.entries({ amd: AMD, arm: ARM, s390: S390 }))
        await pushImage(url, 'app', image, { tag })
      await pushImage(url, 'other', ARM2, { tag: 'arm' })
      await pushImage(url, 'other', makeIndex([AMD, ARM]), { tag: 'multi' })
    })
    afterAll(async () => await dispose?.())

    const list = async (image: string) => {
      const { out, code } = await shell.run('index', 'list', image, '-f', '{{.Digest}} {{.Platform}}')
      expect(code).toBe(0)
      return out.trim().split('\n')
    }
    const line = ({ manifest }: TestImage, platform: string) => `${manifest.digest} ${platform}`

    test('an index is made, added to, taken from and annotated', async () => {
      const target = `${host}/made/app:multi`
      const planned = await shell.run('index', 'create', target, `${app}:amd`, `${app}:arm`, '--dry-run', '-q')
      expect(JSON.parse(planned.out).manifests.map(({ digest }: { digest: string }) => digest)).toEqual([
        AMD.manifest.digest,
        ARM.manifest.digest,
      ])
      expect((await shell.run('digest', target)).code).toBe(2)

      const made = await shell.run('index', 'create', target, `${app}:amd`, `${app}:arm`, '-q', '--annotation', 'a=b=c')
      expect(made).toMatchObject({ code: 0, error: '' })
      expect(made.out).toBe(`${target}@${(await shell.run('digest', target)).out}`)
      expect(await list(target)).toEqual([line(AMD, 'linux/amd64'), line(ARM, 'linux/arm64/v8')])
      expect(JSON.parse((await shell.run('manifest', target)).out).annotations).toEqual({ a: 'b=c' })
      expect((await shell.run('validate', target)).code).toBe(0)

      // In place of the one for its platform, and under another tag.
      expect(
        await shell.run('index', 'append', target, `${host}/other:arm`, `${app}:s390`, '-t', 'more', '-q'),
      ).toMatchObject({ code: 0 })
      expect(await list(`${host}/made/app:more`)).toEqual([
        line(AMD, 'linux/amd64'),
        line(ARM2, 'linux/arm64/v8'),
        line(S390, 'linux/s390x'),
      ])
      expect(JSON.parse((await shell.run('manifest', `${host}/made/app:more`)).out).annotations).toEqual({ a: 'b=c' })
      expect(await list(target)).toHaveLength(2)

      expect(
        await shell.run('index', 'rm', `${host}/made/app:more`, 'linux/arm64', S390.manifest.digest),
      ).toMatchObject({ code: 0 })
      expect(await list(`${host}/made/app:more`)).toEqual([line(AMD, 'linux/amd64')])
      const annotate = [
        'index',
        'annotate',
        target,
        'linux/arm64',
        '-p',
        'linux/arm/v7',
        '--os-version',
        '1.2',
        '--annotation',
        'x=y',
      ]
      expect(await shell.run(...annotate)).toMatchObject({ code: 0 })
      const [, arm] = JSON.parse((await shell.run('manifest', target)).out).manifests
      expect(arm).toEqual({
        ...descriptorOf(ARM.manifest),
        platform: { os: 'linux', architecture: 'arm', variant: 'v7', 'os.version': '1.2' },
        annotations: { x: 'y' },
      })
      // Which validate finds out.
      expect(await shell.run('validate', target)).toMatchObject({
        code: 1,
        out: expect.stringContaining('it is for linux/arm64, and its index says linux/arm/v7'),
      })
    })

    test('an index is made of parts of another one, also as docker has it', async () => {
      const target = `${host}/parts/app:docker`
      expect(
        await shell.run(
          'index',
          'create',
          '--docker',
          '-q',
          '-p',
          'linux/arm64',
          '-p',
          'linux/s390x',
          target,
          `${host}/other:multi`,
          `${app}:s390`,
        ),
      ).toMatchObject({ code: 0 })
      expect(await list(target)).toEqual([line(ARM, 'linux/arm64/v8'), line(S390, 'linux/s390x')])
      expect(JSON.parse((await shell.run('manifest', '--descriptor', target)).out).mediaType).toBe(
        'application/vnd.docker.distribution.manifest.list.v2+json',
      )
    })

    test.each<[string, () => string[], number, RegExp]>([
      ['of what is no index', () => ['list', `${app}:amd`], 1, /is one image/],
      ['with an image that is not there', () => ['create', `${app}:x`, `${app}:none`], 2, /none/],
      ['without a platform that it lacks', () => ['remove', `${host}/other:multi`, 'linux/riscv64'], 2, /has no linux/],
      ['under its digest', () => ['remove', `${app}@${AMD.manifest.digest}`, 'linux/amd64'], 64, /--tag/],
      [
        'of docker with annotations',
        () => ['create', '--docker', '--annotation', 'a=b', `${app}:x`, `${app}:amd`],
        64,
        /no annotations/,
      ],
      ['with nothing to say', () => ['annotate', `${host}/other:multi`, 'linux/arm64'], 64, /nothing to say/],
      [
        'with an annotation that is none',
        () => ['create', '--annotation', 'a', `${app}:x`, `${app}:amd`],
        64,
        /NAME=VALUE/,
      ],
    ])('an index %s is refused', async (_, args, code, message) => {
      const shown = await shell.run('index', ...args())
      expect([shown.out, shown.code]).toEqual(['', code])
      expect(shown.error).toMatch(message)
    })

    test('an image that is whole is, in every form', async () => {
      const bytes = [AMD.manifest, AMD.config, ...AMD.layers].reduce((sum, one) => sum + one.bytes.byteLength, 0)
      expect(JSON.parse((await shell.run('validate', `${app}:amd`, '-f', 'json')).out)).toEqual({
        name: `${app}:amd`,
        digest: AMD.manifest.digest,
        ok: true,
        manifests: 1,
        blobs: 2,
        bytes,
        problems: [],
      })
      const tar = Bun.gunzipSync(AMD.layers[0]?.bytes ?? new Uint8Array())
      const types = 'application/vnd.oci.image.layer.v1.tar'
      const forms = { zstd: layerOf(`${types}+zstd`, zstdCompressSync(tar)), plain: layerOf(types, tar) }
      for (const [tag, layer] of Object.entries(forms)) {
        await pushImage(url, 'forms', withLayer(layer), { tag })
        expect(await shell.run('validate', `${host}/forms:${tag}`)).toMatchObject({ code: 0, error: '' })
      }
      // Other bytes than the configuration names, and another compression than the manifest says.
      const wrong = {
        other: [layerOf(`${types}+gzip`, gzipSync(Buffer.alloc(1024))), /it expands to sha256:/],
        called: [
          layerOf(`${types}+gzip`, zstdCompressSync(tar)),
          /its compression is zstd, and its media type says gzip/,
        ],
        broken: [layerOf(`${types}+gzip`, gzipSync(tar).subarray(0, 100)), /gzip stream ends too early/],
      } as const
      for (const [tag, [layer, message]] of Object.entries(wrong)) {
        await pushImage(url, 'forms', withLayer(layer), { tag })
        const shown = await shell.run('validate', `${host}/forms:${tag}`)
        expect(shown).toMatchObject({ code: 1, out: expect.stringMatching(message) })
        expect(shown.error).toBe(`berth: ${host}/forms:${tag} has a problem\n`)
        expect((await shell.run('validate', '--fast', `${host}/forms:${tag}`)).code).toBe(0)
      }
      expect(await shell.run('validate', `${app}:none`)).toMatchObject({ out: '', code: 2 })
    })
  })
})

describe('validate of a layout', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-validate-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const blobAt = (path: string, { digest }: Content) => join(path, 'blobs/sha256', hexOf(digest))

  test.each<[string, (path: string) => void, RegExp | undefined]>([
    ['that is whole', () => {}, undefined],
    [
      'with a layer that is damaged',
      (path) => writeFileSync(blobAt(path, layer(ARM)), Buffer.alloc(layer(ARM).bytes.length)),
      /its bytes have the digest|expands to/,
    ],
    [
      'with a layer that is short',
      (path) => writeFileSync(blobAt(path, layer(ARM)), layer(ARM).bytes.subarray(0, 50)),
      /ends too early|it has 50 bytes/,
    ],
    [
      'with a layer that is long',
      (path) => writeFileSync(blobAt(path, layer(ARM)), Buffer.concat([layer(ARM).bytes, Buffer.alloc(9)])),
      /it has more than/,
    ],
    ['without a layer', (path) => rmSync(blobAt(path, layer(ARM))), /has no blobs/],
    ['without one of its images', (path) => rmSync(blobAt(path, ARM.manifest)), /has no blobs/],
    ['with an image that is damaged', (path) => writeFileSync(blobAt(path, ARM.manifest), '{}'), /is damaged/],
    [
      'with a configuration that is damaged',
      (path) => writeFileSync(blobAt(path, ARM.config), Buffer.alloc(ARM.config.bytes.length)),
      /its bytes have the digest/,
    ],
  ])('%s', async (title, spoil, message) => {
    const path = join(folder, title.replaceAll(' ', '-'))
    writeLayout(path, makeIndex([AMD, ARM]), 'v1')
    spoil(path)
    const shown = await shell.run('validate', path)
    if (message === undefined)
      expect(shown).toMatchObject({
        code: 0,
        error: '',
        out: expect.stringContaining('is whole: 3 manifests, 4 blobs'),
      })
    else {
      expect(shown).toMatchObject({
        code: 1,
        out: expect.stringMatching(message),
        error: expect.stringMatching(/has (a problem|\d problems)\n$/),
      })
      expect((await shell.run('validate', path, '-p', 'linux/amd64')).code).toBe(0)
    }
  })

  test('with what refers to it', async () => {
    const path = join(folder, 'referrers')
    writeLayout(path, AMD, 'v1')
    expect((await shell.run('validate', '-r', path)).out).toContain('1 manifest, 2 blobs')
    const artifact = makeArtifact({ seed: 'x', artifactType: 'application/x', subject: AMD.manifest })
    for (const one of [artifact.manifest, artifact.config, ...artifact.layers])
      writeFileSync(blobAt(path, one), one.bytes)
    const entry = (one: Content) => descriptorOf(one)
    const named = { ...entry(AMD.manifest), annotations: { 'org.opencontainers.image.ref.name': 'v1' } }
    writeFileSync(
      join(path, 'index.json'),
      JSON.stringify({ schemaVersion: 2, manifests: [named, entry(artifact.manifest)] }),
    )
    expect((await shell.run('validate', '-r', '--image', 'v1', path)).out).toContain('2 manifests, 4 blobs')
  })
})

function layer({ layers: [first] }: TestImage): Content {
  if (first === undefined) throw new Error('an image has layers')
  return first
}
