import type { AclRequest } from './acl.ts'

/** What one condition of a rule wanted, and what the request had. */
export interface Lack {
  /** `account`, `type`, `name`, `service`, `ip`, `label LABEL`. */
  condition: string
  wanted: string
  had: string
}

/** A rule as `explain` saw it. */
export interface Trace {
  /** `auth_config.yml:23`. */
  rule: string
  comment: string | undefined
  /** Empty when the rule matches. */
  lacks: readonly Lack[]
  /** What the rule grants of what was asked; empty for one that does not match. */
  actions: readonly string[]
}

export interface Ruling {
  /** A part of what was asked; `[]` is a refusal that no later source changes. */
  actions: readonly string[]
  /** Where the rule stands, or the name of the source. */
  rule: string
}

/** How several rules that match come together: the first decides, or each adds (and what anonymous may, all may). */
export type AclMode = 'first-match' | 'union'

/** A source of decisions about one resource. */
export interface Authorizer {
  /** For messages and the log: `acl`, `acl_mongo`, `ext_authz` … */
  readonly name: string
  /**
   * Undefined when nothing of this source speaks of the request (the next is asked).
   * @throws UnavailableError when it could not find out.
   */
  authorize(request: AclRequest, mode: AclMode): Ruling | undefined | Promise<Ruling | undefined>
  /** Each rule in order, up to the one that decides (in `union` mode all). Sources without rules have no such method. */
  explain?(request: AclRequest, mode: AclMode): Promise<readonly Trace[]>
  close?(): Promise<void>
}
