/**
 * For tests only: storage over something that behaves like an object store, to prove that the interface fits one.
 * Such a store has no append, no rename and no change in place; bytes come as immutable parts of a least size, and an
 * object's key is given when its upload begins.
 */
import { type Algorithm, type Digest, digestOf } from '../oci/digest.ts'
import { type ObjectStore, PART_BYTES } from './object-store.fixture.ts'
import { freshName, readName } from './quarantine-name.ts'
import { createRunningHashes } from './running-hash.ts'
import { type Hashed, type OnBytes, type Storage, StorageError, type StoredUpload } from './storage.ts'

/** An upload's `state`: everything that another instance needs to go on. */
interface State {
  id: string
  key: string
  session: string
  /** Numbers of the parts that count; others of the session came from appends whose end nobody recorded. */
  parts: number[]
  /** Key of what is too short for a part, until more comes. */
  tail: string | undefined
}

export function openParts(store: ObjectStore, newKey: () => string): Storage {
  const hashes = createRunningHashes()

  const start = (id: string): State => {
    const key = `blobs/${newKey()}`
    return { id, key, session: store.startParts(key), parts: [], tail: undefined }
  }

  /** Parts cannot be read back: `digest` completes the object early, and this marks that it is not sealed for that. */
  const markOf = ({ id, session }: State) => `marks/${id}/${session}`
  const isCompleted = (state: State) =>
    store.get(markOf(state)) !== undefined && store.parts(state.session) === undefined

  const sizeOf = (state: State): number | undefined => {
    if (isCompleted(state)) return store.get(state.key)?.bytes.byteLength
    const present = store.parts(state.session)
    if (present === undefined) return undefined
    const tail = state.tail === undefined ? 0 : (store.get(state.tail)?.bytes.byteLength ?? 0)
    return state.parts.reduce((sum, number) => sum + (present.get(number) ?? 0), tail)
  }

  const checked = (upload: StoredUpload): State => {
    const state = stateOf(upload)
    const size = sizeOf(state)
    if (size === upload.size) return state
    throw new StorageError('failed', `the upload has ${size ?? 'no'} bytes, not ${upload.size}: some were lost`)
  }

  const complete = (state: State) => {
    if (isCompleted(state)) return
    const tail = state.tail === undefined ? undefined : store.get(state.tail)?.bytes
    const parts = [...state.parts]
    if (tail !== undefined) {
      const number = lastPart(store, state) + 1
      store.putPart(state.session, number, tail)
      parts.push(number)
    }
    if (parts.length > 0) return store.complete(state.session, parts)
    store.put(state.key, new Uint8Array(0))
    store.dropParts(state.session)
  }

  const drop = ({ id, session }: State) => {
    store.dropParts(session)
    for (const key of [...store.keys(`tails/${id}/`), ...store.keys(`marks/${id}/`)]) store.delete(key)
    hashes.forget(id)
  }

  /** Where an append begins: the upload as it is, or a new one that begins with the object which `digest` completed. */
  const reopened = (state: State): { state: State; before: Uint8Array | undefined } => {
    if (isCompleted(state)) return { state: start(state.id), before: store.get(state.key)?.bytes }
    return { state, before: state.tail === undefined ? undefined : store.get(state.tail)?.bytes }
  }

  return {
    async begin(id) {
      return { id, size: 0, state: JSON.stringify(start(id)) }
    },
    async append(upload, body, algorithm) {
      const recorded = checked(upload)
      const hash = hashes.resume(upload.id, upload.size, algorithm)
      // The recorded tail stays until the next append: the row of this one may never be written.
      for (const key of store.keys(`tails/${upload.id}/`)) if (key !== recorded.tail) store.delete(key)
      const { state, before } = reopened(recorded)
      const parts = [...state.parts]
      let number = lastPart(store, state)
      let { size } = upload
      let waiting: Uint8Array[] = []
      let waitingBytes = 0
      const take = (bytes: Uint8Array) => {
        waiting.push(bytes)
        waitingBytes += bytes.byteLength
        if (waitingBytes < PART_BYTES) return
        store.putPart(state.session, ++number, join(waiting))
        parts.push(number)
        waiting = []
        waitingBytes = 0
      }
      let interrupted: unknown
      if (before !== undefined) take(before)
      try {
        for await (const chunk of body) {
          hash?.update(chunk)
          size += chunk.byteLength
          take(chunk.slice())
        }
      } catch (error) {
        interrupted = error ?? new Error('the body ended early')
      }
      const tail = waitingBytes === 0 ? undefined : `tails/${upload.id}/${newKey()}`
      if (tail !== undefined) store.put(tail, join(waiting))
      const after: State = { ...state, parts, tail }
      return { upload: { ...upload, size, state: JSON.stringify(after) }, digest: hash?.keep(size), interrupted }
    },
    async sizeOf(upload) {
      return sizeOf(stateOf(upload))
    },
    async digest(upload, algorithm) {
      const state = checked(upload)
      if (!isCompleted(state)) {
        store.put(markOf(state), new Uint8Array(0))
        complete(state)
      }
      return digestOfObject(store, state.key, algorithm)
    },
    async seal(upload) {
      const state = checked(upload)
      complete(state)
      drop(state)
      return state.key
    },
    async abort(upload) {
      const state = stateOf(upload)
      if (isCompleted(state)) store.delete(state.key)
      drop(state)
    },
    async open(key) {
      const bytes = store.get(key)?.bytes
      if (bytes === undefined) return undefined
      return { kind: 'stream', size: bytes.byteLength, read: (from, end) => one(bytes.slice(from, end)) }
    },
    async delete(key) {
      return store.delete(key)
    },
    async *list() {
      for (const key of store.keys('blobs/')) {
        const found = store.get(key)
        if (found !== undefined) {
          yield { key, digest: undefined, size: found.bytes.byteLength, modified: found.modified }
        }
      }
    },
    async *survey() {
      for (const key of store.keys('blobs/')) {
        const found = store.get(key)
        const { bytes, modified } = found ?? { bytes: undefined, modified: undefined }
        if (bytes === undefined) continue
        yield { kind: 'object', key, digest: undefined, size: bytes.byteLength, modified }
      }
    },
    // A key tells nothing of what is under it.
    objectsOf: async () => [],
    async examine(keys) {
      return keys.map((key) => {
        const size = store.get(key)?.bytes.byteLength
        return size === undefined ? undefined : { size, isLink: false, isReadable: true }
      })
    },
    hash: (key, algorithm, onBytes) => hashed(store, key, algorithm, onBytes),
    quarantine: {
      async put(key, digest, stamp) {
        const bytes = store.get(key)?.bytes
        if (bytes === undefined) return undefined
        const name = freshName({ key, digest, stamp }, (taken) => store.get(`quarantine/${taken}`) !== undefined)
        store.put(`quarantine/${name}`, bytes)
        store.delete(key)
        return name
      },
      async *list() {
        for (const key of store.keys('quarantine/')) {
          const name = key.slice('quarantine/'.length)
          const read = readName(name)
          if (read !== undefined) yield { name, ...read, size: store.get(key)?.bytes.byteLength ?? 0 }
        }
      },
      hash: (name, algorithm, onBytes) => hashed(store, `quarantine/${name}`, algorithm, onBytes),
      async restore(name, key) {
        const bytes = store.get(`quarantine/${name}`)?.bytes
        if (bytes === undefined) return false
        store.delete(key)
        store.put(key, bytes)
        return store.delete(`quarantine/${name}`)
      },
      async remove(name) {
        return store.delete(`quarantine/${name}`)
      },
      place: (name) => `quarantine/${name}`,
    },
    // Parts that nobody finishes are the store's own to expire.
    async *uploads() {},
    async check() {},
    async close() {},
  }
}

function stateOf({ state }: StoredUpload): State {
  return JSON.parse(state)
}

/** Numbers go on after every part of the session, for one that was put is not put again. */
function lastPart(store: ObjectStore, { session }: State): number {
  return Math.max(0, ...(store.parts(session)?.keys() ?? []))
}

function digestOfObject(store: ObjectStore, key: string, algorithm: Algorithm): Digest {
  const bytes = store.get(key)?.bytes
  if (bytes === undefined) throw new StorageError('failed', 'the bytes of the upload are gone')
  return `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest('hex')}`
}

async function hashed(
  store: ObjectStore,
  key: string,
  algorithm: Algorithm,
  onBytes: OnBytes,
): Promise<Hashed | undefined> {
  const bytes = store.get(key)?.bytes
  if (bytes === undefined) return undefined
  await onBytes(bytes.byteLength)
  return { kind: 'hashed', digest: digestOf(bytes, algorithm), size: bytes.byteLength }
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Bun.concatArrayBuffers([...chunks]))
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
