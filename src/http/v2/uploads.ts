import { isAlgorithm, isDigest, parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/error.ts'
import { isRepositoryName } from '../../oci/name.ts'
import { formatUploadRange, parseContentRange } from '../../oci/range.ts'
import { pullable } from '../../oci/scope.ts'
import type { Blobs } from '../../registry/blobs.ts'
import type { Chunk, Upload, Uploads } from '../../registry/uploads.ts'
import { streamBody } from '../body.ts'
import type { Call, Handler } from '../call.ts'
import { errorResponse } from '../errors.ts'
import { causeOf } from '../event-cause.ts'

export interface UploadHandlers {
  start: Handler
  status: Handler
  append: Handler
  finish: Handler
  cancel: Handler
}

/** OCI Distribution Specification 1.1, "Pushing blobs" (end-4a to end-6, end-11, end-13, end-14). */
export function createUploadHandlers(deps: {
  uploads: Uploads
  blobs: Blobs
  /** Bytes; advertised as OCI-Chunk-Min-Length unless 0. */
  chunkMinLength: number
}): UploadHandlers {
  const { uploads, blobs, chunkMinLength } = deps

  /** "Mounting a blob from another repository": only from where the caller may pull. */
  async function tryMount(call: Call, digest: string): Promise<boolean> {
    const { name, query, subject } = call
    if (!isDigest(digest)) return false
    const cause = () => causeOf(call)
    const from = query.get('from')
    // The route's access asked for pull on `from`; without it the registry looks where the caller may pull anyway.
    if (from !== null) return isRepositoryName(from) && (await blobs.mount(digest, [from], name, cause))
    const { granted } = subject
    if (granted === 'everything') return await blobs.mount(digest, 'any', name, cause)
    return await blobs.mount(digest, pullable(granted), name, cause)
  }

  return {
    async start(call) {
      const { name, query } = call
      const mount = query.get('mount')
      if (mount !== null && (await tryMount(call, mount))) return created(call, mount)
      const digest = query.get('digest')
      if (digest !== null) {
        const wanted = parseDigest(digest)
        call.unhurried()
        const { id } = await uploads.start(name)
        try {
          await uploads.finish(name, id, wanted, wholeBody(call), () => causeOf(call))
        } catch (error) {
          await uploads.cancel(name, id).catch(() => {})
          throw error
        }
        return created(call, wanted)
      }
      const response = accepted(call, await uploads.start(name))
      if (chunkMinLength > 0) response.headers.set('OCI-Chunk-Min-Length', String(chunkMinLength))
      return response
    },

    async status(call) {
      return progress(call, await uploads.status(call.name, call.reference), 204)
    },

    append: (call) =>
      inOrder(call, async () => {
        call.unhurried()
        const algorithm = call.query.get('digest-algorithm') ?? 'sha256'
        if (!isAlgorithm(algorithm))
          throw new RegistryError('DIGEST_INVALID', { detail: `unknown algorithm ${algorithm.slice(0, 50)}` })
        return accepted(call, await uploads.append(call.name, call.reference, chunkOf(call), algorithm))
      }),

    finish: (call) =>
      inOrder(call, async () => {
        const digest = call.query.get('digest')
        if (digest === null) throw new RegistryError('DIGEST_INVALID', { detail: 'digest missing' })
        const wanted = parseDigest(digest)
        call.unhurried()
        const hasBody = call.request.body !== null && call.request.headers.get('content-length') !== '0'
        const last = hasBody ? chunkOf(call) : undefined
        await uploads.finish(call.name, call.reference, wanted, last, () => causeOf(call))
        return created(call, wanted)
      }),

    async cancel({ name, reference }) {
      await uploads.cancel(name, reference)
      return new Response(null, { status: 204, headers: { 'Docker-Upload-UUID': reference } })
    },
  }

  /** A chunk that comes out of order is told where the upload stands ("Pushing a blob in chunks": 416). */
  async function inOrder(call: Call, work: () => Promise<Response>): Promise<Response> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'RANGE_INVALID') throw error
      const { size } = await uploads.status(call.name, call.reference)
      return errorResponse(error, progressHeaders(call, { id: call.reference, size }))
    }
  }
}

function wholeBody({ request }: Call): Chunk {
  const header = request.headers.get('content-length')
  const announced = header === null ? undefined : Number(header)
  return { body: (signal) => streamBody(request, signal), start: undefined, length: undefined, announced }
}

function chunkOf(call: Call): Chunk {
  const header = call.request.headers.get('content-range')
  if (header === null) return wholeBody(call)
  const range = parseContentRange(header)
  if (range === undefined) {
    throw new RegistryError('RANGE_INVALID', {
      detail: { message: 'Content-Range: expected <first byte>-<last byte>', found: header.slice(0, 100) },
    })
  }
  const length = range.end - range.start + 1
  const announced = call.request.headers.get('content-length')
  if (announced !== null && Number(announced) !== length) {
    throw new RegistryError('SIZE_INVALID', {
      detail: `Content-Range spans ${length} bytes, Content-Length is ${announced}`,
    })
  }
  return { ...wholeBody(call), start: range.start, length }
}

function accepted(call: Call, upload: Upload): Response {
  return progress(call, upload, 202)
}

function progress(call: Call, upload: Upload, status: number): Response {
  return new Response(null, { status, headers: { ...progressHeaders(call, upload), 'Content-Length': '0' } })
}

function progressHeaders({ name, base }: Call, { id, size }: Upload): Record<string, string> {
  return {
    Location: `${base()}v2/${name}/blobs/uploads/${id}`,
    Range: formatUploadRange(size),
    'Docker-Upload-UUID': id,
  }
}

function created({ name, base }: Call, digest: string): Response {
  const headers = {
    Location: `${base()}v2/${name}/blobs/${digest}`,
    'Docker-Content-Digest': digest,
    'Content-Length': '0',
  }
  return new Response(null, { status: 201, headers })
}
