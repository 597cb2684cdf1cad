import { beforeEach, describe, expect, test } from 'bun:test'
import { blobReference, digest, type Opened, pushBlob, putManifest, REPOSITORY } from './examples.suite.ts'
import type { Metadata, Tally, UnneededPortion } from './metadata.ts'

const OTHER = 'team/other'

/** What a status counts by walking the queues, in portions. Blobs have 10 bytes each. */
export function collectionStatusSuite(opened: () => Opened): void {
  describe('a walk over', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    const image = (name: string, layers: readonly string[], repository = REPOSITORY) =>
      putManifest(metadata, name, { repository, references: layers.map((layer) => blobReference(digest(layer))) })
    const bury = (name: string) => metadata.manifests.delete(REPOSITORY, digest(name), { now: 7, actor: 'ann' })

    test('links that wait finds blobs that no manifest needs anywhere, each once', async () => {
      for (const name of ['b waits', 'a waits', 'waits here', 'needed there', 'the trash holds']) {
        await pushBlob(metadata, name)
      }
      for (const name of ['a waits', 'needed there']) await pushBlob(metadata, name, OTHER)
      await image('image', ['needed there'], OTHER)
      await image('old', ['the trash holds'])
      await bury('old')
      expect((await metadata.collection.status()).links).toBe(6)
      const all = { count: 3, bytes: 30 }
      expect(await metadata.collection.garbage(undefined, 100)).toEqual({ blobs: all, next: undefined })
      expect(await walked(metadata.collection.garbage)).toEqual({ all, portions: 7 })
    })

    test('the trash finds blobs that it alone keeps, each once', async () => {
      for (const name of ['a layer', 'b layer', 'shared', 'elsewhere']) await pushBlob(metadata, name)
      await pushBlob(metadata, 'elsewhere', OTHER)
      await image('one', ['a layer', 'shared', 'elsewhere'])
      await image('two', ['a layer', 'b layer'])
      await image('three', ['shared'])
      await image('four', ['elsewhere'], OTHER)
      for (const name of ['one', 'two']) await bury(name)
      const all = { count: 2, bytes: 20 }
      expect(await metadata.collection.heldByTrash(undefined, 100)).toEqual({ blobs: all, next: undefined })
      expect(await walked(metadata.collection.heldByTrash)).toEqual({ all, portions: 5 })
    })
  })
}

/** One candidate at a time. */
async function walked<Place>(
  look: (after: Place | undefined, limit: number) => Promise<UnneededPortion<Place>>,
): Promise<{ all: Tally; portions: number }> {
  const all = { count: 0, bytes: 0 }
  let portions = 0
  let after: Place | undefined
  do {
    const { blobs, next } = await look(after, 1)
    all.count += blobs.count
    all.bytes += blobs.bytes
    portions++
    after = next
  } while (after !== undefined)
  return { all, portions }
}
