import type { Handle } from './database.ts'
import { type Amounts, MetadataError, type QuotaDenial } from './metadata.ts'
import { statement } from './statement.ts'

/** How far a repository is counted: its manifests in the order of their digests, then its tags in that of their names. */
export const COUNTED = { nothing: -1, manifests: 0, tags: 1, all: 2 } as const

/**
 * Added to the step of a repository whose name is not below the prefix: it is about to get such a name (`COMING`: its count goes up),
 * or had one (`GOING`: it goes down). What is counted of it is the same as of others, but changes there are not refused for the
 * sake of a quota that is not over it.
 */
export const COMING = -10
export const GOING = -5

/** 0, COMING or GOING. */
export function wayOf(step: number): number {
  if (step >= 0) return 0
  return step >= GOING + COUNTED.nothing ? GOING : COMING
}

/** Of COUNTED. */
export function stepOf({ step }: Pick<Over, 'step'>): number {
  return step - wayOf(step)
}

/** Bytes that may wait for their manifests beside as many as a quota has: uploads of parallel pushes. */
export const WAITING_ALLOWANCE = 1024 ** 3

/** A quota over a repository, which is held until the transaction ends. */
export interface Over {
  quota_id: number
  prefix: string
  state: 'counting' | 'exact' | 'removed'
  max_bytes: number | null
  max_tags: number | null
  max_repositories: number | null
  bytes: number
  waiting: number
  tags: number
  repositories: number
  step: number
  cursor: string
}

/**
 * The quotas over a repository, each held: what changes below one prefix comes one after the other. The caller holds the
 * repository's lock, and takes no other lock of a blob or repository afterwards.
 */
export async function quotasOver(trx: Handle, repositoryId: number): Promise<Over[]> {
  const known = free.get(trx)
  if (known?.has(repositoryId)) return []
  const { rows } = await lockOver(trx, { repositoryId })
  if (rows.length === 0) remember(trx, repositoryId)
  return rows
}

/**
 * Repositories that no quota is over, so that those who push there ask once. A handle of several processes' database lives for one
 * transaction, which holds the repository: who makes a quota meanwhile counts nothing there before it ends. One of a database that
 * it alone writes to lives on, and knows until it adds a row (`overMore`); who undoes a transaction takes another handle.
 */
const free = new WeakMap<Handle, Set<number>>()
const REMEMBERED = 10_000

function remember(trx: Handle, repositoryId: number): void {
  const known = free.get(trx)
  if (known === undefined || known.size >= REMEMBERED) free.set(trx, new Set([repositoryId]))
  else known.add(repositoryId)
}

/** Quotas are over repositories from now on, or count them in advance. */
export async function overMore(
  trx: Handle,
  rows: readonly { repository_id: number; quota_id: number; step: number; cursor: string }[],
): Promise<void> {
  if (rows.length === 0) return
  free.delete(trx)
  await trx
    .insertInto('quota_repositories')
    .values(rows)
    .onConflict((conflict) => conflict.columns(['repository_id', 'quota_id']).doNothing())
    .execute()
}

const lockOver = statement((trx, { repositoryId }: { repositoryId: number }) =>
  trx
    .selectFrom('quota_repositories')
    .innerJoin('quotas', 'quotas.id', 'quota_repositories.quota_id')
    .select(['quota_id', 'prefix', 'state', 'max_bytes', 'max_tags', 'max_repositories'])
    .select(['bytes', 'waiting', 'tags', 'repositories', 'step', 'cursor'])
    .where('repository_id', '=', repositoryId)
    .where('state', '!=', 'removed')
    .orderBy('quota_id')
    .forNoKeyUpdate(),
)

/** Whether what has this place in the order of counting is counted: else the count comes to it later, or has left it. */
export function isCounted(over: Over, kind: 'manifests' | 'tags', place: string): boolean {
  const step = stepOf(over)
  return step > COUNTED[kind] || (step === COUNTED[kind] && place <= placeOf(over))
}

/** Where its count stands; one that comes has noted beside it what it brings (`quota-renaming.ts`). */
export function placeOf({ cursor }: Pick<Over, 'cursor'>): string {
  return cursor.split(' ', 1)[0] ?? ''
}

export type Change = Partial<Amounts & { waiting: number }>

/**
 * Writes what changed, which `bound` changes may do within the limits alone. While a quota counts what was there before it,
 * nobody knows what is used, and nothing is refused. @throws MetadataError `denied`
 */
export async function change(trx: Handle, over: Over, by: Change, bound: boolean): Promise<void> {
  const { bytes = 0, waiting = 0, tags = 0, repositories = 0 } = by
  if (bytes === 0 && waiting === 0 && tags === 0 && repositories === 0) return
  if (bound) check(over, by)
  await trx
    .updateTable('quotas')
    .set(({ eb, ref }) => ({
      bytes: eb(ref('bytes'), '+', bytes),
      waiting: eb(ref('waiting'), '+', waiting),
      tags: eb(ref('tags'), '+', tags),
      repositories: eb(ref('repositories'), '+', repositories),
    }))
    .where('id', '=', over.quota_id)
    .execute()
}

/** @throws MetadataError `denied` */
export function check(over: Over, { bytes = 0, waiting = 0, tags = 0, repositories = 0 }: Change): void {
  if (over.state !== 'exact' || wayOf(over.step) !== 0) return
  const { max_bytes, max_tags, max_repositories } = over
  refuse(over, 'bytes', bytes, max_bytes)
  refuse(over, 'tags', tags, max_tags)
  refuse(over, 'repositories', repositories, max_repositories)
  refuse(over, 'waiting', waiting, max_bytes === null ? null : max_bytes + WAITING_ALLOWANCE)
}

function refuse(
  over: Over,
  resource: Exclude<QuotaDenial['resource'], 'uploads'>,
  asked: number,
  allowed: number | null,
): void {
  const used = over[resource]
  if (asked <= 0 || allowed === null || used + asked <= allowed) return
  const { prefix } = over
  throw new MetadataError('denied', `the quota of ${prefix} has no room for ${asked} ${resource} more`, undefined, {
    ...{ kind: 'quota', prefix, resource, used, asked, allowed },
  })
}

/** `a/b/c` → `''`, `a`, `a/b`, `a/b/c`: the prefixes that a quota over the repository may have. */
export function prefixesOf(repository: string): string[] {
  const parts = repository.split('/')
  return parts.map((_, index) => parts.slice(0, index).join('/')).concat(repository)
}
