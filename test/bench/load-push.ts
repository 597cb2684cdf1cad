import { createHash, randomBytes } from 'node:crypto'
import { type Connection, connect } from './connection.ts'
import type { PushSpec } from './load-spec.ts'
import type { Tally } from './load-tally.ts'

const MEBIBYTE = 1024 * 1024
/** What Go's io.Copy, and so every client made with it, puts into one HTTP chunk. */
const CHUNK = 32 * 1024
const UNIQUE = 16
const EMPTY_CONFIG = Buffer.from('{}')

interface Blob {
  digest: string
  size: number
  /** Its bytes in HTTP chunks, one mebibyte at a time. */
  pieces(): () => Uint8Array | undefined
}

/** Makes blobs of the same random mebibyte over and over and an ending of their own, whose digest thus costs nothing. */
export function preparePush(spec: PushSpec): (tally: Tally) => Promise<void> {
  const mebibyte = randomBytes(MEBIBYTE)
  const framed = frame(mebibyte)
  const hasher = createHash('sha256')
  for (let count = 0; count < spec.blobMebibytes; count++) hasher.update(mebibyte)

  const nextBlob = (): Blob => {
    const unique = randomBytes(UNIQUE)
    const ending = Buffer.concat([frame(unique), Buffer.from('0\r\n\r\n')])
    return {
      digest: `sha256:${hasher.copy().update(unique).digest('hex')}`,
      size: spec.blobMebibytes * MEBIBYTE + UNIQUE,
      pieces: () => {
        let sent = 0
        return () => {
          sent++
          if (sent <= spec.blobMebibytes) return framed
          return sent === spec.blobMebibytes + 1 ? ending : undefined
        }
      },
    }
  }

  return async (tally) => {
    const until = spec.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + spec.seconds * 1000
    const first = await connect(spec.target)
    await pushSmall(first, spec.repository, EMPTY_CONFIG)
    first.close()
    await Promise.all(
      Array.from({ length: spec.connections }, async (_, index) => {
        for (let turn = 0; turn < spec.each && performance.now() < until; turn++) {
          const blob = nextBlob()
          const failure = await pushImage(spec, blob, `${spec.label}-${index}-${turn}`)
          if (failure !== undefined) {
            tally.fail(failure)
            return
          }
          tally.bytes += blob.size
          tally.requests++
          tally.digests.push(blob.digest)
        }
      }),
    )
  }
}

/** OCI Distribution Specification 1.1, "Pushing a blob in chunks", with one streamed chunk, as docker does. */
async function pushImage(spec: PushSpec, blob: Blob, tag: string): Promise<string | undefined> {
  let connection: Connection | undefined
  try {
    connection = await connect(spec.target)
    const start = await connection.send({ method: 'POST', path: `/v2/${spec.repository}/blobs/uploads/` })
    if (start.status !== 202) return `POST: ${start.status} ${start.text}`
    const patch = await connection.send({
      method: 'PATCH',
      path: pathOf(start.headers.get('location')),
      headers: { 'Content-Type': 'application/octet-stream' },
      framed: blob.pieces(),
    })
    if (patch.status !== 202) return `PATCH: ${patch.status} ${patch.text}`
    const put = await connection.send({ method: 'PUT', path: withDigest(patch.headers.get('location'), blob.digest) })
    if (put.status !== 201) return `PUT: ${put.status} ${put.text}`
    if (put.headers.get('docker-content-digest') !== blob.digest) return 'PUT: answered another digest'
    const manifest = await connection.send({
      method: 'PUT',
      path: `/v2/${spec.repository}/manifests/${tag}`,
      headers: { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' },
      body: manifestOf(blob),
    })
    return manifest.status === 201 ? undefined : `PUT manifest: ${manifest.status} ${manifest.text}`
  } catch (cause) {
    return String(cause)
  } finally {
    connection?.close()
  }
}

async function pushSmall(connection: Connection, repository: string, bytes: Uint8Array): Promise<void> {
  const start = await connection.send({ method: 'POST', path: `/v2/${repository}/blobs/uploads/` })
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  const put = await connection.send({
    method: 'PUT',
    path: withDigest(start.headers.get('location'), digest),
    headers: { 'Content-Type': 'application/octet-stream' },
    body: bytes,
  })
  if (put.status !== 201) throw new Error(`PUT config: ${put.status} ${put.text}`)
}

function manifestOf(blob: Blob): Buffer {
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: `sha256:${createHash('sha256').update(EMPTY_CONFIG).digest('hex')}`,
    size: EMPTY_CONFIG.length,
  }
  const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: blob.digest, size: blob.size }
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] }))
}

/** RFC 9112 section 7.1. */
export function frame(bytes: Uint8Array): Buffer {
  const parts: Uint8Array[] = []
  for (let start = 0; start < bytes.length; start += CHUNK) {
    const chunk = bytes.subarray(start, start + CHUNK)
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}

function pathOf(location: string | undefined): string {
  if (location === undefined) throw new Error('an answer without Location')
  return location.replace(/^https?:\/\/[^/]+/, '')
}

function withDigest(location: string | undefined, digest: string): string {
  const path = pathOf(location)
  return `${path}${path.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`
}
