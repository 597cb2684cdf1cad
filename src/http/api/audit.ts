import { createRoute } from '@hono/zod-openapi'
import { answered } from '../../auth/administration.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { given, json, pageOf, refusals } from './route.ts'
import { auditQuery, auditSchema } from './schemas.ts'
import { isoOf } from './views.ts'

export function addAudit(router: ApiRouter, { audit }: ApiDeps): void {
  const list = createRoute({
    operationId: 'listAudit',
    tags: ['audit'],
    method: 'get',
    path: '/audit',
    request: { query: auditQuery },
    responses: { 200: json(auditSchema, 'Decisions and changes, the newest first'), ...refusals },
  })
  router.openapi(list, async (c) => {
    const { limit, before, account, kind, outcome } = c.req.valid('query')
    const filter = given({ account, kind, outcome })
    const rows = await answered(() => audit.list(filter, { before, limit: limit + 1 }))
    const page = pageOf(c, rows, limit, ({ id }) => ['before', String(id)])
    return c.json({ entries: page.map((row) => ({ ...row, at: isoOf(row.at) })) }, 200)
  })
}
