import type { TrashView } from '../http/api/collection-schemas.ts'
import type { Ask } from './control.ts'
import { CommandError } from './error.ts'
import { wholeDigest } from './short-digest.ts'

/** What a command line names of the trash. */
export type Asked =
  | { kind: 'id'; id: string }
  | { kind: 'manifest'; repository: string; digest: string }
  | { kind: 'batch'; repository: string | undefined; batch: string }

/** Body of a restoration. */
export interface Restoration {
  repository: string
  digest?: string
  batch?: string
}

type Row = TrashView['manifests'][number]

export function isTrashId(text: string): boolean {
  return /^[1-9][0-9]{0,14}$/.test(text)
}

/** @throws CommandError for wrong usage */
export function askedFor(named: string | undefined, batch: string | undefined): Asked {
  const [repository = '', digest] = (named ?? '').split('@')
  if (batch !== undefined && digest === undefined) {
    return { kind: 'batch', repository: named === undefined ? undefined : repository, batch }
  }
  if (batch === undefined && digest !== undefined) return { kind: 'manifest', repository, digest }
  if (batch === undefined && isTrashId(repository)) return { kind: 'id', id: repository }
  throw new CommandError('name a manifest by its ID or as REPOSITORY@DIGEST, or give --batch BATCH alone', 2, {
    hint: 'berth trash list shows them',
  })
}

/** What the server is asked to bring back. @throws CommandError where the trash has no such thing, or several */
export async function restorationOf(ask: Ask, asked: Asked): Promise<Restoration> {
  switch (asked.kind) {
    case 'id':
      return await manifestOf(ask, asked.id)
    case 'manifest': {
      const { repository } = asked
      const page = (before: string | undefined) =>
        ask<TrashView>('GET', '/trash', { query: { repository, limit: '1000', before } })
      const digestsOf = ({ manifests }: TrashView) => manifests.map((row) => row.digest)
      return { repository, digest: await wholeDigest(asked.digest, page, digestsOf) }
    }
    default:
      return await batchOf(ask, asked)
  }
}

async function manifestOf(ask: Ask, id: string): Promise<Restoration> {
  const query = { before: String(Number(id) + 1), limit: '1' }
  const [row] = (await ask<TrashView>('GET', '/trash', { query })).json.manifests
  if (row === undefined || row.id !== Number(id)) throw new CommandError(`there is no ${id} in the trash`)
  const { repository, digest } = row
  // A manifest may have been deleted again since: what the server brings back is the last deletion.
  for await (const later of rowsOf(ask, repository)) {
    if (later.id <= row.id) break
    if (later.digest !== digest) continue
    throw new CommandError(
      `${repository}@${digest} was deleted again after ${id}: ${later.id} comes back before it`,
      1,
      {
        hint: `berth trash restore ${later.id}`,
      },
    )
  }
  return { repository, digest }
}

/** A whole one, which is a UUID. */
const BATCH = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** Beginnings of one. */
const START_OF_BATCH = /^[0-9a-f]{4,8}(?:-[0-9a-f-]{0,26})?$/

/** Lists on a terminal show eight digits of it. */
async function batchOf(
  ask: Ask,
  { repository, batch }: { repository: string | undefined; batch: string },
): Promise<Restoration> {
  // Of a deletion under way nothing may be in the trash yet: it is called off all the same.
  if (repository !== undefined && (BATCH.test(batch) || !START_OF_BATCH.test(batch))) return { repository, batch }
  const found = new Map<string, Restoration>()
  for await (const row of rowsOf(ask, repository)) {
    if (row.batch === null || !row.batch.startsWith(batch)) continue
    found.set(`${row.repository} ${row.batch}`, { repository: row.repository, batch: row.batch })
  }
  const [only, ...others] = found.values()
  const where = repository === undefined ? 'the trash' : `the trash of ${repository}`
  if (only === undefined) throw new CommandError(`nothing in ${where} has a batch that begins with ${batch}`)
  if (others.length === 0) return only
  const each = [only, ...others].map((one) => `\n  berth trash restore ${one.repository} --batch ${one.batch}`)
  throw new CommandError(`${batch} stands for several batches, which are restored one by one:${each.join('')}`)
}

/** All of the trash, the last deletion first. */
async function* rowsOf(ask: Ask, repository: string | undefined): AsyncGenerator<Row> {
  let before: string | undefined
  do {
    const answer = await ask<TrashView>('GET', '/trash', { query: { repository, limit: '1000', before } })
    yield* answer.json.manifests
    before = answer.next?.get('before') ?? undefined
  } while (before !== undefined)
}
