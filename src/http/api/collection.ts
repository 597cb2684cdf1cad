import { createRoute } from '@hono/zod-openapi'
import { answered, ChangeError } from '../../auth/administration.ts'
import { isDigest } from '../../oci/digest.ts'
import type { CollectionRun, CollectionRuns } from '../../registry/collect-runs.ts'
import type { ApiDeps } from './api.ts'
import {
  byDigest,
  type CollectionStatusView,
  newRunSchema,
  type RunView,
  runSchema,
  statusSchema,
  type WhyView,
  whySchema,
} from './collection-schemas.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError, served } from './problem.ts'
import { body, json, refusals } from './route.ts'
import { isoOf, isoOrNull } from './views.ts'

const tags = ['garbage collection']

export function addCollection(router: ApiRouter, { collection, changes }: ApiDeps): void {
  const ask = (): CollectionRuns => served(collection)

  const status = createRoute({
    operationId: 'collectionStatus',
    tags,
    method: 'get',
    path: '/gc',
    responses: { 200: json(statusSchema, 'Queues, garbage, the trash, and what was collected so far'), ...refusals },
  })
  router.openapi(status, async (c) => c.json(statusView(await answered(() => ask().status())), 200))

  const start = createRoute({
    operationId: 'startCollection',
    tags,
    method: 'post',
    path: '/gc/runs',
    description: 'Begins a cycle of the collector besides those that happen by themselves.',
    request: { body: body(newRunSchema) },
    responses: { 202: json(runSchema, 'It has begun; ask for the latest run to see how far it is'), ...refusals },
  })
  router.openapi(start, async (c) => {
    const { now: immediately = false, dryRun = false, untagged = false } = c.req.valid('json')
    const begin = async () => {
      const begun = ask().start({ immediately, dryRun, untagged })
      if (begun === undefined) throw new ChangeError('conflict', 'a run is under way; wait for its end')
      return begun
    }
    const words = [
      dryRun ? 'a dry run' : 'a run',
      ...(immediately ? ['at once'] : []),
      ...(untagged ? ['untagged'] : []),
    ]
    const begun = await changes.run(c.env.actor, 'garbage collection', words.join(', '), begin)
    return c.json(runView(begun), 202)
  })

  const latest = createRoute({
    operationId: 'latestCollection',
    tags,
    method: 'get',
    path: '/gc/runs/latest',
    responses: { 200: json(runSchema, 'The run under way, or the last one'), ...refusals },
  })
  router.openapi(latest, async (c) => {
    const found = ask().latest()
    if (found === undefined) throw new ProblemError(404, 'nobody has asked for a run since the server started')
    return c.json(found.state === 'running' ? progressView(found) : runView(found), 200)
  })

  const why = createRoute({
    operationId: 'whyIsItKept',
    tags,
    method: 'get',
    path: '/gc/why/{digest}',
    request: { params: byDigest },
    responses: { 200: json(whySchema, 'What keeps the digest, from tags down'), ...refusals },
  })
  router.openapi(why, async (c) => {
    const { digest } = c.req.valid('param')
    if (!isDigest(digest)) throw new ProblemError(400, `${digest} is no digest`)
    const found = await answered(() => ask().why(digest))
    const view: WhyView = {
      digest,
      blob: found.blob ?? null,
      keepers: found.keepers.map(({ tag, waitsSince, ...keeper }) => ({
        ...keeper,
        tag: tag ?? null,
        waitsSince: isoOrNull(waitsSince),
      })),
      reviews: found.reviews.map((review) => ({ ...review, since: isoOf(review.since) })),
      trash: found.trash.map((row) => ({ ...row, deletedAt: isoOf(row.deletedAt) })),
      discarded: found.discarded.map(({ dueAt, attempts }) => ({ dueAt: isoOf(dueAt), attempts })),
    }
    return c.json(view, 200)
  })
}

/** What was taken is listed when all is: who looks at a run again and again would be told ten thousand digests each time. */
function progressView(run: CollectionRun): RunView {
  return { ...runView(run), listed: { manifests: [], blobs: [] } }
}

function runView({ mode, startedAt, endedAt, error, ...run }: CollectionRun): RunView {
  const { immediately: now, dryRun, untagged } = mode
  const times = { startedAt: isoOf(startedAt), endedAt: isoOrNull(endedAt) }
  return { ...run, now, dryRun, untagged, ...times, error: error ?? null }
}

function statusView(found: Awaited<ReturnType<CollectionRuns['status']>>): CollectionStatusView {
  const { terms, links, manifests, failing, garbage, discarded, trash, uploads, collected, latest } = found
  const { delay: delayMs, untagged, window: windowMs, workers } = terms
  return {
    settings: { delayMs, untaggedMs: untagged === 'keep' ? null : untagged, windowMs, workers },
    queue: { links, manifests, failing },
    ...{ garbage, discarded, collected },
    trash: { ...trash, oldest: isoOrNull(trash.oldest) },
    uploads: { ...uploads, oldest: isoOrNull(uploads.oldest) },
    latest: latest === undefined ? null : progressView(latest),
  }
}
