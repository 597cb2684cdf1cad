import { createRoute } from '@hono/zod-openapi'
import { answered, ChangeError } from '../../auth/administration.ts'
import { isDigest } from '../../oci/digest.ts'
import { AFFECTED, type Finding } from '../../registry/finding.ts'
import type { VerifyRun, VerifyRuns } from '../../registry/verify-runs.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError, served } from './problem.ts'
import { body, json, nothing, pageOf, refusals } from './route.ts'
import {
  damagedQuery,
  type FindingView,
  findingsQuery,
  newVerifyRunSchema,
  type VerifyRunView,
  verifyReportSchema,
  verifyRunSchema,
  verifyStatusSchema,
} from './verification-schemas.ts'
import { isoOf, isoOrNull } from './views.ts'

const tags = ['verification']

export function addVerification(router: ApiRouter, deps: ApiDeps): void {
  const { changes } = deps
  const ask = (): VerifyRuns =>
    served(deps.verification, 'there is no registry here, or its images are being adopted: verify it afterwards')

  const status = createRoute({
    operationId: 'verificationStatus',
    tags,
    method: 'get',
    path: '/verify',
    description: 'What is known without looking: damaged blobs with what needs them, by digest, and the scrub.',
    request: { query: damagedQuery },
    responses: { 200: json(verifyStatusSchema, 'Damaged blobs, the scrub, and the latest run'), ...refusals },
  })
  router.openapi(status, async (c) => {
    const { limit, last } = c.req.valid('query')
    const runs = ask()
    const after = last !== undefined && isDigest(last) ? last : undefined
    const rows = pageOf(c, await answered(() => runs.damaged({ last: after, limit: limit + 1 })), limit, (row) => [
      'last',
      row.digest,
    ])
    const damaged = []
    for (const { digest, size, reason, foundAt } of rows) {
      const affected = (await answered(() => runs.affected(digest, AFFECTED))).map(affectedView)
      damaged.push({ digest, size, reason, foundAt: isoOf(foundAt), affected })
    }
    const scrub = await answered(() => runs.scrub())
    const latest = runs.latest()
    const scrubView = scrub && {
      ...{ startedAt: isoOf(scrub.startedAt), endedAt: isoOrNull(scrub.endedAt) },
      ...{ blobs: scrub.blobs, bytes: scrub.bytes, damaged: scrub.damaged },
    }
    return c.json({ scrub: scrubView ?? null, damaged, latest: latest === undefined ? null : runView(latest) }, 200)
  })

  const start = createRoute({
    operationId: 'startVerification',
    tags,
    method: 'post',
    path: '/verify/runs',
    request: { body: body(newVerifyRunSchema) },
    responses: { 202: json(verifyRunSchema, 'It has begun; ask for the latest run to see how far it is'), ...refusals },
  })
  router.openapi(start, async (c) => {
    const { deep = false, repair = false, rate } = c.req.valid('json')
    const begin = async () => {
      const usual = deps.verifyRate?.()
      const begun = ask().start({ deep, repair, rate: rate === undefined ? usual : rate === 0 ? undefined : rate })
      if (begun === undefined) throw new ChangeError('conflict', 'a verification is under way; wait for its end')
      return begun
    }
    const words = ['verification', ...(deep ? ['deep'] : []), ...(repair ? ['with repairs'] : [])].join(', ')
    return c.json(runView(await changes.run(c.env.actor, 'storage', words, begin)), 202)
  })

  const latest = createRoute({
    operationId: 'latestVerification',
    tags,
    method: 'get',
    path: '/verify/runs/latest',
    description: 'Findings are numbered as they come; past 10,000 of a run they are only counted.',
    request: { query: findingsQuery },
    responses: { 200: json(verifyReportSchema, 'The run under way, or the last one'), ...refusals },
  })
  router.openapi(latest, async (c) => {
    const { from, limit } = c.req.valid('query')
    const found = ask().latest()
    if (found === undefined) throw new ProblemError(404, 'nobody has asked for a verification since the server started')
    // The run first: what it counts by then is among the findings.
    const run = runView(found)
    return c.json({ run, findings: ask().findings(from, limit).map(findingView) }, 200)
  })

  const stop = createRoute({
    operationId: 'stopVerification',
    tags,
    method: 'delete',
    path: '/verify/runs/latest',
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(stop, async (c) => {
    await changes.run(c.env.actor, 'storage', 'verification stopped', async () => {
      if (!ask().stop()) throw new ChangeError('not-found', 'no verification is under way')
    })
    return c.body(null, 204)
  })
}

function affectedView({ repository, tag, manifest }: Finding['affected'][number]) {
  return { repository, tag: tag ?? null, manifest }
}

function findingView({ affected, done, advice, ...finding }: Finding): FindingView {
  return { ...finding, affected: affected.map(affectedView), done: done ?? null, advice: advice ?? null }
}

function runView({ mode, startedAt, endedAt, progress, error, ...run }: VerifyRun): VerifyRunView {
  const { deep, repair } = mode
  const { total, totalBytes } = progress
  return {
    ...run,
    ...{ deep, repair, startedAt: isoOf(startedAt), endedAt: isoOrNull(endedAt), error: error ?? null },
    progress: { ...progress, total: total ?? null, totalBytes: totalBytes ?? null },
  }
}
