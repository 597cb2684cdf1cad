import { UpstreamError } from './error.ts'

/** Bytes of a manifest, a page or a config that are taken from a stranger. */
export const MAX_BODY = 16 * 1024 * 1024

/** A whole answer, kept in memory. @throws UpstreamError `invalid` when it has more than `limit` bytes, `network` when it breaks off */
export async function bytesOf(response: Response, what: string, limit = MAX_BODY): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength
      if (size > limit) throw new UpstreamError('invalid', `${what}: the answer has more than ${limit} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    if (error instanceof UpstreamError) throw error
    throw new UpstreamError('network', `${what}: the answer broke off`, { status: response.status, cause: error })
  }
  return new Uint8Array(Buffer.concat(chunks))
}
