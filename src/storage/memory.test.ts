import { expect, test } from 'bun:test'
import { digestOf } from '../oci/digest.ts'
import { emptyMemory, openMemory } from './memory.ts'
import { body, content } from './storage.fixture.ts'
import { storageSuite } from './storage.suite.ts'

storageSuite('memory', async () => {
  const content = emptyMemory()
  return {
    storage: openMemory({ content }),
    reopen: async () => openMemory({ content }),
    stored: (id) => content.uploads.get(id)?.size ?? 0,
    readAhead: 64 * 1024,
    dispose: async () => {},
  }
})

test('an object has the time at which it was sealed', async () => {
  const storage = openMemory({ now: () => new Date(5_000) })
  const { upload } = await storage.append(await storage.begin('timed'), body([content(3, 1)]), 'sha256')
  const key = await storage.seal(upload, digestOf(content(3, 1)), [])
  expect(await Array.fromAsync(storage.list())).toEqual([
    { key, digest: digestOf(content(3, 1)), size: 3, modified: new Date(5_000) },
  ])
})
