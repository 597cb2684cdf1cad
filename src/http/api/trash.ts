import { createRoute } from '@hono/zod-openapi'
import { answered, ChangeError } from '../../auth/administration.ts'
import { isDigest } from '../../oci/digest.ts'
import type { Trash } from '../../registry/trash.ts'
import { allowed } from './allowed.ts'
import type { ApiDeps } from './api.ts'
import {
  byTrashId,
  historyQuery,
  historySchema,
  restorationSchema,
  restoredSchema,
  tagRestorationSchema,
  tagRestoredSchema,
  trashQuery,
  trashSchema,
} from './collection-schemas.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError, served } from './problem.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'
import { isoOf } from './views.ts'

const tags = ['trash']

export function addTrash(router: ApiRouter, deps: ApiDeps): void {
  const { changes, collection } = deps
  const ask = (): { trash: Trash; window: number } => {
    return { trash: served(deps.trash), window: deps.trashWindow?.() ?? 0 }
  }

  const list = createRoute({
    operationId: 'listTrash',
    tags,
    method: 'get',
    path: '/trash',
    request: { query: trashQuery },
    responses: { 200: json(trashSchema, 'Manifests that can be restored, the last deleted first'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { repository, limit, before } = c.req.valid('query')
    const { trash, window } = ask()
    const rows = await answered(() => trash.list(repository, { before, limit: limit + 1 }))
    const page = pageOf(c, rows, limit, ({ id }) => ['before', String(id)])
    const manifests = page.map(({ batch, deletedAt, ...row }) => ({
      ...row,
      batch: batch ?? null,
      deletedAt: isoOf(deletedAt),
      endsAt: isoOf(deletedAt + window),
    }))
    return c.json({ manifests }, 200)
  })

  const restore = createRoute({
    operationId: 'restoreFromTrash',
    tags,
    method: 'post',
    path: '/trash/restore',
    description:
      'Brings a manifest back, with its tags and its children, or all that one deletion of a repository took.',
    request: { body: body(restorationSchema) },
    responses: { 200: json(restoredSchema, 'What is back'), ...refusals },
  })
  router.openapi(restore, async (c) => {
    const { repository, digest, batch } = c.req.valid('json')
    const { trash } = ask()
    const { actor } = c.env
    if ((digest === undefined) === (batch === undefined)) throw new ProblemError(400, 'give either digest or batch')
    const bring = async () => {
      const restored =
        digest !== undefined && isDigest(digest)
          ? await trash.restore(repository, digest, actor.account)
          : await trash.restoreBatch(repository, batch ?? '', actor.account)
      if (restored === undefined)
        throw new ChangeError('not-found', `${digest ?? batch} of ${repository} is not in the trash`)
      return restored
    }
    const restored = await changes.run(actor, `${repository}@${digest ?? batch}`, 'restored from the trash', () =>
      answered(bring),
    )
    return c.json(restored, 200)
  })

  const purge = createRoute({
    operationId: 'purgeFromTrash',
    tags,
    method: 'delete',
    path: '/trash/{id}',
    description:
      'Takes a manifest out of the trash for good, with the blobs that its deletion freed, unless they were uploaded, asked for or mounted since. Not while an index in the trash names it.',
    request: { params: byTrashId },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(purge, async (c) => {
    const { id } = c.req.valid('param')
    ask()
    const go = async () => {
      const purged = await answered(async () => (await collection?.purge(id)) ?? 'unknown')
      if (purged === 'unknown') throw new ChangeError('not-found', `there is no ${id} in the trash`)
      if (purged === 'held')
        throw new ChangeError(
          'conflict',
          `an index in the trash names ${id} and would come back without it: take the index out first (berth trash list shows both)`,
        )
    }
    await changes.run(c.env.actor, `trash ${id}`, 'purged', go)
    return c.body(null, 204)
  })

  const history = createRoute({
    operationId: 'tagHistory',
    tags,
    method: 'get',
    path: '/tags/history',
    request: { query: historyQuery },
    responses: { 200: json(historySchema, 'Moves of tags, the newest first'), ...refusals },
  })
  router.openapi(history, async (c) => {
    const { repository, tag, limit, before } = c.req.valid('query')
    const { trash } = ask()
    const rows = await answered(() => trash.history(repository, tag, { before, limit: limit + 1 }))
    const page = pageOf(c, rows, limit, ({ id }) => ['before', String(id)])
    const moves = page.map(({ from, to, at, ...move }) => ({
      ...move,
      from: from ?? null,
      to: to ?? null,
      at: isoOf(at),
    }))
    return c.json({ moves }, 200)
  })

  const restoreTag = createRoute({
    operationId: 'restoreTag',
    tags,
    method: 'post',
    path: '/tags/restore',
    description: 'Points a tag to what it pointed to before its last move, or to a manifest of its repository.',
    request: { body: body(tagRestorationSchema) },
    responses: { 200: json(tagRestoredSchema, 'Where it points now, and where it pointed'), ...refusals },
  })
  router.openapi(restoreTag, async (c) => {
    const { repository, tag, digest, force = false } = c.req.valid('json')
    const { trash } = ask()
    const { actor } = c.env
    const to = digest !== undefined && isDigest(digest) ? digest : undefined
    const bring = async () => {
      const restored = await allowed(() => trash.restoreTag(repository, tag, to, { actor: actor.account, force }))
      if (restored.kind === 'restored') return restored
      throw new ChangeError('not-found', notRestored(`${repository}:${tag}`, repository, restored))
    }
    const words = force ? 'restored, by force' : 'restored'
    const restored = await changes.run(actor, `${repository}:${tag}`, words, () => answered(bring))
    return c.json({ digest: restored.digest, from: restored.from ?? null }, 200)
  })
}

function notRestored(
  tag: string,
  repository: string,
  { kind, digest }: Exclude<Awaited<ReturnType<Trash['restoreTag']>>, { kind: 'restored' }>,
): string {
  if (kind === 'gone') return `${digest} is gone for good, or was never in ${repository}`
  return digest === undefined
    ? `${tag} is not there, and no move of it is known`
    : `${tag} points to ${digest} and has nothing else to go back to`
}
