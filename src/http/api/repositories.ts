import { randomUUID } from 'node:crypto'
import { createRoute } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { answered, ChangeError, notFound } from '../../auth/administration.ts'
import type { EventCause } from '../../registry/events.ts'
import type { Renamed, Repositories } from '../../registry/repositories.ts'
import { repositoryView, tagView } from '../overview.ts'
import { allowed } from './allowed.ts'
import type { ApiDeps } from './api.ts'
import type { ApiEnv, ApiRouter } from './context.ts'
import { served } from './problem.ts'
import {
  byRepository,
  deletionQuery,
  renamingSchema,
  repositoriesQuery,
  repositoriesSchema,
  repositoryDeletedSchema,
  repositoryTagsQuery,
  repositoryTagsSchema,
} from './repository-schemas.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'

const tags = ['repositories']

/** Whole repositories: see registry/repositories.ts. */
export function addRepositories(router: ApiRouter, deps: ApiDeps): void {
  const { changes } = deps
  const ask = (): Repositories =>
    served(deps.repositories, 'no registry runs here, or its images are still being adopted')

  const list = createRoute({
    operationId: 'listRepositories',
    tags,
    method: 'get',
    path: '/repositories',
    description: 'A page may end early: Link leads to what follows.',
    request: { query: repositoriesQuery },
    responses: { 200: json(repositoriesSchema, 'Repositories that have a manifest, by name'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const page = c.req.valid('query')
    const found = await answered(() => ask().overview(page))
    // `pageOf` makes the Link from one row more than there is room for.
    const rows = found.repositories
    const shown = pageOf(c, found.more ? [...rows, ...rows.slice(-1)] : rows, rows.length, ({ name }) => ['last', name])
    return c.json({ repositories: shown.map(repositoryView) }, 200)
  })

  const listTags = createRoute({
    operationId: 'listRepositoryTags',
    tags,
    method: 'get',
    path: '/repositories/{name}/tags',
    request: { params: byRepository, query: repositoryTagsQuery },
    responses: { 200: json(repositoryTagsSchema, 'Tags by name'), ...refusals },
  })
  router.openapi(listTags, async (c) => {
    const { name } = c.req.valid('param')
    const { limit, last } = c.req.valid('query')
    const rows = await answered(() => ask().tags(name, { last, limit: limit + 1 }))
    if (rows === undefined) throw notFound(`repository ${name}`)
    const shown = pageOf(c, rows, limit, (row) => ['last', row.name])
    return c.json({ tags: shown.map((row) => ({ ...tagView(row), pushedBy: row.pushedBy ?? null })) }, 200)
  })

  const remove = createRoute({
    operationId: 'deleteRepository',
    tags,
    method: 'delete',
    path: '/repositories/{name}',
    description:
      'Moves all manifests to the trash, from which one request restores them, and ends uploads under way. What is pushed from then on makes the repository anew.',
    request: { params: byRepository, query: deletionQuery },
    responses: { 200: json(repositoryDeletedSchema, 'What went'), ...refusals },
  })
  router.openapi(remove, async (c) => {
    const { name } = c.req.valid('param')
    const { purge = false, force = false } = c.req.valid('query')
    const repositories = ask()
    const { actor } = c.env
    const go = async () => {
      const deleted = await allowed(() =>
        repositories.delete(name, { actor: actor.account, force, cause: () => causeOf(c) }),
      )
      if (deleted === undefined) throw notFound(`repository ${name}`)
      if (deleted === 'undone')
        throw new ChangeError(
          'conflict',
          `the deletion of ${name} was called off before its end, by a restoration of what it had taken`,
        )
      return { ...deleted, purged: purge ? await purgeBatch(deps, name, deleted.batch) : 0 }
    }
    const words = `deleted${purge ? ' for good' : ''}${force ? ', by force' : ''}`
    // It may take long: nobody else's change waits for it.
    const done = await changes.prepared(actor, `repository ${name}`, words, go, async (deleted) => deleted)
    return c.json(done, 200)
  })

  const rename = createRoute({
    operationId: 'renameRepository',
    tags,
    method: 'post',
    path: '/repositories/{name}/rename',
    description:
      'Gives a repository another name, with its tags, trash, history and pulls; no bytes move. The old name is unknown from then on.',
    request: { params: byRepository, body: body(renamingSchema) },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(rename, async (c) => {
    const { name } = c.req.valid('param')
    const { to, force = false } = c.req.valid('json')
    const repositories = ask()
    const { actor } = c.env
    const go = async () => {
      const by = { actor: actor.account, force, cause: () => causeOf(c) }
      const outcome = await allowed(() => repositories.rename(name, to, by))
      if (outcome === 'unknown') throw notFound(`repository ${name}`)
      if (outcome !== 'renamed') throw new ChangeError('conflict', refusalOf(outcome, name, to))
    }
    await changes.run(actor, `repository ${name}`, `renamed to ${to}${force ? ', by force' : ''}`, go)
    return c.body(null, 204)
  })
}

function refusalOf(outcome: Exclude<Renamed, 'renamed' | 'unknown'>, name: string, to: string): string {
  switch (outcome) {
    case 'deleting':
      return `${name} is being deleted; try again when that has ended, or call it off first (berth trash list --repository ${name} shows its batch, berth trash restore ${name} --batch ID)`
    case 'exists':
      return `there is a repository ${to} already; repositories are not merged: delete it, or rename it first`
    case 'in-trash':
      return `a repository ${to} was deleted and can be restored from the trash still; take it out for good first (berth trash list --repository ${to}, berth trash purge ID)`
    case 'in-use':
      return `${to} has blobs that wait for their manifest, or for garbage collection; try again when that has ended (berth gc status)`
    default:
      return outcome satisfies never
  }
}

/**
 * Resolves to how many manifests are gone for good. What an index in the trash names goes after that one: after an index of the
 * same deletion here, after one of an earlier deletion when the window of that ends.
 */
async function purgeBatch({ trash, collection }: ApiDeps, repository: string, batch: string): Promise<number> {
  const ids: number[] = []
  for (let before: number | undefined; ; ) {
    const rows = (await trash?.list(repository, { before, limit: PAGE })) ?? []
    ids.push(...rows.filter((row) => row.batch === batch).map(({ id }) => id))
    if (rows.length < PAGE) break
    before = rows.at(-1)?.id
  }
  let purged = 0
  // Most indexes went to the trash before what they name.
  for (let left = ids.reverse(), held: number[] = []; left.length > 0; left = held) {
    held = []
    for (const id of left) {
      const outcome = await collection?.purge(id)
      if (outcome === 'purged') purged++
      else if (outcome === 'held') held.push(id)
    }
    if (held.length === left.length) break
  }
  return purged
}

const PAGE = 100

/** What notifications say of the request behind the change. */
function causeOf(c: Context<ApiEnv>): EventCause {
  const { actor } = c.env
  return {
    actor: actor.account,
    base: '/',
    request: {
      id: randomUUID(),
      addr: actor.address === '' ? undefined : actor.address,
      host: c.req.header('host'),
      method: c.req.method,
      useragent: c.req.header('user-agent') ?? '',
    },
  }
}
