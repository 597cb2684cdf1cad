import type { ContentManifest } from '../metadata/metadata.ts'
import { algorithmOf } from '../oci/digest.ts'
import { isIndexMediaType, MEDIA_TYPES } from '../oci/media-type.ts'
import type { Finding } from './report.ts'

/** What the original does with the manifest otherwise than Berth; proved with docker-registry 2.8.2. */
export function findingsOf(repository: string, manifest: ContentManifest): Finding[] {
  const { digest, mediaType, bytes, subject } = manifest
  const of = { repository, reference: digest }
  const findings: Finding[] = []
  if (algorithmOf(digest) !== 'sha256') {
    findings.push({ ...of, kind: 'sha512', detail: 'kept as it is' })
  }
  const supposed = isIndexMediaType(mediaType) ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest
  // The original keeps no media types, and takes what names none for OCI's.
  if (mediaType !== supposed && !namesMediaType(bytes)) {
    findings.push({ ...of, kind: 'media-type', detail: `served as ${supposed}, not as ${mediaType}` })
  }
  if (subject !== undefined) {
    findings.push({ ...of, kind: 'referrer', detail: `refers to ${subject}` })
  }
  return findings
}

function namesMediaType(bytes: Uint8Array): boolean {
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return json instanceof Object && 'mediaType' in json && typeof json.mediaType === 'string' && json.mediaType !== ''
  } catch {
    return false
  }
}
