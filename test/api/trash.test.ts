import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, digestOf, hexOf } from '../../src/oci/digest.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import {
  bytesOf,
  codesOf,
  errorsOf,
  imageManifest,
  indexOf,
  must,
  pushBlob,
  pushImage,
  pushManifest,
} from './content.ts'
import { ask } from './exchange.ts'
import { within } from './live-server.ts'

interface Purged {
  manifests: { digest: Digest; size: number }[]
  kept: { digest: Digest; why: string }[]
  blobs: { count: number; bytes: number }
  unlinked: { count: number; bytes: number }
}

const layerOf = (seed: string) => digestOf(bytesOf(`layer ${seed}`))
const child = (digest: Digest) => ({ mediaType: MEDIA_TYPES.ociManifest, digest, size: 1 })

describe('DELETE /v2/<name>/_berth/trash/<digest>', () => {
  let registry: TestRegistry
  let port: number
  /** Milliseconds by which its clock is ahead of the machine's. */
  let ahead: number
  beforeEach(async () => {
    ahead = 0
    registry = await startRegistry({ now: () => Date.now() + ahead })
    port = registry.port
  })
  afterEach(() => registry.stop())

  const remove = (reference: string, repository = 'app') =>
    must(202, ask(port, 'DELETE', `/v2/${repository}/manifests/${reference}`))
  const asked = (digest: string, repository = 'app') => ask(port, 'DELETE', `/v2/${repository}/_berth/trash/${digest}`)
  const purge = async (digest: Digest, repository = 'app') =>
    JSON.parse((await must(200, asked(digest, repository))).text) as Purged
  const putIndex = (tag: string, children: readonly Digest[]) =>
    pushManifest(port, 'app', tag, indexOf(children.map(child)), MEDIA_TYPES.ociIndex)
  const digests = ({ manifests }: Purged) => manifests.map(({ digest }) => digest).sort()
  const isOnDisk = async (digest: Digest) => {
    const blobs = join(registry.directory, 'docker/registry/v2/blobs')
    const files = await Array.fromAsync(new Bun.Glob('**/*').scan({ cwd: blobs, onlyFiles: true }))
    return files.some((file) => file.includes(hexOf(digest)))
  }
  const statusOf = async (path: string) => (await ask(port, 'HEAD', `/v2/${path}`)).status
  const auditRows = () =>
    readFileSync(join(registry.directory, 'audit.log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('purged'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  const deletions: [string, (digest: Digest) => string][] = [
    ['a manifest that was deleted', (digest) => digest],
    ['a manifest whose last tag was deleted', () => 'v1'],
  ]
  test.each(deletions)('takes %s off the disk, and writes down who took it', async (_, referenceOf) => {
    const digest = await pushImage(port, 'app', 'v1')
    const bytes = bytesOf('config v1').length + bytesOf('layer v1').length
    await remove(referenceOf(digest))
    expect(await isOnDisk(layerOf('v1'))).toBe(true)
    expect(await purge(digest)).toEqual({
      ...{ name: 'app', digest, kept: [], manifests: [{ digest, size: expect.any(Number) }] },
      ...{ blobs: { count: 2, bytes }, unlinked: { count: 2, bytes } },
    } as never)
    expect([await isOnDisk(layerOf('v1')), await statusOf(`app/manifests/${digest}`)]).toEqual([false, 404])
    await within('the audit log', auditRows, (rows) => rows.length > 0)
    const row = { kind: 'change', account: '', asked: `app@${digest}`, outcome: 'done' }
    expect(auditRows()).toEqual([expect.objectContaining(row)])
    expect(auditRows()[0]?.detail).toBe(`purged: manifests: 1, blobs: 2 of ${bytes} bytes`)
  })

  const shares: [string, (digest: Digest) => Promise<unknown>][] = [
    [
      'another image of the repository has',
      () => pushManifest(port, 'app', 'v2', `${imageManifest('config v1', ['layer v1'])}\n`),
    ],
    ['another repository has', () => pushImage(port, 'other', 'v1')],
    ['was asked for since', () => must(200, ask(port, 'HEAD', `/v2/app/blobs/${layerOf('v1')}`))],
    [
      'was mounted since',
      () => must(201, ask(port, 'POST', `/v2/other/blobs/uploads/?mount=${layerOf('v1')}&from=app`, { body: '' })),
    ],
    ['was uploaded since', () => pushBlob(port, 'app', 'layer v1')],
  ]
  test.each(shares)('leaves a layer that %s', async (_, share) => {
    const digest = await pushImage(port, 'app', 'v1')
    await remove(digest)
    await share(digest)
    const { manifests } = await purge(digest)
    expect([manifests.length, await isOnDisk(layerOf('v1'))]).toEqual([1, true])
    const found = await Promise.all(['app', 'other'].map((name) => statusOf(`${name}/blobs/${layerOf('v1')}`)))
    expect(found).toContain(200)
  })

  test.each([
    ['leaves a layer that was asked for', 'after', [200, true]],
    ['takes a layer that was asked for', 'before', [404, false]],
  ] as const)('%s %s the last tag was deleted, while the manifest still needed it', async (_, when, expected) => {
    const look = () => must(200, ask(port, 'HEAD', `/v2/app/blobs/${layerOf('v1')}`))
    const digest = await pushImage(port, 'app', 'v1')
    await look()
    ahead += 1000
    await remove('v1')
    if (when === 'after') await look()
    expect((await purge(digest)).manifests).toHaveLength(1)
    // Asking for it by GET holds nothing.
    const { status } = await ask(port, 'GET', `/v2/app/blobs/${layerOf('v1')}`)
    expect([status, await isOnDisk(layerOf('v1'))]).toEqual([...expected])
  })

  test('takes an index with the children and referrers that went with it', async () => {
    const children = [await pushImage(port, 'app', 'amd'), await pushImage(port, 'app', 'arm')]
    const index = await putIndex('all', children)
    await pushBlob(port, 'app', 'signature')
    const subject = { mediaType: MEDIA_TYPES.ociIndex, digest: index, size: indexOf(children.map(child)).length }
    const signature = imageManifest('signature', [], { subject })
    const signed = digestOf(bytesOf(signature))
    await pushManifest(port, 'app', signed, signature)
    await remove('amd')
    await remove('arm')
    await remove(index)
    const purged = await purge(index)
    expect([digests(purged), purged.kept]).toEqual([[index, signed, ...children].sort(), []])
    expect(purged.unlinked).toEqual({ ...purged.blobs, count: 5 })
    for (const seed of ['amd', 'arm']) expect(await isOnDisk(layerOf(seed))).toBe(false)
  })

  test('leaves a child that has a tag, or that another index names, and says so', async () => {
    const [amd, arm, own] = [
      await pushImage(port, 'app', 'amd'),
      await pushImage(port, 'app', 'arm'),
      await pushImage(port, 'app', 'own'),
    ]
    const index = await putIndex('all', [amd, arm, own])
    const other = await putIndex('other', [arm])
    await remove('arm')
    await remove('own')
    await remove(index)
    const purged = await purge(index)
    expect(digests(purged)).toEqual([index, own].sort())
    const inUse = [amd, arm].map((digest) => ({ digest, why: 'in-use' }))
    expect(purged.kept.sort((a, b) => a.digest.localeCompare(b.digest))).toEqual(
      inUse.sort((a, b) => a.digest.localeCompare(b.digest)),
    )
    expect([await statusOf('app/manifests/amd'), await statusOf(`app/manifests/${other}`)]).toEqual([200, 200])
    for (const seed of ['amd', 'arm']) expect(await isOnDisk(layerOf(seed))).toBe(true)
  })

  test('leaves what an index in the trash would come back without, until that goes', async () => {
    const shared = await pushImage(port, 'app', 'shared')
    const first = await putIndex('first', [shared])
    const second = await pushManifest(port, 'app', 'second', `${indexOf([child(shared)])}\n`, MEDIA_TYPES.ociIndex)
    await remove('shared')
    await remove(first)
    await remove(second)
    const kept = [{ digest: shared, why: 'named-in-trash' }]
    expect(await purge(first)).toMatchObject({
      ...{ manifests: [{ digest: first }], blobs: { count: 0 } },
      kept: [{ digest: shared, why: 'another-deletion' }],
    })
    expect(await isOnDisk(layerOf('shared'))).toBe(true)
    expect(await purge(shared)).toMatchObject({ manifests: [], kept })
    expect(digests(await purge(second))).toEqual([second, shared].sort())
    expect(await isOnDisk(layerOf('shared'))).toBe(false)
  })

  test('leaves a child that was deleted by itself, which can be restored', async () => {
    const single = await pushImage(port, 'app', 'single')
    const index = await putIndex('all', [single])
    await remove(single)
    await remove(index)
    expect(await purge(index)).toMatchObject({
      manifests: [{ digest: index }],
      kept: [{ digest: single, why: 'another-deletion' }],
    })
    expect(digests(await purge(single))).toEqual([single])
  })

  test('leaves an image that was pushed again, and of which an older deletion is in the trash', async () => {
    const digest = await pushImage(port, 'app', 'v1')
    await remove(digest)
    await pushImage(port, 'app', 'v1')
    expect(await purge(digest)).toMatchObject({ kept: [{ digest, why: 'in-use' }], blobs: { count: 0 } })
    expect([await statusOf('app/manifests/v1'), await isOnDisk(layerOf('v1'))]).toEqual([200, true])
  })

  test('knows nothing that no deletion left: what is there, what is in the trash of another repository', async () => {
    const digest = await pushImage(port, 'app', 'v1')
    await pushImage(port, 'other', 'v1')
    await remove(digest, 'other')
    for (const answer of [await asked(digest), await asked(digest, 'none'), await asked(layerOf('none'))]) {
      expect([answer.status, errorsOf(answer)]).toEqual([
        404,
        [
          {
            code: 'MANIFEST_UNKNOWN',
            message: 'the trash has no such manifest',
            detail: expect.stringMatching(/^no deletion left a manifest name=/),
          },
        ],
      ])
    }
    expect([await statusOf('app/manifests/v1'), auditRows()]).toEqual([200, []])
    expect(digests(await purge(digest, 'other'))).toEqual([digest])
    expect(codesOf(await asked(digest, 'other'))).toEqual(['MANIFEST_UNKNOWN'])
  })

  test.each([
    ['a tag', 'v1', 400, 'DIGEST_INVALID'],
    ['a short digest', 'sha256:abc', 400, 'DIGEST_INVALID'],
  ])('refuses %s', async (_, reference, status, code) => {
    const answer = await asked(reference)
    expect([answer.status, codesOf(answer)]).toEqual([status, [code]])
  })

  test('refuses every other method', async () => {
    const answer = await ask(port, 'GET', `/v2/app/_berth/trash/${layerOf('x')}`)
    expect([answer.status, answer.headers.allow]).toEqual([405, 'DELETE, OPTIONS'])
  })
})

describe('where tags are immutable', () => {
  let registry: TestRegistry
  let port: number
  beforeEach(async () => {
    registry = await startRegistry({
      change(config) {
        config.immutable = [{ name: 'releases', repositories: ['app'], tags: ['v*', 'all'] }]
      },
    })
    port = registry.port
  })
  afterEach(() => registry.stop())

  const asked = (method: 'DELETE', path: string) => ask(port, method, `/v2/app/${path}`)
  const purge = (digest: Digest) => asked('DELETE', `_berth/trash/${digest}`)
  const isWhole = async (reference: string, seed: string) =>
    await Promise.all([
      must(200, ask(port, 'GET', `/v2/app/manifests/${reference}`)),
      must(200, ask(port, 'GET', `/v2/app/blobs/${layerOf(seed)}`)),
    ])

  test('an image is neither deleted nor purged, by its tag or its digest', async () => {
    const digest = await pushImage(port, 'app', 'v1')
    for (const reference of ['v1', digest]) {
      expect(codesOf(await asked('DELETE', `manifests/${reference}`))).toEqual(['DENIED'])
      expect(codesOf(await purge(digest))).toEqual(['MANIFEST_UNKNOWN'])
    }
    await isWhole('v1', 'v1')
  })

  test('an index that is purged leaves the child that such a tag has, and the one that such an index names', async () => {
    const [tagged, named] = [await pushImage(port, 'app', 'v1'), await pushImage(port, 'app', 'free')]
    await pushManifest(port, 'app', 'all', `${indexOf([child(named)])}\n`, MEDIA_TYPES.ociIndex)
    const index = await pushManifest(port, 'app', 'both', indexOf([tagged, named].map(child)), MEDIA_TYPES.ociIndex)
    await must(202, asked('DELETE', 'manifests/free'))
    await must(202, asked('DELETE', `manifests/${index}`))
    const purged = JSON.parse((await must(200, purge(index))).text) as Purged
    expect(purged).toMatchObject({ manifests: [{ digest: index }], blobs: { count: 0 } })
    expect(purged.kept.map(({ why }) => why)).toEqual(['in-use', 'in-use'])
    await isWhole('v1', 'v1')
    await isWhole(named, 'free')
    await isWhole('all', 'free')
  })

  test('of an image that was deleted before such a tag had it, the burial goes alone', async () => {
    const digest = await pushImage(port, 'app', 'free')
    await must(202, asked('DELETE', `manifests/${digest}`))
    await pushManifest(port, 'app', 'v1', imageManifest('config free', ['layer free']))
    expect(JSON.parse((await must(200, purge(digest))).text)).toMatchObject({
      ...{ kept: [{ digest, why: 'in-use' }], blobs: { count: 0 } },
    })
    await isWhole('v1', 'free')
    expect(codesOf(await purge(digest))).toEqual(['MANIFEST_UNKNOWN'])
  })
})

test.each([
  ['read-only', { REGISTRY_STORAGE_MAINTENANCE_READONLY: '{"enabled": true}' }, 'the registry is read-only'],
  [
    'without deletion',
    { REGISTRY_STORAGE_DELETE_ENABLED: 'false' },
    'deleting is off; storage.delete.enabled turns it on',
  ],
])('nothing is purged while the registry is %s', async (_, env, detail) => {
  const registry = await startRegistry({ env })
  try {
    const answer = await ask(registry.port, 'DELETE', `/v2/app/_berth/trash/${layerOf('x')}`)
    expect([answer.status, errorsOf(answer)[0]?.detail]).toEqual([405, detail])
  } finally {
    await registry.stop()
  }
})
