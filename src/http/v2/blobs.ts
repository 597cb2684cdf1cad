import { parseDigest } from '../../oci/digest.ts'
import { parseRange, type Span } from '../../oci/range.ts'
import type { Blobs, StoredObject } from '../../registry/blobs.ts'
import type { Handler } from '../call.ts'
import { matchesEtag } from '../etag.ts'
import { causeOf } from '../event-cause.ts'

export interface BlobHandlers {
  get: Handler
  delete: Handler
}

/** OCI Distribution Specification 1.1, "Pulling blobs" and "Deleting Blobs"; ranges as RFC 9110 section 14. */
export function createBlobHandlers({ blobs }: { blobs: Blobs }): BlobHandlers {
  return {
    async get(call) {
      const { request, name, reference, common } = call
      const digest = parseDigest(reference)
      const object = await (request.method === 'HEAD' ? blobs.hold(name, digest) : blobs.open(name, digest))
      const etag = `"${digest}"`
      const headers: Record<string, string> = {
        ...common,
        'Content-Type': 'application/octet-stream',
        'Docker-Content-Digest': digest,
        ETag: etag,
        'Cache-Control': 'max-age=31536000',
        // The runtime would name the stored file otherwise.
        'Content-Disposition': 'attachment',
      }
      if (matchesEtag(request.headers.get('if-none-match'), digest)) return new Response(null, { status: 304, headers })

      headers['Accept-Ranges'] = 'bytes'
      // RFC 9110 section 14.2: ranges are for GET alone.
      const asked = request.method === 'GET' ? request.headers.get('range') : null
      const ifRange = request.headers.get('if-range')
      const range = asked !== null && (ifRange === null || ifRange === etag) ? parseRange(asked, object.size) : 'whole'
      if (range === 'unsatisfiable') {
        headers['Content-Range'] = `bytes */${object.size}`
        delete headers['Cache-Control']
        return new Response(null, { status: 416, headers })
      }
      const status = range === 'whole' ? 200 : 206
      const span = range === 'whole' ? { start: 0, end: object.size - 1 } : range
      if (range !== 'whole') headers['Content-Range'] = `bytes ${span.start}-${span.end}/${object.size}`
      headers['Content-Length'] = String(span.end - span.start + 1)
      if (blobs.wantsPulls) blobs.pulled(name, digest, object.size, () => causeOf(call))
      if (request.method === 'HEAD') return new Response(null, { status, headers })
      // A whole file is left whole, for the kernel sends it then; unless a Range is to be ignored, which the runtime would not do.
      return new Response(content(object, range === 'whole' && asked === null ? undefined : span), { status, headers })
    },

    async delete(call) {
      await blobs.delete(call.name, parseDigest(call.reference), () => causeOf(call))
      return new Response(null, { status: 202, headers: { 'Content-Length': '0' } })
    },
  }
}

function content(object: StoredObject, span: Span | undefined): Blob | ReadableStream {
  if (object.kind === 'file') {
    const file = Bun.file(object.path)
    return span === undefined ? file : file.slice(span.start, span.end + 1)
  }
  const { start, end } = span ?? { start: 0, end: object.size - 1 }
  const bytes = object.read(start, end + 1)[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const next = await bytes.next()
      if (next.done) controller.close()
      else controller.enqueue(next.value)
    },
    async cancel() {
      await bytes.return?.()
    },
  })
}
