import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { compileSelector, type Selector } from '../oci/selector.ts'
import { type Handle, inChunks } from './database.ts'
import { indexEdges } from './index-edges.ts'
import { MetadataError, type TagProtection } from './metadata.ts'

/** Lists of patterns come with each call, for they come from another thread; there are few of them. */
const selectors = new LRUCache<string, Selector>({ max: 500 })

function selectorOf(patterns: readonly string[]): Selector {
  const key = JSON.stringify(patterns)
  const known = selectors.get(key) ?? compileSelector(patterns)
  selectors.set(key, known)
  return known
}

interface Guarded {
  repositoryId: number
  repository: string
  protections?: readonly TagProtection[] | undefined
}

/**
 * Before tags are pointed to `digest`: those of them that a rule protects must not exist, or point there already. The caller
 * holds the repository's lock. @throws MetadataError `denied`
 */
export async function refuseToMove(
  trx: Handle,
  { repositoryId, repository, protections = [] }: Guarded,
  names: readonly string[],
  digest: Digest,
): Promise<void> {
  const guarded = names.filter((name) => ruleOf(protections, name) !== undefined)
  const found = await inChunks(guarded, (chunk) =>
    trx
      .selectFrom('tags')
      .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
      .select(['tags.name', 'manifests.digest'])
      .where('tags.repository_id', '=', repositoryId)
      .where('tags.name', 'in', chunk)
      .where('manifests.digest', '!=', digest)
      .execute(),
  )
  refuse(protections, repository, found, digest)
}

/** Before these tags are deleted. @throws MetadataError `denied` when a rule protects one of them */
export function refuseToDelete(
  { repository, protections = [] }: Omit<Guarded, 'repositoryId'>,
  tags: readonly { name: string; digest: Digest }[],
): void {
  refuse(protections, repository, tags, undefined)
}

/**
 * Before a manifest is deleted, whose repository's lock the caller holds: neither its own tags nor those of indexes that name
 * it, at whatever distance, may be protected, for such a tag would stay and lead to less than was pushed.
 * @throws MetadataError `denied`
 */
export async function refuseToDeleteManifest(
  trx: Handle,
  guarded: Omit<Guarded, 'repositoryId'>,
  manifestId: number,
): Promise<void> {
  if ((guarded.protections ?? []).length === 0) return
  const seen = new Set([manifestId])
  for (let level = [manifestId]; level.length > 0; ) {
    const tags = await inChunks(level, (chunk) =>
      trx
        .selectFrom('tags')
        .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
        .select(['tags.name', 'manifests.digest'])
        .where('tags.manifest_id', 'in', chunk)
        .orderBy('tags.name')
        .execute(),
    )
    refuseToDelete(guarded, tags)
    const edges = await indexEdges(trx, 'below', level)
    level = [...new Set(edges.map(({ above }) => above))].filter((id) => !seen.has(id))
    for (const id of level) seen.add(id)
  }
}

/** Before all tags of the repository go, whose lock the caller holds. @throws MetadataError `denied` when a rule protects one of them */
export async function refuseToDeleteAll(
  trx: Handle,
  { repositoryId, repository, protections = [] }: Guarded,
): Promise<void> {
  for (let last = ''; protections.length > 0; ) {
    const tags = await trx
      .selectFrom('tags')
      .innerJoin('manifests', 'manifests.id', 'tags.manifest_id')
      .select(['tags.name', 'manifests.digest'])
      .where('tags.repository_id', '=', repositoryId)
      .where('tags.name', '>', last)
      .orderBy('tags.name')
      .limit(LOOK)
      .execute()
    refuse(protections, repository, tags, undefined)
    if (tags.length < LOOK) return
    last = tags.at(-1)?.name ?? last
  }
}

/** Tags of one look. */
const LOOK = 1000

function refuse(
  protections: readonly TagProtection[],
  repository: string,
  tags: readonly { name: string; digest: Digest }[],
  asked: Digest | undefined,
): void {
  for (const { name: tag, digest } of tags) {
    const rule = ruleOf(protections, tag)
    if (rule === undefined) continue
    throw new MetadataError('denied', `${repository}:${tag} is immutable by ${rule}`, undefined, {
      ...{ kind: 'immutable', rule, repository, tag, digest, asked },
    })
  }
}

function ruleOf(protections: readonly TagProtection[], tag: string): string | undefined {
  return protections.find(({ tags }) => selectorOf(tags).matches(tag))?.rule
}
