import { beforeEach, describe, expect, test } from 'bun:test'
import { blobReference, type Opened, pushBlob, putManifest, upload } from './examples.suite.ts'
import type { Metadata, Totals } from './metadata.ts'

const NOTHING: Totals = {
  repositories: 0,
  tags: 0,
  manifests: 0,
  manifestBytes: 0,
  blobs: 0,
  blobBytes: 0,
  uploads: 0,
  uploadBytes: 0,
}

export function statusSuite(opened: () => Opened): void {
  describe('status', () => {
    let metadata: Metadata

    beforeEach(() => {
      metadata = opened().metadata
    })

    test('an empty database has nothing, in numbers', async () => {
      expect(await metadata.status.totals()).toEqual(NOTHING)
    })

    test('each thing counts once, with its bytes', async () => {
      const layer = await pushBlob(metadata, 'layer')
      const { blobs, blobBytes } = await metadata.status.totals()
      expect(blobs).toBe(1)
      expect(blobBytes).toBeGreaterThan(0)
      await putManifest(metadata, 'image', { tags: ['v1', 'v2'], references: [blobReference(layer)] })
      await metadata.uploads.start(upload({ size: 7 }))
      const totals = await metadata.status.totals()
      expect(totals).toEqual({
        ...NOTHING,
        repositories: 1,
        tags: 2,
        manifests: 1,
        manifestBytes: totals.manifestBytes,
        blobs: 1,
        blobBytes,
        uploads: 1,
        uploadBytes: 7,
      })
      expect(totals.manifestBytes).toBeGreaterThan(0)
    })

    test('a write of nothing changes nothing', async () => {
      await pushBlob(metadata, 'layer')
      const before = await metadata.status.totals()
      await metadata.status.write()
      expect(await metadata.status.totals()).toEqual(before)
    })
  })
}
