import type { AdoptedManifest } from '../metadata/metadata.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { isManifestMediaType, MEDIA_TYPES } from '../oci/media-type.ts'
import { type Policy, referencesOf } from './validation.ts'

/** What another registry accepted is taken as it is: its rules were asked when it was pushed. */
const ANYTHING: Policy = { enabled: true, classes: [], allowsUrl: () => true, requiresChild: () => true }

export type ReadManifest =
  | { kind: 'schema-2' | 'schema-1'; manifest: AdoptedManifest }
  | { kind: 'invalid'; why: string }

/** The row for a manifest that some other registry stored, from its bytes alone: these have no media type beside them. */
export function readAdoptedManifest(bytes: Uint8Array, digest: Digest, at: number): ReadManifest {
  try {
    const manifest = parseManifest(bytes, null)
    const references = referencesFrom(manifest)
    const required = new Set(references.filter((entry) => entry.required).map((entry) => entry.digest))
    const config = manifest.config === undefined ? [] : [manifest.config]
    const others = manifest.manifests.filter(({ mediaType }) => !isManifestMediaType(mediaType))
    const descriptors = [...config, ...manifest.layers, ...others]
    return {
      kind: 'schema-2',
      manifest: {
        digest,
        bytes,
        at,
        references,
        mediaType: manifest.mediaType,
        subject: manifest.subject?.digest,
        artifactType: manifest.artifactType,
        annotations: manifest.annotations,
        sizes: descriptors.filter((entry) => required.has(entry.digest)),
      },
    }
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return readSchema1(bytes, digest, at) ?? { kind: 'invalid', why: String(error.detail ?? error.message) }
  }
}

function referencesFrom(manifest: Manifest) {
  try {
    return referencesOf(manifest, ANYTHING)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    // A layer with an address that is none: nobody knows whether its bytes are to be here.
    return referencesOf({ ...manifest, layers: manifest.layers.map(({ urls: _, ...layer }) => layer) }, NOTHING)
  }
}

const NOTHING: Policy = { ...ANYTHING, enabled: false }

/**
 * Docker image manifest version 2, schema 1. registry:2 stores it without signatures, under the digest of just these bytes. No
 * client of today pulls it, but skopeo converts it, and as a row it keeps its layers from the collector.
 */
function readSchema1(bytes: Uint8Array, digest: Digest, at: number): ReadManifest | undefined {
  const json = parseObject(bytes)
  if (json?.schemaVersion !== 1 || !Array.isArray(json.fsLayers)) return undefined
  const sums = json.fsLayers.map((layer: { blobSum?: unknown } | null) => layer?.blobSum)
  const layers = [...new Set(sums)].filter((sum): sum is Digest => typeof sum === 'string' && isDigest(sum))
  return {
    kind: 'schema-1',
    manifest: {
      digest,
      bytes,
      at,
      references: layers.map((layer) => ({ digest: layer, kind: 'blob', required: true })),
      mediaType: json.signatures === undefined ? MEDIA_TYPES.dockerManifestV1 : MEDIA_TYPES.dockerManifestV1Signed,
      subject: undefined,
      artifactType: undefined,
      annotations: undefined,
      sizes: [],
    },
  }
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
