import { compileAcl } from '../auth/acl.ts'
import { explainAcl } from '../auth/acl-authorizer.ts'
import { newEffort } from '../auth/effort.ts'
import type { TokenServerConfig } from '../config/config.ts'
import type { Path } from '../config/node.ts'

/** Which rule decided over a scope. */
export interface Ruling {
  /** `auth_config.yml:23`, or the id of a rule of Berth's own; undefined: none speaks of it. */
  rule: string | undefined
  comment: string | undefined
  grants: readonly string[]
  /** The rule's key in the configuration, where it stands there. */
  key: Path | undefined
}

export interface RulingQuestion {
  account: string
  service: string
  type: string
  name: string
  actions: readonly string[]
}

/**
 * By the rules of a configuration; undefined where it has none, or others besides. The address of the client is not known, so a rule
 * for certain addresses matches nobody here.
 */
export function rulingOf(tokenServer: TokenServerConfig | undefined, question: RulingQuestion): Ruling | undefined {
  if (tokenServer?.acl === undefined) return undefined
  const { account, service, type, name, actions } = question
  const labels = tokenServer.users?.[account]?.labels ?? {}
  try {
    const acl = compileAcl(tokenServer.acl)
    const request = {
      account,
      service,
      type,
      name,
      actions: [...actions].sort(),
      ip: undefined,
      labels,
      effort: newEffort(),
    }
    const traces = explainAcl(acl, request, tokenServer.aclMode)
    const decisive = traces.findIndex(({ lacks }) => lacks.length === 0)
    const trace = traces[decisive]
    if (trace === undefined) return { rule: undefined, comment: undefined, grants: [], key: undefined }
    return { rule: trace.rule, comment: trace.comment, grants: trace.actions, key: ['tokenserver', 'acl', decisive] }
  } catch {
    return undefined
  }
}
