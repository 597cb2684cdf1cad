import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdCompressSync } from 'node:zlib'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { type Dockerd, startDockerd } from '../dockerd.ts'
import {
  buildImage,
  type Content,
  expectedSums,
  importBase,
  makeArtifact,
  makeImage,
  makeIndex,
  pushImage,
  writeLayout,
} from '../image.ts'
import { describeWith, must, program, run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { openVerbShell } from './verb-shell.ts'

const AMD = makeImage({ layers: [100_000, 10], seed: 'amd' })
const ARM = makeImage({ layers: [20], seed: 'arm', platform: { os: 'linux', architecture: 'arm64' } })
const INDEX = makeIndex([AMD, ARM])
const SBOM = makeArtifact({ seed: 'sbom', artifactType: 'application/x-sbom', subject: INDEX.manifest })

let registry: TestRegistry
let app: string
let folder: string
const shell = openVerbShell('/nonexistent', [], { TMPDIR: tmpdir() })
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-pull-'))
  registry = await startRegistry()
  app = `127.0.0.1:${registry.port}/app`
  await pushImage(registry.url, 'app', INDEX, { tag: 'multi' })
  await pushImage(registry.url, 'app', AMD, { tag: 'v1' })
  await pushImage(registry.url, 'app', SBOM)
})
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true, force: true })
})

const digestAt = async (image: string) => (await shell.run('digest', image)).out.trim()
const skopeo = async (...args: string[]) => await must([program('skopeo'), '--insecure-policy', ...args])
const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']

/** An image as docker would have pushed it: the bytes of its config, and layers that expand to what that names. */
async function mustBeSame(name: string, image: { config: Content; layers: Content[] }): Promise<void> {
  const repository = name.slice(name.indexOf('/') + 1).replace(/:.*/, '')
  const { config, layers } = JSON.parse((await shell.run('manifest', name)).out)
  const blob = async (digest: string) => await (await fetch(`${registry.url}/v2/${repository}/blobs/${digest}`)).bytes()
  expect(config.digest).toBe(image.config.digest)
  const { rootfs } = JSON.parse(Buffer.from(await blob(config.digest)).toString())
  const found: string[] = []
  for (const { digest } of layers) found.push(digestOf(gunzipSync(await blob(digest))))
  expect(found).toEqual(rootfs.diff_ids)
}

