import type { Accounts } from '../../auth/accounts.ts'
import type { AuditLog, Changes } from '../../auth/administration.ts'
import type { Labels } from '../../auth/authenticator.ts'
import type { Trace } from '../../auth/authorizer.ts'
import type { CredentialTokens } from '../../auth/credential-tokens.ts'
import type { GroupBook } from '../../auth/groups.ts'
import type { SigningAlgorithm } from '../../auth/keys.ts'
import type { Robots } from '../../auth/robots.ts'
import type { RuleBook } from '../../auth/rule-book.ts'
import type { ScopeRequest } from '../../auth/scope-request.ts'
import type { CollectionRuns } from '../../registry/collect-runs.ts'
import type { Contents } from '../../registry/contents.ts'
import type { ImmutableTags } from '../../registry/immutable.ts'
import type { Notifications } from '../../registry/notifications.ts'
import type { QuotaBook } from '../../registry/quotas.ts'
import type { Repositories } from '../../registry/repositories.ts'
import type { Retention } from '../../registry/retention.ts'
import type { Snapshots } from '../../registry/snapshots.ts'
import type { Trash } from '../../registry/trash.ts'
import type { VerifyRuns } from '../../registry/verify-runs.ts'
import type { Log } from '../../telemetry/log.ts'

/** Who calls the API. */
export interface Caller {
  account: string
  /** Name of the source of users that knows the account. */
  source: string
  admin: boolean
  /** The personal access token that stood for the password, if one did; `limited` when it may do less than its account. */
  token?: { limited: boolean }
}

/** `refused`: there were credentials, and they were wrong. */
export type Identity = Caller | 'anonymous' | 'refused'

/** What is known of a request besides itself. */
export interface CallFrom {
  /** Whoever may open the control socket needs no credentials. */
  caller?: Caller
  /** The client's address, for the audit log; undefined on a unix socket. */
  address?: string | undefined
  /** Path of the API as the client sees it, without a slash at its end; `/api/v1` unless told. */
  basePath?: string | undefined
}

export interface AclQuestion {
  account: string
  scope: ScopeRequest
  service: string
  ip: string | undefined
  /** Undefined: those that the account has now. */
  labels: Labels | undefined
}

export interface AclExplanation {
  /** The source that knows the account; undefined when none does, as far as that can be told without its password. */
  source: string | undefined
  /** A part of what was asked. */
  granted: readonly string[]
  /** Where the rule stands that decided, or the name of the source; undefined when none spoke of it. */
  rule: string | undefined
  trace: readonly Trace[]
}

export interface KeyInfo {
  /** The `kid` of tokens that it signs. */
  id: string
  algorithm: string
  /** `next`: published, and signs from `signsFrom` on. `previous`: signs nothing any more, but what it signed counts. */
  state: 'next' | 'signing' | 'previous'
  /** Milliseconds since the epoch; undefined where it is not known. */
  signsFrom: number | undefined
  /** When it stops being trusted, in milliseconds since the epoch; undefined: not before it is replaced. */
  endsAt: number | undefined
}

export interface KeyRotation {
  /** Undefined: that of the key now. */
  algorithm: SigningAlgorithm | undefined
  /** Without the time in which other registries learn of the new key: for an old one that somebody stole. */
  immediately: boolean
}

export interface ApiDeps {
  accounts: Accounts
  groups: GroupBook
  robots: Robots
  tokens: CredentialTokens
  rules: RuleBook
  audit: AuditLog
  /** Undefined where no registry runs. */
  notifications: Notifications | undefined
  /** Undefined where no registry runs; `trashWindow` in milliseconds. */
  collection: CollectionRuns | undefined
  trash: Trash | undefined
  /** Undefined where no registry runs, or none that is whole. */
  repositories: Repositories | undefined
  verification: VerifyRuns | undefined
  /** Bytes a second of a verification that names none; undefined: as many as it can. */
  verifyRate: (() => number | undefined) | undefined
  trashWindow: (() => number) | undefined
  immutable: ImmutableTags | undefined
  retention: Retention | undefined
  quotas: QuotaBook | undefined
  /** For the operator alone: keys of blobs concern nobody who may not read the data directory. */
  contents: Contents
  /** Undefined where no registry runs, or none that is whole. */
  snapshots: Snapshots | undefined
  changes: Changes
  /** @throws UnavailableError when it could not find out */
  whoIs: (request: Request, address: string | undefined) => Promise<Identity>
  /**
   * Which source knows an account by name, without its password: the named one, or the first that does. Undefined when
   * none does, or none can tell (its accounts get no tokens). @throws UnavailableError
   */
  findAccount: (account: string, source: string | undefined) => Promise<{ source: string } | undefined>
  /** @throws UnavailableError */
  explain: (question: AclQuestion) => Promise<AclExplanation>
  keys: {
    list: () => Promise<readonly KeyInfo[]>
    /** Undefined where the key comes from the configuration. */
    rotate: ((rotation: KeyRotation) => Promise<KeyInfo>) | undefined
  }
  /** Which of what is managed here the configuration heeds. */
  inForce: () => { accounts: boolean; rules: boolean }
  log: Pick<Log, 'error'>
  /** Milliseconds since the epoch. */
  now: () => number
}

export type Api = (request: Request, from?: CallFrom) => Promise<Response>

/** The admin API. What it is made of is loaded at the first request: a registry that is only pulled from starts without it. */
export function createApi(deps: ApiDeps): Api {
  let loading: Promise<(request: Request, from: CallFrom) => Promise<Response>> | undefined
  return async (request, from = {}) => {
    loading ??= import('./application.ts').then(({ createApplication }) => createApplication(deps))
    const application = await loading
    return await application(request, from)
  }
}
