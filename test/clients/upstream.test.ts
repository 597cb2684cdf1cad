import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import type { RepositoryReference } from '../../src/upstream/reference.ts'
import { createUpstream, type Upstream } from '../../src/upstream/upstream.ts'
import { makeArtifact, makeImage, makeIndex, noise } from '../image.ts'
import { describeWith } from '../programs.ts'
import { SITES, type Site } from './registry-sites.ts'

const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => await Array.fromAsync(items)

async function* chunksOf(bytes: Uint8Array, size = 70_000): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.slice(at, at + size)
}

describeWith(['docker-registry', 'htpasswd', 'openssl'], 'the client', () => {
  describe.each(Object.keys(SITES))('against %s', (name) => {
    let folder: string
    let site: Site
    let upstream: Upstream
    let app: RepositoryReference

    const clientOf = (as: Site['user']) =>
      createUpstream({
        env: { PATH: process.env.PATH },
        home: folder,
        userAgent: 'berth-test',
        now: Date.now,
        as,
        caFile: site.caFile,
        certDirs: [],
        retryDelayMs: 1,
      })

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'berth-upstream-'))
      const start = SITES[name]
      if (start === undefined) throw new Error(name)
      site = await start(folder)
      upstream = clientOf(site.user)
      app = { registry: site.registry, repository: 'team/app' }
    })
    afterAll(async () => {
      await site?.dispose()
      rmSync(folder, { recursive: true, force: true })
    })

    test('stores an image and reads it back, byte for byte', async () => {
      const image = makeImage({ layers: [300_000, 0], seed: name })
      for (const { digest, bytes } of [image.config, ...image.layers]) {
        await upstream.blobs.put(app, {
          digest,
          size: bytes.byteLength,
          open: (start) => chunksOf(bytes.subarray(start)),
        })
        expect(await upstream.blobs.head(app, digest)).toBe(bytes.byteLength)
        const { size, body } = await upstream.blobs.get(app, digest)
        expect(size).toBe(bytes.byteLength)
        expect(digestOf(Buffer.concat(await all(body)))).toBe(digest)
      }
      const { digest, bytes, mediaType } = image.manifest
      expect(await upstream.putManifest(app, 'v1', image.manifest)).toBe(digest)
      expect(await upstream.putManifest(app, 'v2', image.manifest)).toBe(digest)
      expect(await upstream.head(app, 'v1')).toEqual({ mediaType, digest, size: bytes.byteLength })
      for (const reference of ['v1', digest]) {
        const fetched = await upstream.manifest(app, reference)
        expect([fetched.digest, fetched.mediaType, digestOf(fetched.bytes)]).toEqual([digest, mediaType, digest])
      }
      const [layer] = image.layers
      if (layer === undefined) throw new Error('an image has layers')
      const part = await upstream.blobs.getRange(app, layer.digest, 10, 20)
      expect(part).toEqual(new Uint8Array(layer.bytes.slice(10, 20)))
    })

    test('lists tags and repositories, through pages', async () => {
      const other = makeImage({ layers: [10], seed: 'other' })
      for (const repository of ['a/one', 'b/two', 'c/three']) {
        const target = { ...app, repository }
        for (const { digest, bytes } of [other.config, ...other.layers]) {
          await upstream.blobs.put(target, {
            digest,
            size: bytes.byteLength,
            open: (start) => chunksOf(bytes.subarray(start)),
          })
        }
        await upstream.putManifest(target, 'v1', other.manifest)
      }
      expect(await all(upstream.tags(app, { pageSize: 1 }))).toEqual(['v1', 'v2'])
      expect(await all(upstream.catalog(site.registry, { pageSize: 2 }))).toEqual([
        'a/one',
        'b/two',
        'c/three',
        'team/app',
      ])
    })

    test('mounts a blob of another repository, and says when there is none', async () => {
      const bytes = noise(5000, `mount ${name}`)
      const digest = digestOf(bytes)
      await upstream.blobs.put(app, {
        digest,
        size: bytes.byteLength,
        open: (start) => chunksOf(bytes.subarray(start)),
      })
      const target = { ...app, repository: 'team/mounted' }
      expect(await upstream.blobs.mount(target, digest, 'team/app')).toBe(true)
      expect(await upstream.blobs.head(target, digest)).toBe(5000)
      expect(await upstream.blobs.mount(target, digestOf(Buffer.from('nowhere')), 'team/app')).toBe(false)
    })

    test('stores an index, and finds referrers by the API or by the fallback tag', async () => {
      const images = ['amd64', 'arm64'].map((architecture) =>
        makeImage({ layers: [100], seed: architecture, platform: { os: 'linux', architecture } }),
      )
      const index = makeIndex(images)
      const artifact = makeArtifact({ seed: 'signature', artifactType: 'application/x-test', subject: index.manifest })
      for (const { config, layers, manifest } of [...images, artifact]) {
        for (const { digest, bytes } of [config, ...layers]) {
          await upstream.blobs.put(app, {
            digest,
            size: bytes.byteLength,
            open: (start) => chunksOf(bytes.subarray(start)),
          })
        }
        if (manifest !== artifact.manifest) await upstream.putManifest(app, manifest.digest, manifest)
      }
      await upstream.putManifest(app, 'multi', index.manifest)
      await upstream.putManifest(app, artifact.manifest.digest, artifact.manifest)
      const fallback = makeIndex([artifact])
      await upstream.putManifest(app, index.manifest.digest.replace(':', '-'), fallback.manifest)
      const found = await upstream.referrers(app, index.manifest.digest)
      expect(found.map(({ digest }) => digest)).toEqual([artifact.manifest.digest])
      expect((await upstream.manifest(app, 'multi')).mediaType).toBe(MEDIA_TYPES.ociIndex)
      expect(await upstream.referrers(app, images[0]?.manifest.digest ?? index.manifest.digest)).toEqual([])
    })

    test('tells what is missing from what is refused', async () => {
      expect(await upstream.head(app, 'nothing')).toBeUndefined()
      expect(await upstream.blobs.head(app, digestOf(Buffer.from('nowhere')))).toBeUndefined()
      await expect(upstream.manifest(app, 'nothing')).rejects.toMatchObject({
        fault: 'not-found',
        code: 'MANIFEST_UNKNOWN',
      })
      const lost = upstream.blobs.get(app, digestOf(Buffer.from('nowhere')))
      await expect(lost).rejects.toMatchObject({ fault: 'not-found', code: 'BLOB_UNKNOWN' })
      if (site.user === undefined) return
      for (const as of [undefined, { username: 'admin', password: 'wrong' }]) {
        const refused = clientOf(as).manifest(app, 'v1')
        await expect(refused).rejects.toMatchObject({ fault: 'unauthorized', hint: `berth login ${site.registry}` })
      }
    })

    test('deletes by digest, with the tags', async () => {
      const { digest } = await upstream.manifest(app, 'v1')
      await upstream.delete(app, digest)
      expect(await upstream.head(app, 'v1')).toBeUndefined()
      expect(await upstream.head(app, 'v2')).toBeUndefined()
      await expect(upstream.delete(app, digest)).rejects.toMatchObject({ fault: 'not-found' })
    })
  })
})