describe('a layout', () => {
  test('has an index with all of its images, and comes back as it was', async () => {
    const path = join(folder, 'layout')
    const first = await shell.run('pull', '--format', 'oci', `${app}:multi`, path)
    expect(first).toMatchObject({ out: `${app}:multi@${INDEX.manifest.digest}\n`, code: 0 })
    expect(JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'))).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        {
          mediaType: INDEX.manifest.mediaType,
          digest: INDEX.manifest.digest,
          size: INDEX.manifest.bytes.length,
          annotations: {
            'org.opencontainers.image.ref.name': 'multi',
            'io.containerd.image.name': `${app}:multi`,
          },
        },
      ],
    })
    // A second image comes beside it, and what is there is not fetched again.
    const second = await shell.run('pull', '--format', 'oci', '-r', `${app}:v1`, `${app}:multi`, path)
    expect(second).toMatchObject({ code: 0, error: expect.stringContaining('there already') })
    const { manifests } = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'))
    expect(manifests.map(({ digest }: { digest: string }) => digest)).toEqual([
      AMD.manifest.digest,
      INDEX.manifest.digest,
      SBOM.manifest.digest,
    ])
    const blobs = [
      INDEX.manifest,
      ...[AMD, ARM, SBOM].flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]),
    ]
    expect(readdirSync(join(path, 'blobs/sha256')).sort()).toEqual(
      [...new Set(blobs.map(({ digest }) => hexOf(digest)))].sort(),
    )
    expect(readdirSync(path).sort()).toEqual(['blobs', 'index.json', 'oci-layout'])

    const to = `127.0.0.1:${registry.port}/back`
    expect(await shell.run('push', path, `${to}:new`)).toMatchObject({
      out: '',
      code: 64,
      error: expect.stringContaining('several images'),
    })
    expect(await shell.run('push', '-q', '-r', path, `${to}:multi`)).toEqual({
      out: `${to}:multi@${INDEX.manifest.digest}\n`,
      error: '',
      code: 0,
    })
    const listed = await fetch(`${registry.url}/v2/back/referrers/${INDEX.manifest.digest}`)
    const { manifests: referrers } = (await listed.json()) as { manifests: { digest: string }[] }
    expect(referrers.map(({ digest }) => digest)).toEqual([SBOM.manifest.digest])
    expect(await shell.run('push', '-q', path, `${to}:one`, '--image', 'v1')).toMatchObject({ code: 0 })
    expect(await digestAt(`${to}:one`)).toBe(AMD.manifest.digest)
    expect(await shell.run('push', '-q', path, `${to}:arm`, '--image', 'multi', '-p', 'linux/arm64')).toMatchObject({
      code: 0,
    })
    expect(await digestAt(`${to}:arm`)).toBe(ARM.manifest.digest)
  })

  test('that is damaged is whole after the next pull, which says so', async () => {
    const path = join(folder, 'rotten')
    const pull = () => shell.run('pull', '-q', '--format', 'oci', `${app}:multi`, path)
    expect(await pull()).toMatchObject({ error: '', code: 0 })
    const fileOf = ({ digest }: Content) => join(path, 'blobs/sha256', hexOf(digest))
    const [layer] = AMD.layers
    const damages: [Content, (bytes: Uint8Array) => Uint8Array][] = [
      // As long as it was, and shorter.
      [layer ?? AMD.config, (bytes) => new Uint8Array(bytes.length)],
      [ARM.config, (bytes) => bytes.slice(1)],
      [AMD.manifest, (bytes) => new Uint8Array(bytes.length)],
    ]
    for (const [content, damage] of damages) writeFileSync(fileOf(content), damage(content.bytes))
    const { out, error, code } = await pull()
    expect([out, code]).toEqual([`${app}:multi@${INDEX.manifest.digest}\n`, 0])
    expect(error.split('\n').sort()).toEqual(
      ['', ...damages.map(([{ digest }]) => `warning: ${digest} in ${path} was damaged, and has been replaced`)].sort(),
    )
    for (const content of [INDEX.manifest, AMD.manifest, AMD.config, ...AMD.layers, ARM.manifest, ARM.config]) {
      expect(digestOf(readFileSync(fileOf(content)))).toBe(content.digest)
    }
    expect(await pull()).toMatchObject({ error: '', code: 0 })
    // What cannot be replaced is told of, too.
    rmSync(fileOf(AMD.config))
    mkdirSync(fileOf(AMD.config))
    expect(await pull()).toEqual({
      out: '',
      error: `warning: ${AMD.config.digest} in ${path} is damaged\nberth: ${path} is a directory, and no file\n`,
      code: 64,
    })
  })

  test('that is damaged is not pushed', async () => {
    const path = join(folder, 'damaged')
    writeLayout(path, AMD, 'v1')
    const [layer] = AMD.layers
    writeFileSync(
      join(path, 'blobs/sha256', hexOf(layer?.digest ?? AMD.manifest.digest)),
      Buffer.alloc(layer?.bytes.length ?? 0),
    )
    const to = `127.0.0.1:${registry.port}/damaged`
    expect(await shell.run('push', '-q', path, to)).toMatchObject({
      out: '',
      code: 1,
      error: expect.stringContaining('other bytes'),
    })
    expect((await fetch(`${registry.url}/v2/damaged/manifests/latest`)).status).toBe(404)
  })
})

describe('what is not right', () => {
  test.each<[string, () => string[], number, RegExp]>([
    ['a file that is not there', () => ['push', join(folder, 'nothing'), app], 2, /there is no/],
    ['a file that is no archive', () => ['push', import.meta.path, app], 1, /neither a tar archive nor/],
    [
      'an empty directory',
      () => ['push', mkdtempSync(join(folder, 'empty-')), app],
      1,
      /neither index.json nor manifest.json/,
    ],
    ['an image that is not there', () => ['pull', `${app}:none`, join(folder, 'none.tar')], 2, /none/],
    [
      'a directory that is not there',
      () => ['pull', `${app}:v1`, join(folder, 'no/where.tar')],
      1,
      /cannot write .*where\.tar: no such file or directory/,
    ],
    ['a directory in place of a file', () => ['pull', `${app}:v1`, folder], 64, /is a directory/],
    [
      'a directory with other things',
      () => ['pull', '--format', 'oci', `${app}:v1`, import.meta.dir],
      64,
      /other things/,
    ],
    ['referrers for docker', () => ['pull', '-r', `${app}:v1`, join(folder, 'r.tar')], 64, /--format oci/],
    [
      'a file in place of a directory',
      () => ['pull', `${app}:v1`, join(import.meta.path, 'x.tar')],
      1,
      /cannot write .*not a directory/,
    ],
  ])('%s', async (_, args, code, message) => {
    const shown = await shell.run(...args())
    expect([shown.out, shown.code]).toEqual(['', code])
    expect(shown.error).toMatch(message)
    expect(shown.error).toMatch(/^berth: [^\n]+\n(Hint: [^\n]+\n)?$/)
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
  })

  test('a layer with other bytes leaves no file', async () => {
    const [layer] = AMD.layers
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url)
        if (pathname.endsWith(layer?.digest ?? '')) return new Response(new Uint8Array(layer?.bytes.byteLength ?? 0))
        return await fetch(`${registry.url}${pathname}${search}`, request)
      },
    })
    for (const args of [['out.tar'], ['out', '--format', 'oci']]) {
      const [name = '', ...flags] = args
      const path = join(folder, name)
      const shown = await shell.run('pull', '-q', ...flags, `127.0.0.1:${server.port}/app:v1`, path)
      expect(shown).toMatchObject({ out: '', code: 1, error: expect.stringContaining('its bytes have the digest') })
      expect(existsSync(join(path, 'index.json')) || (existsSync(path) && statSync(path).isFile())).toBe(false)
    }
    expect(readdirSync(folder).filter((name) => name.endsWith('.part'))).toEqual([])
    await server.stop(true)
  })
})

