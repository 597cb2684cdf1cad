import { createHash, type Hash } from 'node:crypto'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import type { Access } from '../oci/scope.ts'
import { UpstreamError } from './error.ts'
import type { Session } from './session.ts'
import { isPassing, pause, RETRY_DELAY } from './transport.ts'

export interface UploadedBlob {
  digest: Digest
  /** Bytes. */
  size: number
  /** Its bytes from this one on; called again after each break. */
  open(start: number): AsyncIterable<Uint8Array>
  /** Told how many bytes of it are under way or there. */
  onProgress?: (bytes: number) => void
}

/** Uploads that were begun and not ended, for a later process to go on with. */
export interface UploadMemory {
  find(upload: UploadKey): string | undefined
  /** `place`: the URL or path that the registry named last. */
  keep(upload: UploadKey, place: string): void
  forget(upload: UploadKey): void
}

export interface UploadKey {
  registry: string
  repository: string
  digest: Digest
}

export interface UploadOptions {
  /** Ends everything. What an upload has sent by then is ended properly, so that it can go on later. */
  signal?: AbortSignal | undefined
  uploads?: UploadMemory | undefined
  /** Milliseconds before an upload is taken up again; each further time it waits twice as long. */
  retryDelayMs?: number | undefined
  /** How often what broke off is taken up again. */
  retries?: number | undefined
}

export interface UploadTarget {
  registry: string
  repository: string
  needed: readonly Access[]
  what: string
}

/** How often an upload is taken up again without a further byte in between. */
const RESUMPTIONS = 4
/** The same, where it says itself that it is busy: as for all other questions. */
const BUSY = 2
/** Bytes from which on an upload is worth remembering. */
const MEMORABLE = 1024 * 1024
/** Milliseconds for the registry to answer to what it has, after an interrupt. */
const LAST_WORDS = 3000
/** Bytes a second at which a registry reads again, in the worst case, what it got (its last answer may wait for that). */
const COMMIT_RATE = 10 * 1024 * 1024

/** Bytes on their way into one blob. */
interface Passage {
  hash: Hash
  /** Bytes from the first on that the hash has seen. */
  hashed: number
  /** The fault of whoever gives the bytes, in place of that of the connection which it breaks. */
  fault: unknown
}

export function createUpload(
  session: Session,
  { signal, uploads, retryDelayMs = RETRY_DELAY, retries = RESUMPTIONS }: UploadOptions,
): (target: UploadTarget, blob: UploadedBlob) => Promise<void> {
  async function begin(target: UploadTarget): Promise<string> {
    const response = await session.request({
      ...target,
      path: `${target.repository}/blobs/uploads/`,
      method: 'POST',
      headers: { 'Content-Length': '0' },
      expected: [202],
    })
    await response.body?.cancel()
    return placeOf(response, target.what)
  }

  /** Bytes that the registry has of it; undefined: it cannot go on. OCI Distribution Specification 1.1, "Pushing a blob in chunks". */
  async function askState(target: UploadTarget, place: string): Promise<{ place: string; at: number } | undefined> {
    try {
      const asked = { ...target, path: place, method: 'GET', expected: [204, 202], repeatable: false } as const
      const response = await session.request(asked)
      await response.body?.cancel()
      const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(response.headers.get('range') ?? '')?.[1]
      // `0-0` is none or one: not worth telling apart.
      if (last === undefined || last === '0') return undefined
      return { place: response.headers.has('location') ? placeOf(response, target.what) : place, at: Number(last) + 1 }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      if (error instanceof UpstreamError && error.fault !== 'network') return undefined
      throw error
    }
  }

  async function send(target: UploadTarget, blob: UploadedBlob, place: string, at: number, passage: Passage) {
    // An interrupt ends the body, not the request: the registry keeps what it has, and says where to go on.
    const patience = new AbortController()
    let timer: Timer | undefined
    const onInterrupt = () => {
      timer = setTimeout(() => patience.abort(signal?.reason), LAST_WORDS)
    }
    signal?.addEventListener('abort', onInterrupt, { once: true })
    try {
      const response = await session.request({
        ...target,
        path: place,
        method: 'PATCH',
        headers: { 'Content-Type': 'application/octet-stream' },
        body: () => bodyOf(target, blob, at, passage, signal),
        expected: [202, 204, 201],
        signal: patience.signal,
      })
      await response.body?.cancel()
      return placeOf(response, target.what)
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onInterrupt)
    }
  }

  async function commit(target: UploadTarget, { digest, size }: UploadedBlob, place: string): Promise<void> {
    const response = await session.request({
      ...target,
      path: `${place}${place.includes('?') ? '&' : '?'}${new URLSearchParams({ digest })}`,
      method: 'PUT',
      headers: { 'Content-Length': '0' },
      expected: [201, 204],
      extraMs: (size * 1000) / COMMIT_RATE,
    })
    await response.body?.cancel()
  }

  async function isThere(target: UploadTarget, { digest }: UploadedBlob): Promise<boolean> {
    const path = `${target.repository}/blobs/${digest}`
    const asked = { ...target, path, method: 'HEAD', expected: [200, 404], repeatable: false } as const
    const response = await session.request(asked)
    return response.status === 200
  }

  return async (target, blob) => {
    const { digest, size } = blob
    const key: UploadKey = { registry: target.registry, repository: target.repository, digest }
    const passage: Passage = { hash: createHash(algorithmOf(digest)), hashed: 0, fault: undefined }
    let place = uploads?.find(key)
    let isOld = place !== undefined
    let at: number | undefined
    let furthest = 0
    /** The registry may have it whole, and its answer got lost. */
    let isEnding = false
    for (let failures = 0; ; ) {
      try {
        if (place !== undefined && at === undefined) {
          const state = await askState(target, place)
          at = state === undefined || state.at > size ? undefined : state.at
          place = at === undefined ? undefined : state?.place
        }
        if (place === undefined || at === undefined) {
          isOld = false
          place = await begin(target)
          at = 0
        }
        if (size >= MEMORABLE) uploads?.keep(key, place)
        if (at > furthest) {
          furthest = at
          failures = 0
        }
        // Nothing is sent of an empty blob, and of one that is there already up to its end.
        if (at < size) place = await send(target, blob, place, at, passage)
        if (size >= MEMORABLE) uploads?.keep(key, place)
        if (signal?.aborted === true) throw signal.reason
        mustMatch(target.what, blob, passage)
        isEnding = true
        await commit(target, blob, place)
        uploads?.forget(key)
        return
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason
        if (passage.fault !== undefined) throw passage.fault
        const isBusy = error instanceof UpstreamError && isPassing(error.status)
        const isRefused = error instanceof UpstreamError && error.fault !== 'network' && !isBusy
        // What an earlier process sent was not checked by this one.
        if (isRefused && isOld) place = undefined
        else if (isRefused && at !== undefined && at > 0 && (error.status === 404 || error.status === 416)) {
          // It went on, and yet it cannot.
          place = undefined
          if (++failures > retries) throw error
        } else if (isRefused) {
          uploads?.forget(key)
          throw error
        } else if (++failures > (isBusy ? BUSY : retries)) throw error
        else if (isEnding && (await isThere(target, blob).catch(() => false))) {
          uploads?.forget(key)
          return
        }
        at = undefined
        if (failures > 0) await pause(retryDelayMs * 2 ** (failures - 1), signal)
      }
    }
  }
}

