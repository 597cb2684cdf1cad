import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, hexOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { type Content, content, descriptorOf, json, noise, pushBlob } from '../image.ts'
import { type Berth, startBerth } from '../start-berth.ts'

/**
 * The program itself, killed in the middle of a purge of an image of many parts. What it had taken is gone, what it had not can be
 * taken as before, and nothing that a tag needs is touched.
 */
const REPOSITORY = 'crash/purged'
const CHILDREN = 24
/** Purges that may end before the kill comes. */
const TRIES = 40
const AT_ONCE = 24
const TIMEOUT = 300_000
const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }

const octets = 'application/octet-stream'
const shared = content(octets, noise(5000, 'shared by all'))
const single = (config: Content): Content =>
  json(MEDIA_TYPES.ociManifest, {
    ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config: descriptorOf(config) },
    layers: [descriptorOf(shared)],
  })
const kept = content(octets, noise(5000, 'kept'))
const parts = Array.from({ length: CHILDREN }, (_, index) => content(octets, noise(5000, `part ${index}`)))
const children = parts.map(single)
const index = json(MEDIA_TYPES.ociIndex, {
  ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: children.map(descriptorOf) },
})

describe('a purge whose server is killed', () => {
  let folder: string
  let berth: Berth | undefined

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-purge-'))
  })
  afterEach(async () => {
    await berth?.dispose()
    berth = undefined
    rmSync(folder, { recursive: true, force: true })
  })

  /** The next server on the same data. */
  async function start(): Promise<Berth> {
    await berth?.dispose()
    berth = await startBerth({ env: ENV, dataDirectory: join(folder, 'data') })
    return berth
  }

  const urlOf = ({ url }: Berth, path: string) => `${url}/v2/${REPOSITORY}/${path}`

  async function put(server: Berth, { mediaType, bytes, digest }: Content, reference: string = digest): Promise<void> {
    const headers = { 'Content-Type': mediaType }
    const answer = await fetch(urlOf(server, `manifests/${reference}`), { method: 'PUT', headers, body: bytes })
    expect(answer.status).toBe(201)
  }

  async function push(server: Berth): Promise<void> {
    for (const blob of [shared, kept]) await pushBlob(server.url, REPOSITORY, blob)
    await put(server, single(kept), 'kept')
    for (let first = 0; first < CHILDREN; first += AT_ONCE) {
      await Promise.all(
        parts.slice(first, first + AT_ONCE).map(async (part, place) => {
          await pushBlob(server.url, REPOSITORY, part)
          const child = children[first + place]
          if (child !== undefined) await put(server, child)
        }),
      )
    }
    await put(server, index, 'all')
  }

  const remove = async (server: Berth, path: string) =>
    (await fetch(urlOf(server, `${path}/${index.digest}`), { method: 'DELETE' })).status

  async function countChildren(server: Berth): Promise<number> {
    const looks = children.map(({ digest }) => fetch(urlOf(server, `manifests/${digest}`), { method: 'HEAD' }))
    return (await Promise.all(looks)).filter(({ status }) => status === 200).length
  }

  function files(): string[] {
    const entries = readdirSync(join(folder, 'data/docker'), { recursive: true, withFileTypes: true })
    return entries.flatMap((entry) => (entry.isFile() ? [entry.parentPath.split('/').at(-1) ?? ''] : [])).sort()
  }
  const countFiles = async () => files().length

  /** Everything that the tag needs, byte by byte. */
  async function expectKept(server: Berth): Promise<void> {
    const image = single(kept)
    for (const [path, { bytes }] of [
      ['manifests/kept', image],
      ...[kept, shared].map((blob) => [`blobs/${blob.digest}`, blob] as const),
    ] as const) {
      const answer = await fetch(urlOf(server, path))
      expect([path, answer.status, Buffer.compare(await answer.bytes(), bytes)]).toEqual([path, 200, 0])
    }
  }

  async function collectNow({ dataDirectory }: Berth): Promise<void> {
    const unix = join(dataDirectory, 'berth.sock')
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ now: true, dryRun: false, untagged: false })
    const run = await fetch('http://berth/api/v1/gc/runs', { unix, method: 'POST', headers, body })
    for (let state = ((await run.json()) as { state: string }).state; state === 'running'; await Bun.sleep(20)) {
      state = ((await (await fetch('http://berth/api/v1/gc/runs/latest', { unix })).json()) as { state: string }).state
    }
  }

  test.each<[string, (server: Berth) => Promise<number>]>([
    ['manifests are gone', countChildren],
    ['bytes are gone', countFiles],
  ])(
    'as soon as some %s: what is left goes by the same purge or by the collector, and nothing else',
    async (_, count) => {
      let server = await start()
      let wasKilled = false
      for (let attempt = 0; attempt < TRIES && !wasKilled; attempt++) {
        await push(server)
        expect(await remove(server, 'manifests')).toBe(202)
        const before = await count(server)
        let isOver = false
        const purge = remove(server, '_berth/trash').then(
          () => true,
          () => false,
        )
        void purge.then(() => {
          isOver = true
        })
        for (let left = before; left === before && !isOver; left = await count(server)) await Bun.sleep(1)
        await server.kill()
        wasKilled = !(await purge)
        server = await start()
      }
      expect(wasKilled).toBe(true)
      await expectKept(server)

      // The index may be gone, and then nothing can be purged by its name.
      expect([200, 404]).toContain(await remove(server, '_berth/trash'))
      await collectNow(server)
      expect(await countChildren(server)).toBe(0)
      await expectKept(server)
      expect(files()).toEqual([kept, shared].map(({ digest }: { digest: Digest }) => hexOf(digest)).sort())

      await push(server)
      expect(await countChildren(server)).toBe(CHILDREN)
      expect(files()).toHaveLength(CHILDREN + 2)
    },
    TIMEOUT,
  )
})
