import type { Metadata } from '../metadata/metadata.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { type MemoryContent, openMemory } from '../storage/memory.ts'
import type { Storage } from '../storage/storage.ts'
import { createBlobs } from './blobs.ts'
import { type CollectionMode, type Collector, createCollector } from './collect.ts'
import { NO_EVENTS } from './events.ts'
import { NOTHING_IMMUTABLE } from './immutable.ts'
import { createManifests } from './manifests.ts'
import { createRepositories, type Repositories } from './repositories.ts'
import { createSweep } from './sweep.ts'
import { createTrash, type Trash } from './trash.ts'
import { createTurns } from './turns.ts'
import { createUploads } from './uploads.ts'
import { createVerifier, type Verifier } from './verify.ts'

/**
 * The registry's own code over a real database and storage in memory, where nothing goes on by itself: each call of the
 * database and of the storage waits until a seeded driver lets it happen, alone. So unlinking, sealing and every row are
 * steps of their own, which interleave in any order, with crashes between any two and a clock that the driver steps.
 */

export const HOUR = 3_600_000
export const TERMS = { delay: HOUR, untagged: 24 * HOUR, window: 48 * HOUR, workers: 3 }
export const REPOSITORIES = ['a', 'b'] as const

/** What a run has in its hands. The database is empty, and no other run uses it. */
export interface World {
  metadata: Metadata
  /**
   * `taken again`: one process owns the storage, whose keys are made of the digest, and keeps caches. `never`: each operation
   * is a process of its own, with nothing shared but database and storage, whose keys are never given twice.
   */
  keys: 'taken again' | 'never'
}

/** Numbers in [0, 1), the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type Gate = (call: () => Promise<unknown>) => Promise<unknown>

/** Iterables, and what is no promise. */
const PASSING = ['list', 'uploads', 'survey', 'place']

/** The same methods, each of which passes the gate first, but for those of these names. */
function gated<T extends object>(target: T, gate: Gate, passing: readonly string[] = []): T {
  return new Proxy(target, {
    get(from, name) {
      const value: unknown = Reflect.get(from, name)
      if (typeof value === 'object' && value !== null) return gated(value, gate, passing)
      if (typeof value !== 'function' || passing.includes(String(name))) return value
      return (...args: unknown[]) => gate(() => Reflect.apply(value, from, args) as Promise<unknown>)
    },
  })
}

/** As an object store gives keys: each seal another one. */
function neverTwice(storage: Storage): Storage {
  const given = new Set<string>()
  return {
    ...storage,
    async seal(upload, digest, avoid) {
      const key = await storage.seal(upload, digest, [...avoid, ...given])
      given.add(key)
      return key
    },
  }
}

export interface Program {
  blobs: ReturnType<typeof createBlobs>
  uploads: ReturnType<typeof createUploads>
  manifests: ReturnType<typeof createManifests>
  collector: Collector
  sweep: ReturnType<typeof createSweep>
  repositories: Repositories
  trash: Trash
  verifier: Verifier
  metadata: Metadata
  /** Something else that waits for its turn. */
  step(work: () => Promise<void>): Promise<void>
}

/** Deletions of repositories by their batch: when they began, or began anew. */
export type BegunDeletions = Map<string, { repository: string; at: number }>

/** They take many steps, though these repositories have few manifests. */
function inPortions(metadata: Metadata, begun: BegunDeletions, now: () => number): Metadata {
  const { deletions } = metadata
  return {
    ...metadata,
    deletions: {
      ...deletions,
      async begin(name, deletion) {
        const deletionBegun = await deletions.begin(name, deletion)
        if (deletionBegun !== undefined) begun.set(deletionBegun.batch, { repository: name, at: now() })
        return deletionBegun
      },
      advance: (batch, step) => deletions.advance(batch, { ...step, limit: 2 }),
    },
  }
}

export function openStorage(content: MemoryContent, keys: World['keys'], now: () => number): Storage {
  const storage = openMemory({ content, now: () => new Date(now()) })
  return keys === 'never' ? neverTwice(storage) : storage
}