/** @throws UpstreamError `invalid`; bytes that were not seen are the registry's to check (it has to, at the end of an upload) */
function mustMatch(what: string, { digest, size }: UploadedBlob, { hash, hashed }: Passage): void {
  if (hashed !== size) return
  const actual = `${algorithmOf(digest)}:${hash.copy().digest('hex')}`
  if (actual !== digest) {
    throw new UpstreamError('invalid', `${what}: its source gave other bytes, with the digest ${actual}`, {
      hint: 'the blob is damaged at the source; nothing was stored',
    })
  }
}

/** At the speed of whoever reads it. */
function bodyOf(
  { what }: UploadTarget,
  { size, open, onProgress }: UploadedBlob,
  start: number,
  passage: Passage,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const iterator = open(start)[Symbol.asyncIterator]()
  let at = start
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = signal?.aborted === true ? { done: true, value: undefined } : await iterator.next()
          if (done === true || value === undefined) {
            if (at < size && signal?.aborted !== true) throw wrongSize(what, size, at)
            controller.close()
            return
          }
          if (at + value.byteLength > size) throw wrongSize(what, size, undefined)
          // What is sent a second time was seen the first time.
          const unseen = passage.hashed - at
          if (unseen >= 0 && unseen < value.byteLength) {
            passage.hash.update(value.subarray(unseen))
            passage.hashed = at + value.byteLength
          }
          at += value.byteLength
          onProgress?.(at)
          controller.enqueue(value)
        } catch (error) {
          if (signal?.aborted === true) {
            controller.close()
            return
          }
          passage.fault = error
          throw error
        }
      },
      async cancel() {
        await iterator.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}

function wrongSize(what: string, size: number, actual: number | undefined): UpstreamError {
  const found = actual === undefined ? 'has more' : `has ${actual}`
  return new UpstreamError('invalid', `${what}: its manifest says ${size} bytes, and its source ${found}`)
}

/** Where an upload's next request goes; relative to the registry where it says so. @throws UpstreamError `invalid` */
export function placeOf(response: Response, what: string): string {
  const location = response.headers.get('location')
  if (location === null) throw new UpstreamError('invalid', `${what}: the registry names no place for the upload`)
  if (/^https?:\/\//i.test(location)) return location
  const at = location.indexOf('/v2/')
  if (at === -1)
    throw new UpstreamError(
      'invalid',
      `${what}: the registry names ${JSON.stringify(location.slice(0, 200))} as the place of the upload`,
    )
  return location.slice(at + '/v2/'.length)
}