test('old archives of docker, with links in place of layers that are named twice', async () => {
  const path = join(folder, 'old')
  const [layer] = AMD.layers
  const tar = gunzipSync(layer?.bytes ?? new Uint8Array())
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [digestOf(tar), digestOf(tar)] },
    }),
  )
  for (const id of ['aaa', 'bbb']) mkdirSync(join(path, id), { recursive: true })
  writeFileSync(join(path, 'aaa/layer.tar'), tar)
  symlinkSync('../aaa/layer.tar', join(path, 'bbb/layer.tar'))
  writeFileSync(join(path, 'config.json'), config)
  const images = [{ Config: 'config.json', RepoTags: ['app:old'], Layers: ['aaa/layer.tar', 'bbb/layer.tar'] }]
  writeFileSync(join(path, 'manifest.json'), JSON.stringify(images))
  await must(['tar', '-C', path, '-cf', `${path}.tar`, '.'])
  writeFileSync(`${path}.tar.gz`, Bun.gzipSync(readFileSync(`${path}.tar`)))
  writeFileSync(`${path}.tar.zst`, zstdCompressSync(readFileSync(`${path}.tar`)))
  const digests = new Set<string>()
  for (const file of [path, `${path}.tar`, `${path}.tar.gz`, `${path}.tar.zst`]) {
    const to = `127.0.0.1:${registry.port}/old:v1`
    expect(await shell.run('push', '-q', file, to)).toMatchObject({ code: 0, error: '' })
    await mustBeSame(to, { config: { mediaType: '', digest: digestOf(config), bytes: new Uint8Array() }, layers: [] })
    digests.add(await digestAt(to))
  }
  expect(digests.size).toBe(1)
  // A layer that is not what the configuration says is not pushed.
  writeFileSync(join(path, 'aaa/layer.tar'), Buffer.alloc(1024))
  expect(await shell.run('push', '-q', path, `127.0.0.1:${registry.port}/old:bad`)).toMatchObject({
    out: '',
    code: 1,
    error: expect.stringContaining('is damaged'),
  })
})

describeWith(['skopeo', 'buildah'], 'skopeo and buildah', () => {
  test('take layouts, archives of layouts and tarballs', async () => {
    const [layout, archive, tarball] = ['s-layout', 's-layout.tar', 's-docker.tar'].map((name) =>
      join(folder, name),
    ) as [string, string, string]
    expect(await shell.run('pull', '-q', '--format', 'oci', `${app}:multi`, layout)).toMatchObject({ code: 0 })
    expect(await shell.run('pull', '-q', '--format', 'oci', `${app}:multi`, archive)).toMatchObject({ code: 0 })
    expect(await shell.run('pull', '-q', `${app}:multi`, tarball, '-p', 'linux/amd64')).toMatchObject({ code: 0 })
    const to = `docker://127.0.0.1:${registry.port}/skopeo`
    await skopeo('copy', '--all', ...plain, `oci:${layout}:multi`, `${to}:layout`)
    await skopeo('copy', '--all', ...plain, `oci-archive:${archive}:multi`, `${to}:archive`)
    await skopeo('copy', ...plain, `docker-archive:${tarball}`, `${to}:tarball`)
    for (const tag of ['layout', 'archive'])
      expect(await digestAt(`127.0.0.1:${registry.port}/skopeo:${tag}`)).toBe(INDEX.manifest.digest)
    await mustBeSame(`127.0.0.1:${registry.port}/skopeo:tarball`, AMD)
  })

  test('write what push takes', async () => {
    const from = `docker://${app}:v1`
    const [layout, archive, tarball] = ['w-layout', 'w-layout.tar', 'w-docker.tar'].map((name) =>
      join(folder, name),
    ) as [string, string, string]
    await skopeo('copy', ...plain, from, `oci:${layout}:v1`)
    await skopeo('copy', ...plain, from, `oci-archive:${archive}:v1`)
    await skopeo('copy', ...plain, from, `docker-archive:${tarball}:app:v1`)
    for (const path of [layout, archive]) {
      const to = `127.0.0.1:${registry.port}/written:oci`
      expect(await shell.run('push', '-q', path, to)).toMatchObject({ out: `${to}@${AMD.manifest.digest}\n`, code: 0 })
    }
    expect(await shell.run('push', '-q', tarball, `127.0.0.1:${registry.port}/written:docker`)).toMatchObject({
      code: 0,
    })
    await mustBeSame(`127.0.0.1:${registry.port}/written:docker`, AMD)

    const storage = [
      '--root',
      join(folder, 'buildah/root'),
      '--runroot',
      join(folder, 'buildah/run'),
      '--storage-driver',
      'vfs',
    ]
    const buildah = async (...args: string[]) => await must([program('buildah'), ...storage, ...args])
    const container = (await buildah('from', 'scratch')).trim()
    await buildah('config', '--label', 'made=here', container)
    await buildah('copy', container, import.meta.path, '/file')
    await buildah('commit', container, 'made')
    for (const [kind, name] of [
      ['oci', 'b-layout'],
      ['oci-archive', 'b-layout.tar'],
      ['docker-archive', 'b-docker.tar'],
    ]) {
      const path = join(folder, name ?? '')
      await buildah('push', 'made', `${kind}:${path}:made:v1`)
      const to = `127.0.0.1:${registry.port}/buildah:${kind}`
      expect(await shell.run('push', '-q', path, to)).toMatchObject({ code: 0, error: '' })
      const config = (await shell.run('inspect', '--config', '-f', '{{json .Config.Labels}}', to)).out
      expect(config).toContain('"made":"here"')
    }
    await buildah('rm', '--all')
  })
})

