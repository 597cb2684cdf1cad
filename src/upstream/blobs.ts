import { createHash, type Hash } from 'node:crypto'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { repositoryAccess } from '../oci/scope.ts'
import { UpstreamError } from './error.ts'
import type { RepositoryReference } from './reference.ts'
import type { Session } from './session.ts'

export interface Blobs {
  /** Bytes of the blob; undefined when the repository does not have it. */
  head(repository: RepositoryReference, digest: Digest): Promise<number | undefined>
  /**
   * The blob's bytes. Read to the end they are known to have the digest: the last read throws otherwise. A connection that
   * breaks off is taken up where it ended. @throws UpstreamError `not-found`, or `invalid` for other bytes
   */
  get(
    repository: RepositoryReference,
    digest: Digest,
  ): Promise<{ size: number | undefined; body: AsyncIterable<Uint8Array> }>
  /** The blob's bytes from `start` (inclusive) to `end` (exclusive), unchecked; undefined: the registry knows no ranges. */
  getRange(repository: RepositoryReference, digest: Digest, start: number, end: number): Promise<Uint8Array | undefined>
  /** Makes a blob of another repository of the registry one of this, without moving bytes; false when the registry would not. */
  mount(repository: RepositoryReference, digest: Digest, from: string): Promise<boolean>
  /** Stores a blob in one streamed upload. `body` is made anew for each try. */
  put(
    repository: RepositoryReference,
    blob: { digest: Digest; size: number; body: () => AsyncIterable<Uint8Array> },
  ): Promise<void>
  delete(repository: RepositoryReference, digest: Digest): Promise<void>
}

/** How often a download is taken up again without a byte in between. */
const RESUMPTIONS = 3
/** How often an upload is begun. */
const UPLOADS = 2

export function createBlobs({ session }: { session: Session }): Blobs {
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

  async function* verified(
    repository: RepositoryReference,
    digest: Digest,
    first: Response,
  ): AsyncIterable<Uint8Array> {
    const { what } = targetOf(repository, digest)
    const hash: Hash = createHash(algorithmOf(digest))
    let response = first
    let at = 0
    let tries = 0
    for (;;) {
      // An answer from the beginning in place of the rest: what is known already is passed over.
      let skip = response.status === 200 ? at : 0
      try {
        for await (const chunk of response.body ?? []) {
          const rest = skip >= chunk.byteLength ? undefined : chunk.subarray(skip)
          skip -= Math.min(skip, chunk.byteLength)
          if (rest === undefined) continue
          tries = 0
          at += rest.byteLength
          hash.update(rest)
          yield rest
        }
        break
      } catch (error) {
        if (error instanceof UpstreamError || ++tries > RESUMPTIONS) {
          throw new UpstreamError('network', `${what}: the connection broke off after ${at} bytes`, { cause: error })
        }
        response = await open(repository, digest, at)
      }
    }
    const actual = `${algorithmOf(digest)}:${hash.digest('hex')}`
    if (actual !== digest) {
      throw new UpstreamError('invalid', `${what}: the registry sent other bytes (${at}, with the digest ${actual})`, {
        hint: 'the blob is damaged there, or something in between changes it',
      })
    }
  }

  /** Where an upload's next request goes; relative to the registry where it says so. */
  function placeOf(response: Response, what: string): string {
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

  return {
    async head(repository, digest) {
      const response = await session.request({
        ...targetOf(repository, digest, 'pull'),
        method: 'HEAD',
        expected: [200, 404],
      })
      return response.status === 404 ? undefined : Number(response.headers.get('content-length') ?? 0)
    },

    async get(repository, digest) {
      const response = await open(repository, digest, 0)
      const length = response.headers.get('content-length')
      return { size: length === null ? undefined : Number(length), body: verified(repository, digest, response) }
    },

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
      return new Uint8Array(await response.arrayBuffer())
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

    async put(repository, { digest, size, body }) {
      const target = targetOf(repository, digest, 'pull', 'push')
      for (let attempt = 1; ; attempt++) {
        try {
          const begun = await session.request({
            ...target,
            path: `${repository.repository}/blobs/uploads/`,
            method: 'POST',
            headers: { 'Content-Length': '0' },
            expected: [202],
          })
          await begun.body?.cancel()
          const sent = await session.request({
            ...target,
            path: placeOf(begun, target.what),
            method: 'PATCH',
            headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) },
            body: () => streamOf(body()),
            expected: [202, 204, 201],
          })
          await sent.body?.cancel()
          const place = placeOf(sent, target.what)
          const done = await session.request({
            ...target,
            path: `${place}${place.includes('?') ? '&' : '?'}${new URLSearchParams({ digest })}`,
            method: 'PUT',
            headers: { 'Content-Length': '0' },
            expected: [201, 204],
          })
          await done.body?.cancel()
          return
        } catch (error) {
          const isPassing = error instanceof UpstreamError && error.fault === 'network'
          if (!isPassing || attempt >= UPLOADS) throw error
        }
      }
    },

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

/** At the speed of whoever reads it. */
function streamOf(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await iterator.return?.()
    },
  })
}
