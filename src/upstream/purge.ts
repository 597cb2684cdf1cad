import { type Digest, isDigest } from '../oci/digest.ts'
import { jsonObject } from '../oci/json-object.ts'
import { repositoryAccess } from '../oci/scope.ts'
import { bytesOf } from './body.ts'
import { UpstreamError } from './error.ts'
import type { RepositoryReference } from './reference.ts'
import type { Session } from './session.ts'

/** What Berth took for good, and what stays. Sizes are bytes. */
export interface Purged {
  kind: 'purged'
  manifests: Digest[]
  kept: { digest: Digest; why: string }[]
  blobs: { count: number; bytes: number }
  unlinked: { count: number; bytes: number }
}

/** `nothing`: no deletion left anything under that digest; `unsupported`: the registry has no such thing (as every other one). */
export type PurgeOutcome = Purged | { kind: 'nothing' } | { kind: 'unsupported' }

/** How registries refuse a path, or a method, that they do not know. */
const UNKNOWN_PATH = [400, 404, 405, 501]

/** Milliseconds besides the usual ones: an index of thousands of images takes some ms for each, while clients are served. */
const PATIENCE = 10 * 60_000

export function createPurge(session: Session): (image: RepositoryReference, digest: Digest) => Promise<PurgeOutcome> {
  return async ({ registry, repository }, digest) => {
    const what = `the trash of ${registry}/${repository}`
    const response = await session.request({
      ...{ registry, repository, what, method: 'DELETE' },
      needed: repositoryAccess(repository, 'delete'),
      path: `${repository}/_berth/trash/${digest}`,
      expected: [200, ...UNKNOWN_PATH],
      extraMs: PATIENCE,
    })
    const json = jsonObject(await bytesOf(response, what))
    if (response.status === 200) {
      const purged = json && readPurged(json)
      // Some other registry's page for everything that it does not know.
      return purged ?? { kind: 'unsupported' }
    }
    if (response.status !== 404) return { kind: 'unsupported' }
    const [first] = Array.isArray(json?.errors) ? (json.errors as unknown[]) : []
    const isOurs = typeof first === 'object' && first !== null && 'code' in first && first.code === 'MANIFEST_UNKNOWN'
    return { kind: isOurs ? 'nothing' : 'unsupported' }
  }
}

/** @throws UpstreamError `invalid` where it looks like Berth's answer, and is none */
function readPurged({ manifests, kept, blobs, unlinked }: Record<string, unknown>): Purged | undefined {
  if (!Array.isArray(manifests) || !Array.isArray(kept)) return undefined
  const digests = (manifests as unknown[]).map(digestIn)
  const stays = (kept as unknown[]).map((row) => ({
    digest: digestIn(row),
    why: typeof row === 'object' && row !== null && 'why' in row ? String(row.why) : '',
  }))
  return { kind: 'purged', manifests: digests, kept: stays, blobs: tallyOf(blobs), unlinked: tallyOf(unlinked) }
}

function digestIn(row: unknown): Digest {
  const digest = typeof row === 'object' && row !== null && 'digest' in row ? row.digest : undefined
  if (typeof digest === 'string' && isDigest(digest)) return digest
  throw new UpstreamError('invalid', 'the registry answers a purge with something that is no digest')
}

function tallyOf(value: unknown): { count: number; bytes: number } {
  const { count, bytes } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (Number.isSafeInteger(count) && Number.isSafeInteger(bytes)) return { count: Number(count), bytes: Number(bytes) }
  throw new UpstreamError('invalid', 'the registry answers a purge without its sums')
}
