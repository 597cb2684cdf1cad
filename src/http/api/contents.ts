import { createRoute } from '@hono/zod-openapi'
import { answered } from '../../auth/administration.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { requireOperator } from './operator.ts'
import { json, refusals } from './route.ts'
import {
  contentBlobsQuery,
  contentBlobsSchema,
  contentManifestsQuery,
  contentManifestsSchema,
  contentMovesQuery,
  contentMovesSchema,
  contentRepositoriesSchema,
  contentsOfQuery,
  contentsQuery,
  contentTagsSchema,
} from './schemas.ts'

const tags = ['contents']

/** What `berth export` reads, page by page (`last` is the last name or digest of the page before). */
export function addContents(router: ApiRouter, { contents }: ApiDeps): void {
  const repositories = createRoute({
    operationId: 'listContentRepositories',
    tags,
    method: 'get',
    path: '/contents/repositories',
    description: 'For whoever asks through the control socket, as all of these.',
    request: { query: contentsQuery },
    responses: { 200: json(contentRepositoriesSchema, 'Repositories that hold anything, by name'), ...refusals },
  })
  router.openapi(repositories, async (c) => {
    requireOperator(c.env.caller)
    const page = c.req.valid('query')
    return c.json({ repositories: await answered(() => contents.repositories(page)) }, 200)
  })

  const manifests = createRoute({
    operationId: 'listContentManifests',
    tags,
    method: 'get',
    path: '/contents/manifests',
    request: { query: contentManifestsQuery },
    responses: { 200: json(contentManifestsSchema, 'Manifests with their bytes, by digest'), ...refusals },
  })
  router.openapi(manifests, async (c) => {
    requireOperator(c.env.caller)
    const { repository, tag, digest, subject, ...page } = c.req.valid('query')
    const found = await answered(() => contents.manifests(repository, { tag, digest, subject }, page))
    const rows = found.manifests.map((row) => ({ ...row, bytes: Buffer.from(row.bytes).toString('base64') }))
    return c.json({ manifests: rows, more: found.more }, 200)
  })

  const named = createRoute({
    operationId: 'listContentTags',
    tags,
    method: 'get',
    path: '/contents/tags',
    request: { query: contentsOfQuery },
    responses: { 200: json(contentTagsSchema, 'Tags with what they point to, by name'), ...refusals },
  })
  router.openapi(named, async (c) => {
    requireOperator(c.env.caller)
    const { repository, ...page } = c.req.valid('query')
    return c.json({ tags: await answered(() => contents.tags(repository, page)) }, 200)
  })

  const moves = createRoute({
    operationId: 'listContentMoves',
    tags,
    method: 'get',
    path: '/contents/moves',
    request: { query: contentMovesQuery },
    responses: {
      200: json(contentMovesSchema, 'What tags were pointed to, oldest first; `last` is an id'),
      ...refusals,
    },
  })
  router.openapi(moves, async (c) => {
    requireOperator(c.env.caller)
    const { repository, ...page } = c.req.valid('query')
    return c.json({ moves: await answered(() => contents.moves(repository, page)) }, 200)
  })

  const blobs = createRoute({
    operationId: 'listContentBlobs',
    tags,
    method: 'get',
    path: '/contents/blobs',
    request: { query: contentBlobsQuery },
    responses: { 200: json(contentBlobsSchema, 'Blobs that the repository may serve, by digest'), ...refusals },
  })
  router.openapi(blobs, async (c) => {
    requireOperator(c.env.caller)
    const { repository, digest, ...page } = c.req.valid('query')
    return c.json({ blobs: await answered(() => contents.blobs(repository, { digest }, page)) }, 200)
  })
}
