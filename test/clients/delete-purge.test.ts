import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesText } from '../../src/cli/progress.ts'
import { type Digest, hexOf } from '../../src/oci/digest.ts'
import { createUpstream, type Upstream } from '../../src/upstream/upstream.ts'
import { makeImage, makeIndex, type TestImage } from '../image.ts'
import { describeWith } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { type DebianRegistry, startDebianRegistry } from './debian-registry.ts'
import { openVerbShell, type VerbShell } from './verb-shell.ts'

const PASSWORD = 'correct horse'
const AMD = makeImage({ layers: [2000], seed: 'purged amd' })
const ARM = makeImage({ layers: [1000], seed: 'purged arm' })
const INDEX = makeIndex([AMD, ARM])

async function* only(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function push(upstream: Upstream, registry: string, repository: string, image: TestImage, ...tags: string[]) {
  const target = { registry, repository }
  for (const { digest, bytes } of [image.config, ...image.layers]) {
    const open = (start: number) => only(bytes.subarray(start))
    await upstream.blobs.put(target, { digest, size: bytes.byteLength, open })
  }
  for (const tag of tags.length === 0 ? [image.manifest.digest] : tags) {
    await upstream.putManifest(target, tag, image.manifest)
  }
}

const bytesIn = (...images: TestImage[]) =>
  images.flatMap(({ config, layers }) => [config, ...layers]).reduce((sum, { bytes }) => sum + bytes.byteLength, 0)

describe('berth delete --purge against Berth', () => {
  let folder: string
  let berth: Berth
  let registry: string
  let shell: VerbShell
  let upstream: Upstream
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-purge-'))
    berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    registry = `127.0.0.1:${berth.port}`
    shell = openVerbShell(folder)
    const as = { username: 'admin', password: PASSWORD }
    upstream = createUpstream({ env: {}, home: folder, userAgent: 'test', now: Date.now, as, certDirs: [] })
    const login = await shell.runWith(`${PASSWORD}\n`, 'login', registry, '-u', 'admin', '--password-stdin')
    expect(login.code).toBe(0)
  })
  afterAll(async () => {
    await berth?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const onDisk = async (...digests: readonly Digest[]) => {
    const blobs = join(berth.dataDirectory, 'docker/registry/v2/blobs')
    const files = await Array.fromAsync(new Bun.Glob('**/*').scan({ cwd: blobs, onlyFiles: true }))
    return digests.map((digest) => files.some((file) => file.includes(hexOf(digest))))
  }
  const layerOf = ({ layers: [layer] }: TestImage) => layer?.digest ?? AMD.manifest.digest

  test('a tag that another one stands beside goes alone; the last one takes its manifest and the files along', async () => {
    const app = `${registry}/team/app`
    await push(upstream, registry, 'team/app', AMD, 'v1', 'v2')
    const manifest = `${app}@${AMD.manifest.digest}`
    expect(await shell.run('delete', '--purge', `${app}:v2`)).toEqual({
      ...{ out: `${app}:v2\n`, error: `${manifest} stays, for it has other tags: v1.\n`, code: 0 },
    })
    expect(await shell.run('delete', '--purge', `${app}:v1`, '--dry-run')).toEqual({
      ...{ out: `${app}:v1\n${manifest}\n`, code: 0 },
      error: 'Nothing is deleted: this is what would be, for good.\n',
    })
    expect(await shell.run('delete', '--purge', `${app}:v1`)).toMatchObject({ out: '', code: 64 })
    expect(await shell.runAnswering(['n'], 'delete', '--purge', `${app}:v1`)).toMatchObject({ out: '', code: 1 })
    expect(await onDisk(layerOf(AMD), AMD.config.digest)).toEqual([true, true])
    expect(await shell.runAnswering(['y'], 'delete', '--purge', `${app}:v1`)).toEqual({
      ...{ out: `${app}:v1\n${manifest}\n`, code: 0 },
      error:
        `The tag ${app}:v1, and ${AMD.manifest.digest} for good: nothing brings it back.\n` +
        `Gone for good: 1 manifest and 2 blobs; ${bytesText(bytesIn(AMD))} are free again.\n`,
    })
    expect(await onDisk(layerOf(AMD), AMD.config.digest)).toEqual([false, false])
  })

  test('an index goes with its parts; a layer that another repository has stays', async () => {
    const app = `${registry}/team/multi`
    await push(upstream, registry, 'team/multi', AMD)
    await push(upstream, registry, 'team/multi', ARM)
    await push(upstream, registry, 'team/other', ARM, 'v1')
    await upstream.putManifest({ registry, repository: 'team/multi' }, 'v1', INDEX.manifest)
    const gone = await shell.run('delete', '--purge', '--yes', '--manifest', `${app}:v1`)
    const [index, tag, ...children] = gone.out.trimEnd().split('\n')
    expect([index, tag]).toEqual([`${app}@${INDEX.manifest.digest}`, `${app}:v1`])
    expect(children.sort()).toEqual([AMD, ARM].map(({ manifest }) => `${app}@${manifest.digest}`).sort())
    expect([gone.code, gone.error]).toEqual([
      0,
      `Gone for good: 3 manifests and 2 blobs; ${bytesText(bytesIn(AMD))} are free again.\n`,
    ])
    expect(await onDisk(layerOf(AMD), layerOf(ARM))).toEqual([false, true])
  })

  test('what was deleted before goes, too; what an index needs stays', async () => {
    const app = `${registry}/team/late`
    await push(upstream, registry, 'team/late', AMD, 'v1')
    await push(upstream, registry, 'team/late', ARM, 'arm')
    await upstream.putManifest({ registry, repository: 'team/late' }, 'all', makeIndex([ARM]).manifest)
    const needed = await shell.run('delete', '--purge', '-y', `${app}:arm`)
    expect(needed).toEqual({
      ...{ out: `${app}:arm\n`, code: 0 },
      error: `${app}@${ARM.manifest.digest} stays: a tag, an index or its subject needs it, or somebody pushed it since.\n`,
    })
    const digest = `${app}@${AMD.manifest.digest}`
    expect((await shell.run('delete', '--force', digest)).code).toBe(0)
    expect(await onDisk(layerOf(AMD))).toEqual([true])
    expect(await shell.run('delete', '--purge', '--force', digest)).toMatchObject({ out: `${digest}\n`, code: 0 })
    expect(await onDisk(layerOf(AMD))).toEqual([false])
    expect(await shell.run('delete', '--purge', '--force', digest)).toMatchObject({ out: '', code: 2 })
  })

  test('who may push, but not delete, is refused, and what he named stays', async () => {
    const app = `${registry}/team/kept`
    await push(upstream, registry, 'team/kept', AMD, 'v1')
    const refused = await openVerbShell(join(folder, 'nobody')).run('delete', '--purge', '-y', `${app}:v1`)
    expect([refused.out, refused.code]).toEqual(['', 3])
    expect(await onDisk(layerOf(AMD))).toEqual([true])
  })

  test.each([
    ['gc why of a digest that is not here', ['gc', 'why', `sha256:${'0'.repeat(64)}`], 1, 'is not here'],
    ['trash purge of a word', ['trash', 'purge', 'abc'], 2, '"abc" is no ID of the trash'],
  ])('%s fails in so many words', async (_, words, code, text) => {
    const child = Bun.spawn([BERTH, ...words, '--data', berth.dataDirectory], { stdout: 'pipe', stderr: 'pipe' })
    const [out, error, exit] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    expect([exit, out]).toEqual([code, ''])
    expect(error).toContain(text)
  })
})

describeWith(['docker-registry'], 'berth delete --purge against a registry that gives nothing back on request', () => {
  let folder: string
  let debian: DebianRegistry
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-purge-'))
    debian = await startDebianRegistry()
  })
  afterAll(async () => {
    await debian?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  test('deletes, and says who frees the space', async () => {
    const shell = openVerbShell(folder)
    const { host } = debian
    const upstream = createUpstream({ env: {}, home: folder, userAgent: 'test', now: Date.now, certDirs: [] })
    const app = `${host}/team/app`
    await push(upstream, host, 'team/app', AMD, 'v1')
    await push(upstream, host, 'team/app', ARM, 'v2')
    const manifest = (image: TestImage) => `${app}@${image.manifest.digest}`
    expect(await shell.run('delete', '--purge', '-y', `${app}:v1`, manifest(ARM))).toEqual({
      out: `${app}:v1\n${manifest(AMD)}\n${manifest(ARM)}\n${app}:v2\n`,
      error:
        `berth: ${app}:v1, ${manifest(ARM)}: deleted, but ${host} gives no space back on request: it comes back by that server's own garbage collection\n` +
        'Hint: for registry:2 and 3, on their machine and while nobody pushes: registry garbage-collect CONFIG\n',
      code: 4,
    })
    for (const reference of [AMD.manifest.digest, ARM.manifest.digest]) {
      expect(await upstream.head({ registry: host, repository: 'team/app' }, reference)).toBeUndefined()
    }
  })
})
