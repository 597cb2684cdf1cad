import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { pathOf, REPOSITORIES_ROOT } from '../../src/storage/distribution-path.ts'
import { pushImage, type TestImage } from '../image.ts'
import { describeWith, must, program, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { CACHE, leaveUpload, pushSamples, SAMPLES, SIGNATURE, UNTAGGED } from './adoption-samples.ts'
import { collectGarbage, startDebianRegistry } from './debian-registry.ts'
import { type readRegistry as Read, readRegistry } from './registry-contents.ts'

const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const TAGS = 10_000
const { many, broken, whole } = SAMPLES

describeWith(['docker-registry', 'skopeo'], 'data of the real docker-registry', () => {
  let folder = ''
  /** As docker-registry left it; each group works on a copy. */
  let original = ''
  let before: Awaited<ReturnType<typeof Read>>
  let upload = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-adoption-'))
    original = join(folder, 'original')
    const registry = await startDebianRegistry('none', original)
    try {
      await pushSamples(registry.url)
      upload = await leaveUpload(registry.url, 'half of it,')
      before = await readRegistry(registry.url, UNTAGGED)
    } finally {
      await registry.dispose()
    }
  }, 180_000)

  afterAll(() => rmSync(folder, { recursive: true, force: true }), 180_000)

  const copy = (name: string): string => {
    const directory = join(folder, name)
    cpSync(original, directory, { recursive: true, preserveTimestamps: true })
    return directory
  }

  describe('adopted by berth serve at its first start', () => {
    let directory = ''
    let berth: Berth

    beforeAll(async () => {
      directory = copy('served')
      berth = await startBerth({ dataDirectory: directory, env: ENV })
    }, 180_000)

    afterAll(() => berth?.dispose(), 180_000)

    test('is served byte for byte, and nothing else is', async () => {
      const after = await readRegistry(berth.url, UNTAGGED)
      // registry:2 lists a repository whose last manifest was deleted; Berth does not.
      expect(after.repositories).toEqual(before.repositories.filter((name) => name !== 'deleted'))
      for (const [name, tags] of after.tags) expect([name, tags]).toEqual([name, before.tags.get(name) ?? []])
      expect([...after.contents.keys()].sort()).toEqual([...before.contents.keys()].sort())
      for (const [path, served] of after.contents) {
        // registry:2 answers the sha256 digest of what was asked for by sha512.
        const digest = path.includes('/blobs/sha512:') ? { digest: before.contents.get(path)?.digest } : {}
        expect([path, before.contents.get(path)]).toEqual([path, { ...served, ...digest } as never])
      }
      const statuses = [...after.contents.values()].map(({ status }) => status)
      expect(new Set(statuses)).toEqual(new Set([200]))
    })

    test('an image goes from it to a layout with skopeo', async () => {
      const target = join(folder, 'layout')
      const source = `docker://localhost:${berth.port}/team/app:latest`
      await must([program('skopeo'), 'copy', '--src-tls-verify=false', source, `oci:${target}:latest`])
      const index = JSON.parse(readFileSync(join(target, 'index.json'), 'utf8'))
      expect(index.manifests[0].digest).toBe(SAMPLES.current.manifest.digest)
    })

    test('an upload that was left open goes on at its old address', async () => {
      const url = `${berth.url}${upload}`
      const rest = Buffer.from(' and the rest')
      const patched = await fetch(url, { method: 'PATCH', body: rest, headers: octets })
      expect(patched.status).toBe(202)
      expect(patched.headers.get('range')).toBe('0-23')
      const digest = digestOf(Buffer.from('half of it, and the rest'))
      const location = new URL(patched.headers.get('location') ?? '', berth.url)
      location.searchParams.set('digest', digest)
      expect((await fetch(location, { method: 'PUT' })).status).toBe(201)
      expect(await (await fetch(`${berth.url}/v2/team/app/blobs/${digest}`)).text()).toBe('half of it, and the rest')
    })

    test('manifests with a subject are referrers', async () => {
      const url = `${berth.url}/v2/team/app/referrers/${SAMPLES.current.manifest.digest}`
      const { manifests } = (await (await fetch(url)).json()) as { manifests: { digest: string }[] }
      expect(manifests.map(({ digest }) => digest)).toEqual([SIGNATURE.manifest.digest])
    })

    test('a blob that only an index names is held by it', async () => {
      const url = `${berth.url}/v2/team/app/blobs/${CACHE[0]?.digest}`
      expect((await fetch(url, { method: 'DELETE' })).status).toBe(403)
      expect(await (await fetch(url)).text()).toBe('layer of a cache')
    })

    test('its tree stands aside, and the original refuses to collect or to take a push', async () => {
      expect(statSync(join(directory, REPOSITORIES_ROOT)).isFile()).toBe(true)
      expect(readdirSync(join(directory, `${REPOSITORIES_ROOT}.berth`)).sort()).toContain('team')
      const blobs = filesBelow(join(directory, 'docker/registry/v2/blobs'))
      const collected = await collectGarbage(directory, { dryRun: false })
      expect(collected.code).toBe(1)
      expect(collected.stderr).toContain('failed to mark')
      const registry = await startDebianRegistry('none', directory)
      try {
        await expect(pushImage(registry.url, 'team/app', whole, { tag: 'new' })).rejects.toThrow('got 500')
      } finally {
        await registry.dispose()
      }
      expect((await collectGarbage(directory, { dryRun: false })).code).toBe(1)
      expect(filesBelow(join(directory, 'docker/registry/v2/blobs'))).toEqual(blobs)
    })

    test('starts again without anything to do, and with the same content', async () => {
      expect(await berth.stop()).toBe(0)
      await berth.dispose()
      berth = await startBerth({ dataDirectory: directory, env: ENV })
      expect(berth.log()).not.toContain('adoption is done')
      const after = await readRegistry(berth.url)
      expect(after.repositories).toEqual(before.repositories.filter((name) => name !== 'deleted'))
    })
  })

  test(`a repository of ${TAGS} tags has them all`, async () => {
    const directory = copy('tags')
    copyTag(directory, 'many/tags', 'v0', TAGS)
    const listed = async (url: string) =>
      (await (await fetch(`${url}/v2/many/tags/tags/list?n=${TAGS}`)).json()) as { tags: string[] }
    const registry = await startDebianRegistry('none', directory)
    const expected = await listed(registry.url).finally(registry.dispose)
    expect(expected.tags).toHaveLength(TAGS)
    const berth = await startBerth({ dataDirectory: directory, env: { ...ENV, REGISTRY_TAGS_MAXTAGS: `${TAGS}` } })
    try {
      expect((await listed(berth.url)).tags).toEqual(expected.tags.sort())
      const answer = await fetch(`${berth.url}/v2/many/tags/manifests/v${TAGS - 1}`, { headers: { Accept: '*/*' } })
      expect(Buffer.compare(await answer.bytes(), many.manifest.bytes)).toBe(0)
    } finally {
      await berth.dispose()
    }
  }, 180_000)

  test('a dry run tells what adoption does, and changes nothing', async () => {
    const directory = copy('dry')
    const state = stateOf(directory)
    const dry = await adoptJson(directory, '--dry-run')
    expect(stateOf(directory)).toEqual(state)
    const wet = await adoptJson(directory)
    const { dryRun: _, retired: __, file, ...same } = wet
    expect({ ...dry, dryRun: undefined, retired: undefined, file: undefined }).toMatchObject(same)
    expect(wet).toMatchObject({ retired: `${REPOSITORIES_ROOT}.berth`, faults: {}, changed: { tags: wet.found.tags } })
    expect(wet.found).toMatchObject({ repositories: before.repositories.length, uploads: 1 })
    const lines = readFileSync(file ?? '', 'utf8')
      .trimEnd()
      .split('\n')
    expect(lines.map((line) => 'found' in JSON.parse(line))).toEqual([true])
    // What was pushed under another algorithm has a second name, and not a byte more.
    expect(filesBelow(join(directory, 'docker/registry/v2/blobs/sha256'))).toEqual(
      filesBelow(join(original, 'docker/registry/v2/blobs/sha256')),
    )
    expect((await run([BERTH, 'adopt', directory])).stderr).toContain('nothing there that is not adopted')
  }, 180_000)

  test('what the original wrote after a way back by hand is noticed, and the difference adopted', async () => {
    const directory = copy('again')
    await adoptJson(directory)
    const top = join(directory, REPOSITORIES_ROOT)
    rmSync(top)
    renameSync(`${top}.berth`, top)
    const registry = await startDebianRegistry('none', directory)
    const current = SAMPLES.current.manifest.digest
    try {
      await pushImage(registry.url, 'team/app', whole, { tag: 'v1' })
      await pushImage(registry.url, 'new', whole, { tag: 'v1' })
      await fetch(`${registry.url}/v2/team/app/manifests/${SAMPLES.docker.manifest.digest}`, { method: 'DELETE' })
    } finally {
      await registry.dispose()
    }
    const { changed, retired } = await adoptJson(directory)
    expect(changed).toMatchObject({ tags: 1, movedTags: 1, manifests: 2, deletedTags: 0, deletedManifests: 0 })
    expect(retired).toBe(`${REPOSITORIES_ROOT}.berth`)
    const berth = await startBerth({ dataDirectory: directory, env: ENV })
    try {
      const digestOfTag = async (path: string) =>
        (await fetch(`${berth.url}/v2/${path}`, { headers: { Accept: '*/*' } })).headers.get('docker-content-digest')
      expect(await digestOfTag('team/app/manifests/v1')).toBe(whole.manifest.digest)
      expect(await digestOfTag('new/manifests/v1')).toBe(whole.manifest.digest)
      expect(await digestOfTag(`team/app/manifests/${current}`)).toBe(current)
      // It cannot be told from a tree that never had it: what is there stays.
      expect(await digestOfTag('team/app/manifests/docker')).toBe(SAMPLES.docker.manifest.digest)
    } finally {
      await berth.dispose()
    }
  }, 180_000)

  test('what the original deleted from a tree that Berth wrote is deleted', async () => {
    const directory = copy('exported')
    await adoptJson(directory)
    const top = join(directory, REPOSITORIES_ROOT)
    rmSync(top)
    renameSync(`${top}.berth`, top)
    writeFileSync(
      join(top, 'berth-export.json'),
      JSON.stringify({ kind: 'berth-export', complete: true, inPlace: true }),
    )
    const registry = await startDebianRegistry('none', directory)
    try {
      await fetch(`${registry.url}/v2/team/app/manifests/${SAMPLES.docker.manifest.digest}`, { method: 'DELETE' })
    } finally {
      await registry.dispose()
    }
    const { changed, faults } = await adoptJson(directory)
    expect(changed).toMatchObject({ tags: 0, movedTags: 0, manifests: 0, deletedManifests: 1, deletedTags: 1 })
    expect(faults).toEqual({})
  }, 180_000)

  test('every broken thing is told, and none of it keeps the rest from being adopted', async () => {
    const directory = copy('broken')
    const registry = await startDebianRegistry('none', directory)
    try {
      await pushImage(registry.url, 'broken', broken, { tag: 'cut' })
      await pushImage(registry.url, 'broken', whole, { tag: 'whole' })
      await pushImage(registry.url, 'broken', SAMPLES.untagged, { tag: 'lost' })
    } finally {
      await registry.dispose()
    }
    breakThings(directory, broken)
    const { faults, examples } = await adoptJson(directory)
    expect(faults).toEqual({
      'empty-blob': 1,
      'damaged-blob': 1,
      'dangling-link': 1,
      'empty-link': 1,
      'missing-blob': 1,
      'missing-manifest': 2,
      'unlinked-blob': 1,
      'dangling-tag': 2,
      'bad-link': 1,
      'invalid-name': 2,
      symlink: 1,
      stray: 2,
      'broken-upload': 1,
      'schema-1': 1,
    })
    expect(examples.find(({ kind }) => kind === 'damaged-blob')?.detail).toContain('it has 90 bytes')
    const berth = await startBerth({ dataDirectory: directory, env: ENV })
    try {
      const url = `${berth.url}/v2/broken`
      expect((await fetch(`${url}/manifests/whole`, { headers: { Accept: '*/*' } })).status).toBe(200)
      expect((await fetch(`${url}/manifests/cut`, { headers: { Accept: '*/*' } })).status).toBe(200)
      expect((await fetch(`${url}/manifests/old`, { headers: { Accept: '*/*' } })).headers.get('content-type')).toBe(
        MEDIA_TYPES.dockerManifestV1,
      )
      for (const layer of broken.layers.slice(0, 2)) {
        expect((await fetch(`${url}/blobs/${layer.digest}`, { method: 'HEAD' })).status).toBe(404)
      }
      // Whoever has the image mends it by pushing it.
      await pushImage(berth.url, 'broken', broken, { tag: 'cut' })
      for (const { digest, bytes } of broken.layers) {
        const answer = await fetch(`${url}/blobs/${digest}`)
        expect(Buffer.compare(await answer.bytes(), bytes)).toBe(0)
      }
    } finally {
      await berth.dispose()
    }
  }, 180_000)

  test('--verify finds bytes that changed without their size', async () => {
    const directory = copy('verified')
    const path = join(
      directory,
      pathOf({ kind: 'blob', digest: SAMPLES.docker.layers[0]?.digest ?? whole.manifest.digest }),
    )
    const bytes = readFileSync(path)
    bytes[100] = (bytes[100] ?? 0) ^ 1
    writeFileSync(path, bytes)
    expect((await adoptJson(directory, '--dry-run')).faults).toEqual({})
    const { faults, verified, examples } = await adoptJson(directory, '--verify')
    expect(faults).toEqual({ 'damaged-blob': 1, 'dangling-link': 1, 'missing-blob': 1 })
    expect({ verified, path: examples[0]?.path }).toEqual({
      verified: true,
      path: pathOf({ kind: 'blob', digest: SAMPLES.docker.layers[0]?.digest ?? whole.manifest.digest }),
    })
  }, 180_000)
})

