import { createRoute, z } from '@hono/zod-openapi'
import { ChangeError, notFound } from '../../auth/administration.ts'
import type { Snapshot, Snapshots } from '../../registry/snapshots.ts'
import type { ApiDeps } from './api.ts'
import type { ApiRouter } from './context.ts'
import { requireOperator } from './operator.ts'
import { ProblemError } from './problem.ts'
import { json, nothing, refusals } from './route.ts'
import { byId } from './schemas.ts'
import { isoOf } from './views.ts'

export const snapshotSchema = z
  .object({
    id: z.string(),
    state: z.enum(['writing', 'ready', 'failed']),
    path: z.string().openapi({ description: 'A database file on the machine of the server, while it is ready' }),
    at: z.iso.datetime(),
    problem: z.string().nullable(),
  })
  .openapi('Snapshot')
export type SnapshotView = z.infer<typeof snapshotSchema>

const tags = ['snapshots']

/** What `berth backup` asks for: a snapshot of the database, and that the bytes of its blobs stay until it has them. */
export function addSnapshots(router: ApiRouter, deps: ApiDeps): void {
  const ask = (): Snapshots => {
    const { snapshots } = deps
    if (snapshots !== undefined) return snapshots
    throw new ProblemError(409, 'there is no registry here, or its images are being adopted: back up afterwards')
  }

  const begin = createRoute({
    operationId: 'beginSnapshot',
    tags,
    method: 'post',
    path: '/snapshots',
    description: 'For whoever asks through the control socket, as all of these.',
    responses: { 202: json(snapshotSchema, 'It is being written; ask for it until it is ready'), ...refusals },
  })
  router.openapi(begin, async (c) => {
    requireOperator(c.env.caller)
    const begun = ask().begin()
    if (begun === undefined) throw new ChangeError('conflict', 'several backups run already; wait for one of them')
    return c.json(view(begun), 202)
  })

  const show = createRoute({
    operationId: 'showSnapshot',
    tags,
    method: 'get',
    path: '/snapshots/{id}',
    description: 'Keeps it, too: a snapshot that nobody asks for in five minutes is removed.',
    request: { params: byId },
    responses: { 200: json(snapshotSchema, 'The snapshot'), ...refusals },
  })
  router.openapi(show, async (c) => {
    requireOperator(c.env.caller)
    const { id } = c.req.valid('param')
    const found = ask().find(id)
    if (found === undefined) throw notFound(`snapshot ${id}`)
    return c.json(view(found), 200)
  })

  const end = createRoute({
    operationId: 'endSnapshot',
    tags,
    method: 'delete',
    path: '/snapshots/{id}',
    request: { params: byId },
    responses: { 204: nothing, ...refusals },
  })
  router.openapi(end, async (c) => {
    requireOperator(c.env.caller)
    const { id } = c.req.valid('param')
    if (!(await ask().end(id))) throw notFound(`snapshot ${id}`)
    return c.body(null, 204)
  })
}

function view({ id, state, path, at, problem }: Snapshot): SnapshotView {
  return { id, state, path, at: isoOf(at), problem: problem ?? null }
}
