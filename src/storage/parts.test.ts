import { createObjectStore, PART_BYTES } from './object-store.fixture.ts'
import { openParts } from './parts.fixture.ts'
import { storageSuite } from './storage.suite.ts'

storageSuite('an object store of immutable parts', async () => {
  const store = createObjectStore()
  let keys = 0
  const newKey = () => `key-${++keys}`
  return {
    storage: openParts(store, newKey),
    reopen: async () => openParts(store, newKey),
    stored: () => store.stored(),
    readAhead: PART_BYTES,
    dispose: async () => {},
  }
})
