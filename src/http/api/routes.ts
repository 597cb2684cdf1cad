import { version } from '../../../package.json' with { type: 'json' }
import { addAcl } from './acl.ts'
import type { ApiDeps, Caller } from './api.ts'
import { addAudit } from './audit.ts'
import { addCollection } from './collection.ts'
import { addContents } from './contents.ts'
import { type ApiRouter, createRouter } from './context.ts'
import { refuseLimited } from './credential.ts'
import { addGroups } from './groups.ts'
import { addImmutable } from './immutable.ts'
import { addKeys } from './keys.ts'
import { addMe } from './me.ts'
import { addNotifications } from './notifications.ts'
import { ProblemError } from './problem.ts'
import { addQuotas } from './quotas.ts'
import { addRepositories } from './repositories.ts'
import { addRetention } from './retention.ts'
import { addRobots } from './robots.ts'
import { MOUNT } from './route.ts'
import { addSnapshots } from './snapshots.ts'
import { addTokens } from './tokens.ts'
import { addTrash } from './trash.ts'
import { addUsers } from './users.ts'
import { addVerification } from './verification.ts'

export type ApiDocument = ReturnType<ApiRouter['getOpenAPI31Document']>

/** Who may call an operation: every account for itself, administrators, or whoever asks through the control socket. */
export type ApiAccess = 'account' | 'administrator' | 'operator'

/** Where an operation of the document says so. */
export const ACCESS_KEY = 'x-berth-access'

/** All of these ask for the operator (operator.ts). */
const OF_THE_OPERATOR = new Set(['contents', 'snapshots'])

const INFO = { openapi: '3.1.0', info: { title: 'Berth', version } }

/** The routes of the API, and the OpenAPI document that describes them. */
export function createApiRoutes(deps: ApiDeps): { router: ApiRouter; document: ApiDocument } {
  const own = createRouter()
  addMe(own, deps)
  const admin = createRouter()
  // All that follows, whether or not there is something at the path.
  admin.use('*', async (c, next) => {
    requireAdmin(c.env.caller)
    await next()
  })
  for (const add of [
    addUsers,
    addGroups,
    addRobots,
    addTokens,
    addAcl,
    addAudit,
    addKeys,
    addCollection,
    addTrash,
    addRepositories,
    addVerification,
    addImmutable,
    addRetention,
    addQuotas,
    addNotifications,
    addContents,
    addSnapshots,
  ])
    add(admin, deps)

  // Each on its own, for the order counts: what an account may do for itself comes before the gate of administrators.
  const described = createRouter()
  described.route('/', own)
  described.route('/', admin)
  const document = described.getOpenAPI31Document(INFO)
  const ofAccounts = own.getOpenAPI31Document(INFO).paths ?? {}
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const operation of Object.values(item)) {
      const summary = inWords(operation.operationId ?? '')
      Object.assign(operation, { summary, [ACCESS_KEY]: accessOf(path in ofAccounts, operation) })
    }
  }
  const router = createRouter()
  router.route(MOUNT, described)
  return { router, document }
}

/** What the API is, for whoever has no program that runs. */
export function describeApi(): ApiDocument {
  // The routes are made, and none is called.
  return createApiRoutes({} as ApiDeps).document
}

function accessOf(isOwn: boolean, { tags = [] }: { tags?: string[] }): ApiAccess {
  if (isOwn) return 'account'
  return tags.some((tag) => OF_THE_OPERATOR.has(tag)) ? 'operator' : 'administrator'
}

/** `createRobotToken` → `Create robot token`. */
function inWords(id: string): string {
  const words = id.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return words.slice(0, 1).toUpperCase() + words.slice(1)
}

function requireAdmin(caller: Caller): void {
  refuseLimited(caller)
  if (!caller.admin) throw new ProblemError(403, 'only administrators may do this')
}