/** One process, with its caches and turns. */
export function startProgram(
  world: World,
  storage: Storage,
  gate: Gate,
  clock: { now: () => number; newId: () => string },
  deletions: BegunDeletions,
): Program {
  const { now, newId } = clock
  const metadata = gated(inPortions(world.metadata, deletions, now), gate, ['list'])
  const store = gated(storage, gate, PASSING)
  const turns = createTurns()
  const deps = { metadata, storage: store, now, turns }
  const blobs = createBlobs({ ...deps, delay: () => TERMS.delay })
  const uploads = createUploads({ ...deps, newId, bootId: 'boot', onBlob: blobs.forget })
  const policy = { enabled: true, allowsUrl: () => false, requiresChild: () => true, classes: [] }
  const onFreed = (digests: readonly Digest[]) => digests.forEach(blobs.forget)
  const manifests = createManifests({ ...{ metadata, now, policy: () => policy }, onFreed, onMissing: onFreed })
  // Nobody's time but the driver's: who waits for another one does so at the gate.
  const rest = async () => void (await gate(async () => {}))
  const waiting = { elapsed: () => 0, sleep: rest }
  const collector = createCollector({ ...deps, blobs, manifests, terms: () => TERMS, clock: waiting })
  const sweep = createSweep({ ...deps, blobs, uploads })
  const repositories = createRepositories({
    ...{ metadata, manifests, blobs, uploads, onFreed, onRenamed() {}, now, newId },
    ...{ immutable: NOTHING_IMMUTABLE, events: NO_EVENTS, pulls: { flush: async () => {}, moved() {} } },
  })
  const trash = createTrash({ metadata, manifests, now })
  const verifier = createVerifier({
    ...{ ...deps, blobs, manifests, uploads },
    ...{ policy: () => policy, uploadAge: () => 2 * HOUR },
  })
  const step = async (work: () => Promise<void>) => void (await gate(work))
  return { blobs, uploads, manifests, collector, sweep, repositories, trash, verifier, metadata, step }
}

export interface Image {
  name: string
  digest: Digest
  bytes: Uint8Array
  blobs: { digest: Digest; bytes: Uint8Array }[]
  children: Image[]
  subject: Image | undefined
}

const bytesOf = (text: string) => new TextEncoder().encode(text)
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const BLOB_NAMES = ['base', 'one', 'two', 'three']

/** A few images that share layers, an index, and what refers to them. */
export function makeImages(): Image[] {
  const image = (name: string, layers: readonly string[], subject?: Image): Image => {
    const blobs = [`config of ${name}`, ...layers].map((text) => ({
      bytes: bytesOf(text),
      digest: digestOf(bytesOf(text)),
    }))
    const described = blobs.map(({ bytes, digest }) => ({ mediaType: 'text/plain', digest, size: bytes.byteLength }))
    const manifest = {
      ...{ schemaVersion: 2, mediaType: MANIFEST, config: described[0], layers: described.slice(1) },
      ...(subject === undefined ? {} : { subject: { mediaType: MANIFEST, digest: subject.digest, size: 1 } }),
    }
    const bytes = bytesOf(JSON.stringify(manifest))
    return { name, digest: digestOf(bytes), bytes, blobs, children: [], subject }
  }
  const [base = '', one = '', two = '', three = ''] = BLOB_NAMES
  const first = image('first', [base, one])
  const second = image('second', [base, two])
  const third = image('third', [three])
  const entries = [first, second].map(({ digest, bytes }) => ({ mediaType: MANIFEST, digest, size: bytes.byteLength }))
  const indexBytes = bytesOf(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: entries }))
  const index: Image = {
    ...{
      name: 'index',
      digest: digestOf(indexBytes),
      bytes: indexBytes,
      blobs: [],
      children: [first, second],
      subject: undefined,
    },
  }
  const signature = image('signature', ['signed'], third)
  const indexSignature = image('index signature', ['signed'], index)
  return [first, second, third, index, signature, indexSignature]
}

export function isUnknown(error: unknown): boolean {
  return error instanceof RegistryError && /UNKNOWN|UNAVAILABLE|DENIED/.test(error.code)
}

export const ORDINARY: CollectionMode = { immediately: false, untagged: false }
export const MODES: readonly CollectionMode[] = [
  ORDINARY,
  { immediately: true, untagged: false },
  { immediately: false, untagged: true },
  { immediately: true, untagged: true },
]
