import { createRoute } from '@hono/zod-openapi'
import { answered, ChangeError, notFound } from '../../auth/administration.ts'
import { quotaPrefixText } from '../../oci/quota-prefix.ts'
import type { QuotaBook, QuotaRow } from '../../registry/quotas.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import {
  byPrefix,
  newQuotaSchema,
  type QuotaView,
  quotaCheckedSchema,
  quotaCheckSchema,
  quotaDetailSchema,
  quotaSchema,
  quotasSchema,
} from './limit-schemas.ts'
import { ProblemError, served } from './problem.ts'
import { body, json, nothing, refusals } from './route.ts'
import { isoOf } from './views.ts'

const tags = ['limits']
/** Repositories that are shown of those that hold most. */
const LARGEST = 10

export function addQuotas(router: ApiRouter, { quotas, changes }: ApiDeps): void {
  const ask = (): QuotaBook => served(quotas)

  const list = createRoute({
    operationId: 'listQuotas',
    tags,
    method: 'get',
    path: '/quotas',
    responses: { 200: json(quotasSchema, 'Quotas by prefix, with what is used'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const found = await answered(() => ask().list())
    return c.json({ quotas: found.map(quotaView) }, 200)
  })

  const set = createRoute({
    operationId: 'setQuota',
    tags,
    method: 'put',
    path: '/quotas',
    description: 'Makes a quota of a prefix, or gives it other limits; what is not named is not limited any more.',
    request: { body: body(newQuotaSchema) },
    responses: { 200: json(quotaSchema, 'The quota'), ...refusals },
  })
  router.openapi(set, async (c) => {
    const { prefix, bytes, tags: most, repositories } = c.req.valid('json')
    const limits = { bytes, tags: most, repositories }
    const name = quotaPrefixText(prefix)
    const made = await changes.run(c.env.actor, `quota ${name}`, `set: ${JSON.stringify(limits)}`, async () => {
      const outcome = await ask().set(prefix, limits)
      if (outcome === 'configured') throw configured(name)
      return outcome
    })
    return c.json(quotaView(made), 200)
  })

  const remove = createRoute({
    operationId: 'removeQuota',
    tags,
    method: 'delete',
    path: '/quotas',
    request: { query: byPrefix },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(remove, async (c) => {
    const { prefix } = c.req.valid('query')
    const name = quotaPrefixText(prefix)
    await changes.run(c.env.actor, `quota ${name}`, 'removed', async () => {
      const outcome = await ask().remove(prefix)
      if (outcome === 'unknown') throw notFound(`quota of ${name}`)
      if (outcome === 'configured') throw configured(name)
    })
    return c.body(null, 204)
  })

  const show = createRoute({
    operationId: 'showQuota',
    tags,
    method: 'get',
    path: '/quotas/usage',
    request: { query: byPrefix },
    responses: { 200: json(quotaDetailSchema, 'The quota, and the repositories that hold most'), ...refusals },
  })
  router.openapi(show, async (c) => {
    const { prefix } = c.req.valid('query')
    const found = await answered(() => ask().show(prefix, LARGEST))
    if (found === undefined) throw new ProblemError(404, `there is no quota of ${quotaPrefixText(prefix)}`)
    const largest = found.largest.map(({ name, bytes, tags: count }) => ({ repository: name, bytes, tags: count }))
    return c.json({ quotas: found.quotas.map(quotaView), largest }, 200)
  })

  const check = createRoute({
    operationId: 'checkQuotas',
    tags,
    method: 'post',
    path: '/quotas/check',
    description: 'Compares what was counted with what there is; with `repair`, counts anew where they differ.',
    request: { body: body(quotaCheckSchema) },
    responses: { 200: json(quotaCheckedSchema, 'Each quota that is wholly counted'), ...refusals },
  })
  router.openapi(check, async (c) => {
    const { repair = false } = c.req.valid('json')
    const words = repair ? 'checked, to be repaired' : 'checked'
    const checked = await changes.run(c.env.actor, 'all quotas', words, () => answered(() => ask().check(repair)))
    const found = checked.map(({ quota, counted, isRight }) => ({
      ...{ prefix: quotaPrefixText(quota.prefix), source: quota.source },
      ...{ counted: quota.used, found: counted, right: isRight },
    }))
    return c.json({ quotas: found }, 200)
  })
}

function configured(name: string): ChangeError {
  return new ChangeError('conflict', `the quota of ${name} is in the server's configuration, and is changed there`)
}

function quotaView({ prefix, source, limits, used, waiting, state, createdAt, updatedAt }: QuotaRow): QuotaView {
  const { bytes = null, tags: most = null, repositories = null } = limits
  return {
    ...{ prefix: quotaPrefixText(prefix), source, limits: { bytes, tags: most, repositories }, used, state },
    ...{ waitingBytes: waiting, createdAt: isoOf(createdAt), updatedAt: isoOf(updatedAt) },
  }
}
