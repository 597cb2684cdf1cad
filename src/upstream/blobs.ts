import type { Digest } from '../oci/digest.ts'
import { repositoryAccess } from '../oci/scope.ts'
import { bytesOf } from './body.ts'
import { checkedBytes, type Mismatch } from './content-check.ts'
import { UpstreamError } from './error.ts'
import type { RepositoryReference } from './reference.ts'
import type { Session } from './session.ts'
import { pause, RETRY_DELAY } from './transport.ts'
import { createUpload, placeOf, type UploadedBlob, type UploadOptions } from './upload.ts'

export interface Blobs {
  /** Bytes of the blob; undefined when the repository does not have it. */
  head(repository: RepositoryReference, digest: Digest): Promise<number | undefined>
  /**
   * The blob's bytes. Read to the end they are known to have the digest: the last read throws otherwise. A connection that
   * breaks off is taken up where it ended. `expected`: how many there must be, where that is known; no more are read.
   * @throws UpstreamError `not-found`, or `invalid` for other bytes
   */
  get(
    repository: RepositoryReference,
    digest: Digest,
    expected?: number,
  ): Promise<{ size: number | undefined; body: AsyncIterable<Uint8Array> }>
  /**
   * The blob's bytes from `start` on, unchecked: for whoever checks them himself. A connection that breaks off is taken up where it
   * ended. @throws UpstreamError
   */
  read(repository: RepositoryReference, digest: Digest, start: number): AsyncIterable<Uint8Array>
  /** The blob's bytes from `start` (inclusive) to `end` (exclusive), unchecked; undefined: the registry knows no ranges. */
  getRange(repository: RepositoryReference, digest: Digest, start: number, end: number): Promise<Uint8Array | undefined>
  /** Makes a blob of another repository of the registry one of this, without moving bytes; false when the registry would not. */
  mount(repository: RepositoryReference, digest: Digest, from: string): Promise<boolean>
  /**
   * Stores a blob, whose bytes are checked on their way. An upload that breaks off goes on where it ended, also one of an earlier
   * process, where the registry can. @throws UpstreamError `invalid` for bytes that do not have the digest
   */
  put(repository: RepositoryReference, blob: UploadedBlob): Promise<void>
  delete(repository: RepositoryReference, digest: Digest): Promise<void>
}

/** How often a download is taken up again without so many bytes in between. */
const RESUMPTIONS = 3
const PROGRESS = 16 * 1024

export function createBlobs(options: { session: Session } & UploadOptions): Blobs {
  const { session, signal, retryDelayMs = RETRY_DELAY, retries = RESUMPTIONS } = options
  const upload = createUpload(session, options)

  const targetOf = (target: RepositoryReference, digest: Digest, ...actions: string[]) => ({
    registry: target.registry,
    repository: target.repository,
    needed: repositoryAccess(target.repository, ...actions),
    what: `blob ${digest} of ${target.registry}/${target.repository}`,
    path: `${target.repository}/blobs/${digest}`,
  })

  async function open(repository: RepositoryReference, digest: Digest, start: number): Promise<Response> {
    const headers: Record<string, string> = start === 0 ? {} : { Range: `bytes=${start}-` }
    const expected = start === 0 ? [200] : [206, 200]
    return await session.request({ ...targetOf(repository, digest, 'pull'), method: 'GET', headers, expected })
  }

  /** From `start` on, in the answers of one registry after the other. */
  async function* resumed(
    repository: RepositoryReference,
    digest: Digest,
    start: number,
    first?: Response,
  ): AsyncIterable<Uint8Array> {
    const { what } = targetOf(repository, digest)
    let at = start
    let tries = 0
    let brokeAt = start
    let response = first
    for (;;) {
      try {
        response ??= await open(repository, digest, at)
        // An answer from the beginning in place of the rest: what is known already is passed over.
        let skip = response.status === 200 ? at : 0
        for await (const chunk of response.body ?? []) {
          const rest = skip >= chunk.byteLength ? undefined : chunk.subarray(skip)
          skip -= Math.min(skip, chunk.byteLength)
          if (rest === undefined) continue
          at += rest.byteLength
          // A few bytes each time would be no end.
          if (at - brokeAt >= PROGRESS) tries = 0
          yield rest
        }
        return
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason
        // Where nothing came yet, nothing broke off: it was asked often enough.
        const isOver = error instanceof UpstreamError && (error.fault !== 'network' || at === start)
        if (isOver) throw error
        if (++tries > retries) {
          const isSlow = error instanceof Error && error.name === 'TimeoutError'
          const reason = isSlow ? 'nothing came any more, or far too slowly,' : 'the connection broke off'
          throw new UpstreamError('network', `${what}: ${reason} after ${at} bytes`, { cause: error })
        }
        brokeAt = at
        response = undefined
        await pause(retryDelayMs * 2 ** (tries - 1), signal)
      }
    }
  }

  function verified(
    repository: RepositoryReference,
    digest: Digest,
    size: number | undefined,
    first: Response,
  ): AsyncIterable<Uint8Array> {
    const { what } = targetOf(repository, digest)
    const wrong = ({ found, bytes, digest: actual }: Mismatch) => {
      const other = `the registry sent other bytes (${bytes}, with the digest ${actual})`
      return new UpstreamError('invalid', `${what}: ${actual === undefined ? found : other}`, {
        hint: 'the blob is damaged there, or something in between changes it',
      })
    }
    return checkedBytes({ digest, size }, resumed(repository, digest, 0, first), wrong)
  }

  return {
    async head(repository, digest) {
      const response = await session.request({
        ...targetOf(repository, digest, 'pull'),
        method: 'HEAD',
        expected: [200, 404],
      })
      return response.status === 404 ? undefined : Number(response.headers.get('content-length') ?? 0)
    },

    async get(repository, digest, expected) {
      const response = await open(repository, digest, 0)
      const length = response.headers.get('content-length')
      const body = verified(repository, digest, expected, response)
      return { size: length === null ? undefined : Number(length), body }
    },

    read: (repository, digest, start) => resumed(repository, digest, start),

    async getRange(repository, digest, start, end) {
      const headers = { Range: `bytes=${start}-${end - 1}` }
      const response = await session.request({
        ...targetOf(repository, digest, 'pull'),
        method: 'GET',
        headers,
        expected: [200, 206, 416],
      })
      if (response.status !== 206) {
        await response.body?.cancel()
        return response.status === 416 ? new Uint8Array() : undefined
      }
      return await bytesOf(response, targetOf(repository, digest).what, end - start)
    },

    async mount(repository, digest, from) {
      const query = new URLSearchParams({ mount: digest, from })
      const target = targetOf(repository, digest, 'pull', 'push')
      const response = await session.request({
        ...target,
        needed: [...target.needed, ...repositoryAccess(from, 'pull')],
        path: `${repository.repository}/blobs/uploads/?${query}`,
        method: 'POST',
        expected: [201, 202],
      })
      await response.body?.cancel()
      if (response.status === 201) return true
      // It began an upload in its place, which nobody will go on with.
      await session
        .request({
          ...target,
          path: placeOf(response, target.what),
          method: 'DELETE',
          expected: [204, 202, 200, 404, 405],
        })
        .catch(() => {})
      return false
    },

    put: (repository, blob) => upload(targetOf(repository, blob.digest, 'pull', 'push'), blob),

    async delete(repository, digest) {
      const response = await session.request({
        ...targetOf(repository, digest, 'delete'),
        method: 'DELETE',
        expected: [202, 200, 204],
      })
      await response.body?.cancel()
    },
  }
}
