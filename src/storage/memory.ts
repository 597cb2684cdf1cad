import { type Algorithm, algorithmOf, type Digest, digestOf, hexOf, isDigest } from '../oci/digest.ts'
import { freshName, readName } from './quarantine-name.ts'
import { createRunningHashes } from './running-hash.ts'
import {
  type Hashed,
  type ListedObject,
  type OnBytes,
  type Storage,
  StorageError,
  type StoredUpload,
} from './storage.ts'

/** What outlives an instance, as a disk outlives a process. */
export interface MemoryContent {
  uploads: Map<string, { chunks: Uint8Array[]; size: number; modified: Date }>
  objects: Map<string, { bytes: Uint8Array; modified: Date }>
  quarantine: Map<string, { bytes: Uint8Array; modified: Date }>
}

export interface MemoryOptions {
  content?: MemoryContent
  now?: () => Date
}

export function emptyMemory(): MemoryContent {
  return { uploads: new Map(), objects: new Map(), quarantine: new Map() }
}

/** Storage in memory, for tests: nothing of it survives the process. A key is `<algorithm>/<hex>`, or that and `.<number>`. */
export function openMemory({ content = emptyMemory(), now = () => new Date() }: MemoryOptions = {}): Storage {
  const { uploads, objects, quarantine } = content
  const hashes = createRunningHashes()

  /** The upload cut to the size that its row tells. */
  const uploadAt = ({ id, size }: StoredUpload) => {
    const upload = uploads.get(id)
    if (upload === undefined) throw new StorageError('failed', 'the bytes of the upload are gone')
    if (upload.size < size) throw new StorageError('failed', `the upload has ${upload.size} bytes, not ${size}`)
    if (upload.size > size) {
      upload.chunks = [join(upload.chunks).slice(0, size)]
      upload.size = size
    }
    return upload
  }

  async function* list(): AsyncIterable<ListedObject> {
    for (const [key, { bytes, modified }] of objects) {
      yield { key, digest: digestOfKey(key), size: bytes.byteLength, modified }
    }
  }

  return {
    async begin(id) {
      if (uploads.has(id)) throw new StorageError('failed', 'an upload of that id is there already')
      uploads.set(id, { chunks: [], size: 0, modified: now() })
      return { id, size: 0, state: '' }
    },
    async append(upload, body, algorithm) {
      const kept = uploadAt(upload)
      const hash = hashes.resume(upload.id, upload.size, algorithm)
      let interrupted: unknown
      try {
        for await (const chunk of body) {
          hash?.update(chunk)
          kept.chunks.push(chunk.slice())
          kept.size += chunk.byteLength
        }
      } catch (error) {
        interrupted = error ?? new Error('the body ended early')
      }
      kept.modified = now()
      return { upload: { ...upload, size: kept.size }, digest: hash?.keep(kept.size), interrupted }
    },
    async sizeOf({ id }) {
      return uploads.get(id)?.size
    },
    async digest(upload, algorithm) {
      const hash = new Bun.CryptoHasher(algorithm)
      for (const chunk of uploadAt(upload).chunks) hash.update(chunk)
      return `${algorithm}:${hash.digest('hex')}`
    },
    async seal(upload, digest, avoid) {
      const key = freshKey(digest, avoid)
      objects.set(key, { bytes: join(uploadAt(upload).chunks), modified: now() })
      uploads.delete(upload.id)
      hashes.forget(upload.id)
      return key
    },
    async abort({ id }) {
      uploads.delete(id)
      hashes.forget(id)
    },
    async open(key) {
      const object = objects.get(key)
      if (object === undefined) return undefined
      const { bytes } = object
      return { kind: 'stream', size: bytes.byteLength, read: (start, end) => pieces(bytes.subarray(start, end)) }
    },
    async delete(key) {
      return objects.delete(key)
    },
    list,
    async *uploads() {
      for (const [id, { size, modified }] of uploads) yield { id, size, modified }
    },
    async *survey() {
      for await (const object of list()) yield { kind: 'object', ...object }
    },
    async objectsOf(digest) {
      return (await Array.fromAsync(list())).filter((object) => object.digest === digest)
    },
    async examine(keys) {
      return keys.map((key) => {
        const size = objects.get(key)?.bytes.byteLength
        return size === undefined ? undefined : { size, isLink: false, isReadable: true }
      })
    },
    async hash(key, algorithm, onBytes) {
      return await hashed(objects.get(key)?.bytes, algorithm, onBytes)
    },
    quarantine: {
      async put(key, digest, stamp) {
        const object = objects.get(key)
        if (object === undefined) return undefined
        const name = freshName({ key, digest, stamp }, (taken) => quarantine.has(taken))
        quarantine.set(name, object)
        objects.delete(key)
        return name
      },
      async *list() {
        for (const [name, { bytes }] of quarantine) {
          const read = readName(name)
          if (read !== undefined) yield { name, ...read, size: bytes.byteLength }
        }
      },
      async hash(name, algorithm, onBytes) {
        return await hashed(quarantine.get(name)?.bytes, algorithm, onBytes)
      },
      async restore(name, key) {
        const object = quarantine.get(name)
        if (object === undefined) return false
        objects.set(key, object)
        quarantine.delete(name)
        return true
      },
      async remove(name) {
        return quarantine.delete(name)
      },
      place: (name) => name,
    },
    async check() {},
    async close() {},
  }
}

async function hashed(
  bytes: Uint8Array | undefined,
  algorithm: Algorithm,
  onBytes: OnBytes,
): Promise<Hashed | undefined> {
  if (bytes === undefined) return undefined
  await onBytes(bytes.byteLength)
  return { kind: 'hashed', digest: digestOf(bytes, algorithm), size: bytes.byteLength }
}

function digestOfKey(key: string): Digest | undefined {
  const digest = key.replace('/', ':').replace(/\.\d+$/, '')
  return isDigest(digest) ? digest : undefined
}

function freshKey(digest: Digest, avoid: readonly string[]): string {
  const plain = `${algorithmOf(digest)}/${hexOf(digest)}`
  let key = plain
  for (let number = 1; avoid.includes(key); number++) key = `${plain}.${number}`
  return key
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Bun.concatArrayBuffers([...chunks]))
}

async function* pieces(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  const size = 64 * 1024
  for (let start = 0; start < bytes.byteLength; start += size) yield bytes.slice(start, start + size)
}
