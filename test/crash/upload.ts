import type { Content } from '../image.ts'

/** How often to ask where an upload stands before giving up. */
const ATTEMPTS = 10

/** OCI Distribution Specification 1.1, "Pushing a blob in chunks": starts an upload and answers its path. */
export async function startUpload(url: string, repository: string): Promise<string> {
  const answer = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', keepalive: false })
  if (answer.status !== 202) throw new Error(`POST: ${answer.status} ${await answer.text()}`)
  return new URL(answer.headers.get('location') ?? '').pathname
}

/** Bytes that the registry has of an upload. */
export async function offsetOf(url: string, session: string): Promise<number> {
  const answer = await fetch(`${url}${session}`, { keepalive: false })
  if (answer.status !== 204) throw new Error(`GET of an upload: ${answer.status} ${await answer.text()}`)
  return afterRange(answer)
}

/**
 * Sends what is missing of a blob after an interruption, and finishes it. Answers where it went on.
 * An answer that says where the upload stands by now (416) is followed.
 * @throws Error with any other answer than that of the specification.
 */
export async function completeUpload(url: string, session: string, { bytes, digest }: Content): Promise<number> {
  let offset = await offsetOf(url, session)
  for (let attempt = 0; attempt < ATTEMPTS && offset < bytes.length; attempt++) {
    const headers = { 'Content-Range': `${offset}-${bytes.length - 1}` }
    const init = { method: 'PATCH', headers, body: bytes.subarray(offset), keepalive: false }
    const answer = await fetch(`${url}${session}`, init)
    if (answer.status === 202) break
    if (answer.status !== 416) throw new Error(`PATCH at ${offset}: ${answer.status} ${await answer.text()}`)
    offset = afterRange(answer)
  }
  const answer = await fetch(`${url}${session}?digest=${digest}`, { method: 'PUT', keepalive: false })
  if (answer.status !== 201) throw new Error(`PUT after ${offset}: ${answer.status} ${await answer.text()}`)
  return offset
}

function afterRange(answer: Response): number {
  const end = Number(/^0-(\d+)$/.exec(answer.headers.get('range') ?? '')?.[1])
  return end === 0 ? 0 : end + 1
}