// For the right to mount a small disk, which docker needs, too.
describeWith(['dockerd'], 'a full disk', () => {
  test.each(['x.tar', 'layout'])('leaves no %s behind', async (name) => {
    const disk = mkdtempSync(join(folder, 'disk-'))
    await must(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', disk])
    try {
      const flags = name === 'layout' ? ['--format', 'oci'] : []
      const shown = await shell.run('pull', '-q', ...flags, `${app}:v1`, join(disk, name))
      expect(shown).toEqual({
        out: '',
        error: `berth: cannot write ${join(disk, name)}: no space left on device\n`,
        code: 1,
      })
      const left = readdirSync(disk, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      // Whole blobs of a layout are for the next run.
      const isBlob = ({ name: file }: { name: string }) => name === 'layout' && /^[0-9a-f]{64}$/.test(file)
      expect(left.filter((entry) => !isBlob(entry))).toEqual([])
    } finally {
      await must(['umount', disk])
    }
  })
})

describeWith(['dockerd', 'docker'], 'docker', () => {
  let dockerd: Dockerd
  beforeAll(async () => {
    dockerd = await startDockerd()
  })
  afterAll(async () => await dockerd?.dispose())

  test('saves what push takes, and loads what pull wrote, to run it', async () => {
    const docker = dockerd.client()
    await importBase(docker)
    await buildImage(docker, 'made:v1', [50_000], 'made')
    const saved = join(folder, 'saved.tar')
    await docker.must(['save', '-o', saved, 'made:v1'])
    const to = `127.0.0.1:${registry.port}/docker/made:v1`
    expect(await shell.run('push', '-q', saved, to)).toMatchObject({ code: 0, error: '' })
    const id = (await docker.must(['image', 'inspect', '--format', '{{.Id}}', 'made:v1'])).trim()
    expect(JSON.parse((await shell.run('manifest', to)).out).config.digest).toBe(id)
    // As docker itself pulls it.
    await docker.must(['rmi', 'made:v1'])
    await docker.must(['pull', to])
    expect(await docker.must(['run', '--rm', '--network', 'host', to])).toBe(expectedSums([50_000], 'made'))
    await docker.must(['rmi', to])

    const pulled = await run(['sh', '-c', '"$0" pull -q "$1" - | docker load', BERTH, to], { env: docker.env })
    expect(pulled).toEqual({ code: 0, stdout: `Loaded image: ${to}\n`, stderr: '' })
    expect((await docker.must(['image', 'inspect', '--format', '{{.Id}}', to])).trim()).toBe(id)
    expect(await docker.must(['run', '--rm', '--network', 'host', to])).toBe(expectedSums([50_000], 'made'))

    // And from a pipe to a registry.
    const piped = await run(['sh', '-c', 'docker save "$1" | "$0" push -q - "$2"', BERTH, to, `${to}-piped`], {
      env: docker.env,
    })
    expect(piped).toMatchObject({ code: 0, stderr: '' })
    const blobs = (await shell.run('cp', '--dry-run', `${to}-piped`, `127.0.0.1:${registry.port}/docker/made:x`)).out
    expect(blobs).not.toContain('copy    blob')
  })
})
