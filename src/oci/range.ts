/** A span of bytes, both ends included. */
export interface Span {
  start: number
  end: number
}

const CONTENT_RANGE = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/

/**
 * The Content-Range of an upload's chunk: `0-1023` (OCI Distribution Specification 1.1, "Pushing a blob in chunks");
 * the RFC 9110 spelling `bytes 0-1023/*` is taken too. Undefined when it is neither, or ends before it starts.
 */
export function parseContentRange(text: string): Span | undefined {
  const match = CONTENT_RANGE.exec(text.trim())
  if (match === null) return undefined
  const start = Number(match[1])
  const end = Number(match[2])
  return end < start ? undefined : { start, end }
}

/** What a Range header asks of something that has `size` bytes. */
export type RangeRequest = 'whole' | 'unsatisfiable' | Span

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/

/**
 * RFC 9110 section 14.2: one byte range. Several ranges, other units and anything malformed are ignored, which the
 * RFC allows: the whole is the answer then.
 */
export function parseRange(header: string | null, size: number): RangeRequest {
  if (header === null) return 'whole'
  const match = RANGE.exec(header.replaceAll(' ', ''))
  if (match === null) return 'whole'
  const [, first = '', last = ''] = match
  if (first === '') {
    if (last === '') return 'whole'
    const count = Math.min(Number(last), size)
    return count === 0 ? 'unsatisfiable' : { start: size - count, end: size - 1 }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'whole'
  if (start >= size) return 'unsatisfiable'
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) }
}

/** The Range header of an upload that has `size` bytes: `0-<last byte>`; `0-0` for none, as registry:2 says it. */
export function formatUploadRange(size: number): string {
  return `0-${Math.max(0, size - 1)}`
}
