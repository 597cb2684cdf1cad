import { describe, expect, test } from 'bun:test'
import type { Metadata, StoredBlob, StoredManifest } from '../metadata/metadata.ts'
import { digestOf } from '../oci/digest.ts'
import type { Storage } from '../storage/storage.ts'
import { createBlobs } from './blobs.ts'
import { createManifests } from './manifests.ts'
import { createTurns } from './turns.ts'

/**
 * What memory holds may not outlive an acknowledged change, even if a read that began before the change ends after it.
 */

const digest = digestOf(Buffer.from('x'))
const now = () => 1

describe('a blob', () => {
  test('that is deleted while it is being looked up is not remembered', async () => {
    const slow = Promise.withResolvers<StoredBlob>()
    const answers: (Promise<StoredBlob> | undefined)[] = [slow.promise]
    const metadata = {
      blobs: { find: async () => await answers.shift(), unlink: async () => 'unlinked' },
    } as unknown as Metadata
    const storage = { open: async () => ({ kind: 'file', path: 'k', size: 1 }) } as unknown as Storage
    const blobs = createBlobs({ metadata, storage, now, delay: () => 1000, turns: createTurns() })
    const early = blobs.open('app', digest)
    await blobs.delete('app', digest)
    slow.resolve({ digest, size: 1, key: 'k', state: 'live' })
    expect((await early).size).toBe(1)
    await expect(blobs.open('app', digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  })

  test('is looked up once, until it is forgotten', async () => {
    let lookups = 0
    const find = async () => ({ digest, size: 1, key: `k${++lookups}`, state: 'live' })
    const metadata = { blobs: { find } } as unknown as Metadata
    const storage = { open: async (path: string) => ({ kind: 'file', path, size: 1 }) } as unknown as Storage
    const blobs = createBlobs({ metadata, storage, now, delay: () => 1000, turns: createTurns() })
    const path = async () => {
      const object = await blobs.open('app', digest)
      return object.kind === 'file' ? object.path : ''
    }
    expect([await path(), await path()]).toEqual(['k1', 'k1'])
    blobs.forget(digest)
    expect([await path(), await path()]).toEqual(['k2', 'k2'])
  })
})

describe('a manifest', () => {
  const stored = (text: string): StoredManifest => ({
    digest: digestOf(Buffer.from(text)),
    mediaType: 'application/vnd.oci.image.index.v1+json',
    bytes: Buffer.from(text),
  })
  const fresh = '{"schemaVersion":2,"manifests":[]}'
  const policy = { enabled: true, classes: [], allowsUrl: () => false, requiresChild: () => true }

  const changes: [string, (manifests: ReturnType<typeof createManifests>) => Promise<unknown>][] = [
    [
      'tagged anew',
      (manifests) =>
        manifests.put({
          repository: 'app',
          reference: 'v1',
          tags: [],
          bytes: Buffer.from(fresh),
          contentType: null,
          actor: '',
        }),
    ],
    [
      'tagged anew by ?tag=',
      (manifests) =>
        manifests.put({
          repository: 'app',
          reference: 'v2',
          tags: ['v1'],
          bytes: Buffer.from(fresh),
          contentType: null,
          actor: '',
        }),
    ],
    ['untagged', (manifests) => manifests.delete('app', 'v1', '')],
    ['deleted', (manifests) => manifests.delete('app', digest, '')],
  ]
  test.each(changes)('that is %s while its tag is being looked up is not remembered', async (_, change) => {
    const slow = Promise.withResolvers<StoredManifest>()
    const answers: (Promise<StoredManifest> | StoredManifest)[] = [slow.promise, stored('later')]
    const metadata = {
      manifests: {
        resolve: async () => await answers.shift(),
        put: async () => ({ stored: true }),
        delete: async () => ({ tags: ['v1'], freed: [] }),
      },
      tags: { delete: async () => digest },
    } as unknown as Metadata
    const manifests = createManifests({ metadata, policy: () => policy, now, onFreed: () => {} })
    const early = manifests.find('app', 'v1')
    await change(manifests)
    slow.resolve(stored('early'))
    expect(Buffer.from((await early).bytes).toString()).toBe('early')
    expect(Buffer.from((await manifests.find('app', 'v1')).bytes).toString()).toBe('later')
    // Now it is in memory, and comes without a promise.
    expect(manifests.find('app', 'v1')).not.toBeInstanceOf(Promise)
  })

  test('that is refused tells which blobs memory may be wrong about', async () => {
    const missing = [{ digest }]
    const metadata = { manifests: { put: async () => ({ stored: false, missing }) } } as unknown as Metadata
    const told: unknown[] = []
    const onMissing = (digests: unknown) => void told.push(digests)
    const manifests = createManifests({ metadata, policy: () => policy, now, onFreed() {}, onMissing })
    const pushed = { repository: 'app', reference: 'v1', tags: [], contentType: null, actor: '' }
    await expect(manifests.put({ ...pushed, bytes: Buffer.from(fresh) })).rejects.toMatchObject({ detail: digest })
    expect(told).toEqual([[digest]])
  })
})
