import type { Digest } from '../oci/digest.ts'
import type { Handle } from './database.ts'
import type { Keeper, Why } from './metadata.ts'
import { causeOf } from './reviews.ts'

/** What keeps the digest, as a blob or as a manifest. */
export async function why(read: Handle, digest: Digest, limit: number): Promise<Why> {
  const blob = await read
    .selectFrom('blobs')
    .select(({ fn, selectFrom }) => [
      'size',
      'state',
      selectFrom('repository_blobs')
        .select(fn.countAll().as('links'))
        .where('repository_blobs.digest', '=', digest)
        .as('links'),
    ])
    .where('digest', '=', digest)
    .executeTakeFirst()
  const reviews = await read
    .selectFrom('repository_blobs')
    .innerJoin('link_reviews', (join) =>
      join
        .onRef('link_reviews.repository_id', '=', 'repository_blobs.repository_id')
        .onRef('link_reviews.digest', '=', 'repository_blobs.digest'),
    )
    .innerJoin('repositories', 'repositories.id', 'repository_blobs.repository_id')
    .select(['repositories.name as repository', 'since', 'freed'])
    .where('repository_blobs.digest', '=', digest)
    .limit(limit)
    .execute()
  const discarded = await read
    .selectFrom('discarded_objects')
    .select(['storage_key as key', 'due_at as dueAt', 'attempts'])
    .where('digest', '=', digest)
    .limit(limit)
    .execute()
  return {
    blob: blob && { size: blob.size, state: blob.state, repositories: Number(blob.links ?? 0) },
    keepers: await keepersOf(read, digest, limit),
    reviews: reviews.map(({ repository, since, freed }) => ({ repository, since, cause: causeOf(freed) })),
    trash: await burialsOf(read, digest, limit),
    discarded,
  }
}

interface Node {
  id: number
  repositoryId: number
  repository: string
  digest: Digest
}

/** From the manifests that are the digest, or need it, up to a tag each. */
async function keepersOf(read: Handle, digest: Digest, limit: number): Promise<Keeper[]> {
  const nodes = read
    .selectFrom('manifests')
    .innerJoin('repositories', 'repositories.id', 'manifests.repository_id')
    .select([
      'manifests.id',
      'manifests.repository_id as repositoryId',
      'repositories.name as repository',
      'manifests.digest',
    ])
  // Their index begins with the repository: each is asked, which are far fewer than manifests.
  const anywhere = read.selectFrom('repositories').select('repositories.id')
  const itself = await nodes
    .where('manifests.repository_id', 'in', anywhere)
    .where('manifests.digest', '=', digest)
    .limit(limit)
    .execute()
  const holders = await nodes
    .innerJoin('manifest_blobs', 'manifest_blobs.manifest_id', 'manifests.id')
    .where('manifest_blobs.digest', '=', digest)
    .where('manifest_blobs.repository_id', 'in', (from) =>
      from
        .selectFrom('repository_blobs')
        .select('repository_blobs.repository_id')
        .where('repository_blobs.digest', '=', digest),
    )
    .limit(limit)
    .execute()
  const keepers: Keeper[] = []
  for (const node of itself) keepers.push(await climb(read, node, [node.digest]))
  for (const node of holders) keepers.push(await climb(read, node, [node.digest, digest]))
  return keepers.slice(0, limit)
}

/** Follows indexes and subjects up, one of each, as no manifest can be above itself. */
async function climb(read: Handle, start: Node, below: readonly Digest[]): Promise<Keeper> {
  const path = [...below]
  for (let node: Node = start; ; ) {
    const tag = await read
      .selectFrom('tags')
      .select('name')
      .where('manifest_id', '=', node.id)
      .orderBy('name')
      .limit(1)
      .executeTakeFirst()
    const above: Node | undefined = tag === undefined ? await aboveOf(read, node) : undefined
    if (above === undefined) {
      const review = await read
        .selectFrom('manifest_reviews')
        .select('since')
        .where('manifest_id', '=', node.id)
        .executeTakeFirst()
      return { repository: node.repository, tag: tag?.name, path, waitsSince: review?.since }
    }
    path.unshift(above.digest)
    node = above
  }
}

async function aboveOf(read: Handle, { id, repositoryId, repository, digest }: Node): Promise<Node | undefined> {
  const parent = await read
    .selectFrom('manifest_references')
    .innerJoin('manifests', 'manifests.id', 'manifest_references.manifest_id')
    .select(['manifests.id', 'manifests.digest'])
    .where('manifest_references.digest', '=', digest)
    .where('manifest_references.repository_id', '=', repositoryId)
    .where('manifest_references.kind', '=', 'manifest')
    .where('manifests.id', '!=', id)
    .limit(1)
    .executeTakeFirst()
  const found =
    parent ??
    (await read
      .selectFrom('manifests as me')
      .innerJoin('manifests as subject', (join) =>
        join.onRef('subject.repository_id', '=', 'me.repository_id').onRef('subject.digest', '=', 'me.subject_digest'),
      )
      .select(['subject.id', 'subject.digest'])
      .where('me.id', '=', id)
      .whereRef('subject.id', '!=', 'me.id')
      .executeTakeFirst())
  return found && { ...found, repositoryId, repository }
}

/** Burials of the digest, and of manifests in the trash that hold it. */
async function burialsOf(read: Handle, digest: Digest, limit: number): Promise<Why['trash']> {
  const burials = read
    .selectFrom('trash')
    .innerJoin('repositories', 'repositories.id', 'trash.repository_id')
    .select(['trash.id', 'repositories.name as repository', 'trash.digest', 'deleted_at as deletedAt'])
    .orderBy('trash.id', 'desc')
    .limit(limit)
  const anywhere = read.selectFrom('repositories').select('repositories.id')
  const own = await burials.where('trash.repository_id', 'in', anywhere).where('trash.digest', '=', digest).execute()
  const holders = await burials
    .where('trash.id', 'in', (from) =>
      from.selectFrom('trash_references').select('trash_id').where('trash_references.held_digest', '=', digest),
    )
    .execute()
  const rows = new Map([...own, ...holders].map((row) => [row.id, row]))
  return [...rows.values()]
    .sort((one, other) => other.id - one.id)
    .slice(0, limit)
    .map(({ repository, digest: buried, deletedAt }) => ({ repository, digest: buried, deletedAt }))
}
