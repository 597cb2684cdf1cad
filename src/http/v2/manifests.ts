import { LRUCache } from 'lru-cache'
import { type Acceptance, parseAccept } from '../../oci/accept.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/error.ts'
import { defaultChild, MAX_MANIFEST_SIZE, parseManifest } from '../../oci/manifest.ts'
import { isIndexMediaType, MEDIA_TYPES } from '../../oci/media-type.ts'
import { classesOf } from '../../oci/scope.ts'
import type { Manifests, StoredManifest } from '../../registry/manifests.ts'
import { readBody } from '../body.ts'
import type { Call, Handler } from '../call.ts'
import { matchesEtag } from '../etag.ts'
import { causeOf } from '../event-cause.ts'

/** Tags that one request may set. */
const MAX_TAGS = 100

/** A client that only shows a manifest to somebody says so (`?look`), that it does not count as a pull; other registries ignore it. */
const LOOK = 'look'

export interface ManifestHandlers {
  get: Handler
  put: Handler
  delete: Handler
}

/** OCI Distribution Specification 1.1, "Pulling manifests", "Pushing Manifests", "Deleting tags", "Deleting Manifests". */
export function createManifestHandlers({ manifests }: { manifests: Manifests }): ManifestHandlers {
  /** Digests of default children; '' where there is none. A digest names its content, so nothing here grows old. */
  const children = new LRUCache<string, Digest | ''>({ max: 2000 })
  /** Each with what it was made from, for a new configuration has other headers. */
  const headersMade = new WeakMap<StoredManifest, { common: Call['common']; headers: Headers }>()

  return {
    get(call) {
      const found = manifests.find(call.name, call.reference)
      return found instanceof Promise ? found.then((manifest) => negotiate(call, manifest)) : negotiate(call, found)
    },

    async put(call) {
      const { request, name, reference, query, base, subject: caller } = call
      const tags = query.getAll('tag')
      if (tags.length > MAX_TAGS) {
        throw new RegistryError('TAG_INVALID', { message: `at most ${MAX_TAGS} tags in one request` })
      }
      const bytes = await readBody(request, MAX_MANIFEST_SIZE)
      const contentType = request.headers.get('content-type')
      const granted = caller.granted === 'everything' ? undefined : classesOf(caller.granted, name)
      const push = { repository: name, reference, tags, bytes, contentType, granted, actor: caller.name }
      const { digest, subject } = await manifests.put(push, () => causeOf(call))
      const headers = new Headers({
        Location: `${base()}v2/${name}/manifests/${digest}`,
        'Docker-Content-Digest': digest,
        'Content-Length': '0',
      })
      if (subject !== undefined) headers.set('OCI-Subject', subject)
      for (const tag of new Set(tags)) headers.append('OCI-Tag', tag)
      return new Response(null, { status: 201, headers })
    },

    async delete(call) {
      await manifests.delete(call.name, call.reference, call.subject.name, () => causeOf(call))
      return new Response(null, { status: 202, headers: { 'Content-Length': '0' } })
    },
  }

  function negotiate(call: Call, manifest: StoredManifest): Response | Promise<Response> {
    const accepts = acceptance(call.request.headers.get('accept'))
    if (accepts(manifest.mediaType)) return answer(call, manifest)
    // An old client knows no indexes: by tag it gets the platform that it is most likely to be, as registry:2 does.
    if (isIndexMediaType(manifest.mediaType) && !isDigest(call.reference)) return child(call, manifest, accepts)
    // Docker's own manifest is what clients without an opinion (or with a wrong one) can read.
    if (manifest.mediaType === MEDIA_TYPES.dockerManifest) return answer(call, manifest)
    throw notAcceptable(manifest)
  }

  /** Reading an index of 4 MiB takes milliseconds; an old client that asks again shall not cost them again. */
  function childOf({ digest, mediaType, bytes }: StoredManifest): Digest | '' {
    const key = `${digest} ${mediaType}`
    const known = children.get(key) ?? defaultChild(parseManifest(bytes, mediaType)) ?? ''
    children.set(key, known)
    return known
  }

  async function child(call: Call, index: StoredManifest, accepts: Acceptance): Promise<Response> {
    const digest = childOf(index)
    if (digest === '') throw notAcceptable(index)
    const manifest = await manifests.find(call.name, digest)
    if (!accepts(manifest.mediaType)) throw notAcceptable(index)
    return answer(call, manifest, index)
  }

  /** `index`: what the reference names, where the manifest is a child of it. */
  function answer(call: Call, manifest: StoredManifest, index?: StoredManifest): Response {
    const { request, common } = call
    const { digest, bytes } = manifest
    if (matchesEtag(request.headers.get('if-none-match'), digest)) {
      const headers = { ...common, ETag: `"${digest}"`, 'Docker-Content-Digest': digest }
      return new Response(null, { status: 304, headers })
    }
    if (manifests.wantsPulls) manifests.pulled(call.name, call.reference, manifest, () => causeOf(call))
    const isHead = request.method === 'HEAD'
    if (!isHead && !call.query.has(LOOK)) {
      manifests.sent(call.name, call.reference, index ?? manifest)
      if (index !== undefined) manifests.sent(call.name, digest, manifest)
    }
    call.complete()
    return new Response(isHead ? null : bytes, { headers: headersOf(manifest, common) })
  }

  /** A copy of these costs the runtime a fraction of making them, and hot manifests are the same objects each time. */
  function headersOf(manifest: StoredManifest, common: Call['common']): Headers {
    const known = headersMade.get(manifest)
    if (known?.common === common) return known.headers
    const { digest, mediaType, bytes } = manifest
    const headers = new Headers({
      ...common,
      'Content-Type': mediaType,
      'Content-Length': String(bytes.byteLength),
      'Docker-Content-Digest': digest,
      ETag: `"${digest}"`,
    })
    headersMade.set(manifest, { common, headers })
    return headers
  }
}

function notAcceptable({ mediaType }: StoredManifest): RegistryError {
  const { one, many } = WORDS[mediaType] ?? { one: 'manifest', many: 'such manifests' }
  return new RegistryError('MANIFEST_UNKNOWN', {
    message: `${one} found, but accept header does not support ${many}`,
    detail: `send Accept: ${mediaType}`,
  })
}

const WORDS: Partial<Record<string, { one: string; many: string }>> = {
  [MEDIA_TYPES.ociManifest]: { one: 'OCI manifest', many: 'OCI manifests' },
  [MEDIA_TYPES.ociIndex]: { one: 'OCI index', many: 'OCI indexes' },
  [MEDIA_TYPES.dockerList]: { one: 'manifest list', many: 'manifest lists' },
}

/** Clients send one of a few Accept headers, each in every request. */
const acceptances = new Map<string, Acceptance>()

function acceptance(header: string | null): Acceptance {
  const key = header ?? ''
  let known = acceptances.get(key)
  if (known === undefined) {
    known = parseAccept(header)
    if (acceptances.size >= 100) acceptances.clear()
    acceptances.set(key, known)
  }
  return known
}
