import type { ImageExpiry, Metadata, RetentionCandidate, StoredManifest } from '../metadata/metadata.ts'
import { parseAge } from '../oci/age.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import type { Storage, StoredObject } from '../storage/storage.ts'

/** What an image says of its own end: `2w` after its push, or a moment. */
type Expiry = Pick<ImageExpiry, 'after' | 'at'>

export interface ImageExpiries {
  /**
   * What the candidates' images say, by the manifest's id. Who was not looked at is looked at now, and remembered. What cannot be read now says nothing
   * this time.
   */
  of(repository: string, candidates: readonly RetentionCandidate[]): Promise<ReadonlyMap<number, Expiry>>
}

/** Bytes of a configuration that is read for its labels. */
const MAX_CONFIG = 4 * 1024 * 1024
/** Children of an index that are asked. */
const MAX_CHILDREN = 50
const IMAGE_CONFIGS = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json']

const SILENT: Expiry = { after: undefined, at: undefined }

/** @param names of annotations and labels: the first that an image has counts */
export function createImageExpiries(deps: {
  metadata: Pick<Metadata, 'manifests' | 'blobs' | 'retention'>
  storage: Pick<Storage, 'open'>
  names: () => readonly string[]
}): ImageExpiries {
  const { metadata, storage } = deps

  async function examine(repository: string, digest: Digest, names: readonly string[]): Promise<Expiry | undefined> {
    const stored = await metadata.manifests.find(repository, digest)
    const manifest = stored && parsed(stored)
    if (manifest === undefined) return stored === undefined ? undefined : SILENT
    const own = said(manifest.annotations, names)
    if (own !== undefined) return own
    if (manifest.config !== undefined) return await labelled(repository, manifest.config, names)
    return await ofChildren(repository, manifest.manifests, names)
  }

  /** `LABEL` of a Dockerfile. */
  async function labelled(
    repository: string,
    config: Descriptor,
    names: readonly string[],
  ): Promise<Expiry | undefined> {
    if (!IMAGE_CONFIGS.includes(config.mediaType) || config.size > MAX_CONFIG) return SILENT
    const blob = await metadata.blobs.find(repository, config.digest)
    const object = blob && (await storage.open(blob.key).catch(() => undefined))
    if (object === undefined || object.size > MAX_CONFIG) return undefined
    const text = await textOf(object).catch(() => undefined)
    return text === undefined ? undefined : (said(labelsOf(text), names) ?? SILENT)
  }

  /** An index says what all of its images say, and then the longest. */
  async function ofChildren(
    repository: string,
    children: readonly Descriptor[],
    names: readonly string[],
  ): Promise<Expiry | undefined> {
    const images = children.filter(isImage)
    if (images.length === 0 || images.length > MAX_CHILDREN) return SILENT
    let longest: Expiry | undefined
    for (const { digest } of images) {
      const stored = await metadata.manifests.find(repository, digest)
      const manifest = stored && parsed(stored)
      // One that was never pushed, or an index in an index, has no say.
      if (manifest?.config === undefined) continue
      const own = said(manifest.annotations, names) ?? (await labelled(repository, manifest.config, names))
      if (own === undefined) return undefined
      if (own.after === undefined && own.at === undefined) return SILENT
      longest = longest === undefined ? own : longer(longest, own)
    }
    return longest ?? SILENT
  }

  return {
    async of(repository, candidates) {
      const names = deps.names()
      const asked = names.join(' ')
      const found = new Map<number, Expiry>()
      const looked = new Map<number, ImageExpiry & { manifestId: number; digest: Digest }>()
      for (const { manifestId, digest, expiry } of candidates) {
        if (found.has(manifestId)) continue
        if (expiry?.asked === asked) {
          found.set(manifestId, expiry)
          continue
        }
        const seen = names.length === 0 ? SILENT : await examine(repository, digest, names)
        found.set(manifestId, seen ?? SILENT)
        if (seen !== undefined) looked.set(manifestId, { manifestId, digest, asked, ...seen })
      }
      if (looked.size > 0) await metadata.retention.examined([...looked.values()])
      return found
    },
  }
}

/** When it ends, for something that was pushed then. */
export function endOf({ after, at }: Expiry, pushedAt: number): number | undefined {
  if (at !== undefined) return at
  return after === undefined ? undefined : pushedAt + after
}

/** What `2w`, or a time with its zone, means; undefined: nothing. */
export function parseExpiry(text: string): Expiry | undefined {
  const after = parseAge(text.trim())
  if (after !== undefined) return after > 0 ? { after, at: undefined } : undefined
  if (!/^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text.trim())) return undefined
  const at = Date.parse(text.trim())
  if (Number.isNaN(at) || !isDay(text.trim().slice(0, 10))) return undefined
  return { after: undefined, at }
}

/** `2027-02-30` would be read as two days later: it says nothing, rather than something else. */
function isDay(text: string): boolean {
  return new Date(`${text}T00:00:00Z`).toISOString().startsWith(text)
}

function said(pairs: Record<string, unknown> | undefined, names: readonly string[]): Expiry | undefined {
  for (const name of names) {
    const value = pairs !== undefined && Object.hasOwn(pairs, name) ? pairs[name] : undefined
    const expiry = typeof value === 'string' ? parseExpiry(value) : undefined
    if (expiry !== undefined) return expiry
  }
  return undefined
}

/** Of two kinds that cannot be compared, neither counts. */
function longer(a: Expiry, b: Expiry): Expiry {
  if (a.at !== undefined && b.at !== undefined) return a.at >= b.at ? a : b
  if (a.after !== undefined && b.after !== undefined) return a.after >= b.after ? a : b
  return SILENT
}

/** What BuildKit adds to an index (attestations) has the platform unknown/unknown. */
function isImage({ platform, annotations }: Descriptor): boolean {
  return platform?.os !== 'unknown' && annotations?.['vnd.docker.reference.type'] === undefined
}

function parsed({ bytes, mediaType }: StoredManifest): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType)
  } catch {
    // Stored by other rules than today's.
    return undefined
  }
}

function labelsOf(text: string): Record<string, unknown> | undefined {
  try {
    const json = JSON.parse(text) as { config?: { Labels?: unknown } } | null
    const labels = json?.config?.Labels
    return typeof labels === 'object' && labels !== null ? (labels as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

async function textOf(object: StoredObject): Promise<string> {
  if (object.kind === 'file') return await Bun.file(object.path).text()
  const parts: Uint8Array[] = []
  for await (const part of object.read(0, object.size)) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