const octets = { 'content-type': 'application/octet-stream' }

interface Report {
  dryRun: boolean
  verified: boolean
  found: Record<string, number>
  changed: Record<string, number>
  faults: Record<string, number>
  examples: { kind: string; path: string; detail: string }[]
  retired?: string
  file?: string
}

async function adoptJson(directory: string, ...options: string[]): Promise<Report> {
  return JSON.parse(await must([BERTH, 'adopt', directory, '--output', 'json', ...options])) as Report
}

/** Makes tags v1, v2 ... of what docker-registry wrote for one. */
function copyTag(directory: string, repository: string, tag: string, count: number): void {
  const text = readFileSync(join(directory, pathOf({ kind: 'current', repository, tag })))
  const digest = text.toString() as Digest
  for (let index = 1; index < count; index++) {
    const current = pathOf({ kind: 'current', repository, tag: `v${index}` })
    // Each of them has one; a tenth will do.
    const past = pathOf({ kind: 'past', repository, tag: `v${index}`, digest })
    for (const file of index % 10 === 0 ? [current, past] : [current]) {
      mkdirSync(dirname(join(directory, file)), { recursive: true })
      writeFileSync(join(directory, file), text)
    }
  }
}

/** One of each fault, in the repository `broken` and beside it. */
function breakThings(directory: string, { layers }: TestImage): void {
  const repository = 'broken'
  const at = (path: string) => join(directory, path)
  const put = (path: string, text: string) => {
    mkdirSync(dirname(at(path)), { recursive: true })
    writeFileSync(at(path), text)
  }
  const [first, second, third] = layers.map(({ digest }) => digest)
  if (first === undefined || second === undefined || third === undefined) throw new Error('three layers are needed')
  truncateSync(at(pathOf({ kind: 'blob', digest: first })))
  truncateSync(at(pathOf({ kind: 'blob', digest: second })), 90)
  truncateSync(at(pathOf({ kind: 'layer', repository, digest: third })))
  rmSync(dirname(at(pathOf({ kind: 'blob', digest: SAMPLES.untagged.manifest.digest }))), { recursive: true })
  put(pathOf({ kind: 'current', repository, tag: 'cut-short' }), 'sha256:12')
  put(`${REPOSITORIES_ROOT}/broken/_manifests/tags/-x/current/link`, '')
  put(`${REPOSITORIES_ROOT}/Broken/_layers/x`, '')
  put(`${REPOSITORIES_ROOT}/broken/notes.txt`, 'mine')
  put('docker/registry/v2/blobs/sha256/README', 'mine')
  put(`${REPOSITORIES_ROOT}/broken/_uploads/0b3f0f4c/startedat`, '2020-01-01T00:00:00Z')
  symlinkSync('..', at(`${REPOSITORIES_ROOT}/broken/loop`))
  const old = JSON.stringify({
    schemaVersion: 1,
    name: 'broken',
    tag: 'old',
    fsLayers: [{ blobSum: whole.layers[0]?.digest }],
  })
  const digest = digestOf(Buffer.from(old))
  put(pathOf({ kind: 'blob', digest }), old)
  put(pathOf({ kind: 'revision', repository, digest }), digest)
  put(pathOf({ kind: 'current', repository, tag: 'old' }), digest)
}

/** Every file below, with its size. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(
      (entry) =>
        `${join(entry.parentPath, entry.name).slice(directory.length)} ${statSync(join(entry.parentPath, entry.name)).size}`,
    )
    .sort()
}

/** Every path, with all that a change would show in. */
function stateOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true })
    .map((path) => {
      const { mtimeMs, size, mode, ino } = statSync(join(directory, String(path)))
      return `${path} ${mtimeMs} ${size} ${mode} ${ino}`
    })
    .sort()
}
