import { createServices, type Services } from './app-accounts.ts'
import { type AuditTrail, openAudit } from './app-audit.ts'
import { createWhoIs } from './app-callers.ts'
import type { Clock } from './app-clock.ts'
import { createThrottles, type Identity, type IdentityDeps } from './app-identity.ts'
import { createKeys } from './app-keys.ts'
import { ChangeError } from './auth/administration.ts'
import { createPasswords } from './auth/password.ts'
import type { AuditConfig } from './config/config.ts'
import { type AclExplanation, type AclQuestion, type Api, type ApiDeps, createApi } from './http/api/api.ts'
import { type ClockMemory, createClockGuard } from './jobs/clock-guard.ts'
import { startPeriodic } from './jobs/periodic.ts'
import { startPruningAccounts } from './jobs/prune-accounts.ts'
import type { AuditRow, Metadata } from './metadata/metadata.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'

/** Everything about accounts that outlives a change of the configuration. */
export interface Foundation {
  deps: IdentityDeps
  services: Services | undefined
  /** The admin API, which asks the identity of the moment; undefined without a database. */
  api(
    current: () => Pick<Identity, 'login' | 'chain' | 'server' | 'own'>,
    registry?: Pick<
      ApiDeps,
      'notifications' | 'collection' | 'trash' | 'trashWindow' | 'immutable' | 'retention' | 'quotas'
    > & {
      snapshots: () => ApiDeps['snapshots']
      repositories: () => ApiDeps['repositories']
      verification: () => ApiDeps['verification']
      verifyRate: () => number | undefined
    },
  ): Api | undefined
  /** After a tool has moved the audit file away. */
  reopen(): Promise<void>
  close(): Promise<void>
}

export interface FoundationDeps extends Clock {
  /** Undefined: a token server without a data directory. */
  metadata: Metadata | undefined
  /** Of the keys and the audit file. */
  directory: string
  keepsData: boolean
  /** When the database was written last before this start. */
  lastUse?: number | undefined
  clockMemory?: ClockMemory | undefined
  audit: () => AuditConfig
  log: Log
  metrics?: Metrics
  onPassword?: (name: string) => Promise<void>
}

/** Milliseconds between two looks at the ring of keys. */
const TEND_KEYS = 60_000

export async function openFoundation(options: FoundationDeps): Promise<Foundation> {
  const { metadata, directory, log, now, newId, metrics = createMetrics() } = options
  const trail: AuditTrail = await openAudit(options.audit(), {
    metadata,
    directory,
    log,
    now,
    appended: (rows) => pruning?.appended(rows),
  })
  const decisions = metrics.counter('berth_decisions_total', 'Decisions as the audit log has them.', [
    'kind',
    'outcome',
  ])
  const record = (row: AuditRow) => {
    decisions(row.kind, row.outcome).inc()
    trail.record(row)
  }
  const passwords = createPasswords({ now })
  const keys = createKeys({ directory, log, now })
  const { onPassword } = options
  const services =
    metadata === undefined
      ? undefined
      : createServices({ metadata, passwords, log, now, record, ...(onPassword === undefined ? {} : { onPassword }) })
  const tending = startPeriodic({
    everyMs: TEND_KEYS,
    work: keys.tend,
    failure: 'the keys of tokens could not be tended',
    log,
  })
  const pruning =
    metadata === undefined || services === undefined
      ? undefined
      : startPruningAccounts({
          audit: metadata.audit,
          removeEndedTokens: services.tokens.removeEnded,
          keep: options.audit,
          log,
          now,
          clock: createClockGuard({ now, lastUse: options.lastUse, memory: options.clockMemory, log }),
        })
  const refused = metrics.counter('berth_login_throttled_total', 'Logins that had to wait after failed ones.')()
  const throttleOf = createThrottles(now, () => refused.inc())
  return {
    deps: { metadata, services, passwords, keys, throttleOf, keepsData: options.keepsData, record, log, now, newId },
    services,
    api: (current, registry) =>
      metadata === undefined || services === undefined
        ? undefined
        : createApi({
            ...services,
            notifications: registry?.notifications,
            // None while images of another registry are being adopted.
            get snapshots() {
              return registry?.snapshots()
            },
            get verification() {
              return registry?.verification()
            },
            verifyRate: registry?.verifyRate,
            collection: registry?.collection,
            trash: registry?.trash,
            get repositories() {
              return registry?.repositories()
            },
            trashWindow: registry?.trashWindow,
            immutable: registry?.immutable,
            retention: registry?.retention,
            quotas: registry?.quotas,
            audit: metadata.audit,
            contents: metadata.contents,
            whoIs: createWhoIs({ login: () => current().login, now, record }),
            findAccount: async (account, source) => {
              const known = await current().chain?.find(account)
              return known !== undefined && (source === undefined || known.source === source) ? known : undefined
            },
            explain: (question) => explain(current().server, question),
            inForce: () => current().own,
            keys: {
              list: async () => keys.list(),
              // Another after a reload that brought a pair of the operator's, or took it away.
              get rotate() {
                return keys.rotate()
              },
            },
            log,
            now,
          }),
    reopen: trail.reopen,
    async close() {
      await Promise.all([tending.stop(), pruning?.stop(), services?.tokens.flush().catch(() => {})])
      await trail.close()
    },
  }
}

async function explain(server: Identity['server'], question: AclQuestion): Promise<AclExplanation> {
  if (server === undefined) throw new ChangeError('conflict', 'there are no rules to ask: no token server runs here')
  const { account, scope, service, ip: address, labels } = question
  const { source, decisions } = await server.explain({ account, scopes: [scope], service, address, labels })
  const [decision] = decisions
  return { source, granted: decision?.actions ?? [], rule: decision?.rule, trace: decision?.traces ?? [] }
}
