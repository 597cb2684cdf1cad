import { compileAcl } from './auth/acl.ts'
import { createAclAuthorizer } from './auth/acl-authorizer.ts'
import type { Authenticator } from './auth/authenticator.ts'
import type { Authorizer } from './auth/authorizer.ts'
import { createCasbinAuthorizer } from './auth/casbin.ts'
import { createDatabaseAuthenticator } from './auth/database.ts'
import { createExternalAuthenticator } from './auth/external.ts'
import { createExternalAuthorizer } from './auth/external-rules.ts'
import { createHtpasswdAuthenticator } from './auth/htpasswd.ts'
import { createLdapAuthenticator } from './auth/ldap.ts'
import { createMongoRules, createMongoUsers } from './auth/mongo.ts'
import type { Passwords } from './auth/password.ts'
import type { RuleBook } from './auth/rule-book.ts'
import { createRuleSource } from './auth/rule-source.ts'
import { createSqlAuthenticator } from './auth/sql.ts'
import { createStaticAuthenticator } from './auth/static.ts'
import { createWebUsers } from './auth/web-users.ts'
import type { TokenServerConfig } from './config/config.ts'
import { openForeignAccounts } from './metadata/foreign-accounts.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { Log } from './telemetry/log.ts'

export interface SourcesDeps {
  passwords: Passwords
  /** Undefined: there is no database, and so no users or rules of its own. */
  metadata: Metadata | undefined
  rules: RuleBook | undefined
  log: Log
  now: () => number
}

/** Who may come in, and what decides. */
export interface Sources {
  authenticators: Authenticator[]
  authorizers: Authorizer[]
  /** Whether the rules are Berth's own. */
  ownRules: boolean
  close(): Promise<void>
}

/** The sources that a configuration names, in docker_auth's order; Berth's own users stand behind static ones. @throws Error with a text for the user */
export async function createSources(config: TokenServerConfig, deps: SourcesDeps): Promise<Sources> {
  const { passwords, metadata, log } = deps
  const warn = (message: string, fields: Record<string, unknown> = {}) => log.warn(message, fields)
  const authenticators: Authenticator[] = []
  const authorizers: Authorizer[] = []
  const close = async () => {
    await Promise.allSettled([...authenticators, ...authorizers].map((source) => source.close?.()))
  }
  try {
    if (config.users !== undefined) authenticators.push(createStaticAuthenticator({ users: config.users, passwords }))
    if (config.htpasswd !== undefined) {
      authenticators.push(createHtpasswdAuthenticator({ path: config.htpasswd, passwords, admin: false, warn }))
    }
    if (config.databaseUsers && metadata !== undefined) {
      authenticators.push(createDatabaseAuthenticator({ users: metadata.users, groups: metadata.groups, passwords }))
    }
    if (config.extAuth !== undefined) authenticators.push(createExternalAuthenticator({ ...config.extAuth, warn }))
    for (const { kind } of config.signIn) {
      if (metadata === undefined) continue
      authenticators.push(createWebUsers({ kind, users: metadata.users, groups: metadata.groups, passwords }))
    }
    if (config.ldap !== undefined) authenticators.push(createLdapAuthenticator({ ...config.ldap, warn }))
    if (config.mongoUsers !== undefined) {
      authenticators.push(createMongoUsers({ ...config.mongoUsers, passwords, warn }))
    }
    if (config.sqlUsers !== undefined) {
      const accounts = openForeignAccounts(config.sqlUsers)
      authenticators.push(createSqlAuthenticator({ accounts, passwords }))
    }
    await addAuthorizers()
    const ownRules = authorizers.length === 0
    if (ownRules && deps.rules !== undefined) authorizers.push(createOwnRules(deps.rules))
    return { authenticators, authorizers, ownRules, close }
  } catch (error) {
    await close()
    throw error
  }

  async function addAuthorizers(): Promise<void> {
    const { now } = deps
    if (config.acl !== undefined) {
      const acl = compileAcl(config.acl)
      authorizers.push(createAclAuthorizer('acl', () => acl))
    }
    if (config.aclMongo !== undefined) authorizers.push(createMongoRules({ ...config.aclMongo, now, warn }))
    if (config.aclSql !== undefined) {
      const { cacheTtlMs } = config.aclSql
      const { rules: load, close } = openForeignAccounts(config.aclSql)
      authorizers.push(createRuleSource({ name: 'acl_xorm', load, close, cacheTtlMs, now, warn }))
    }
    if (config.extAuthz !== undefined) authorizers.push(createExternalAuthorizer({ ...config.extAuthz, warn }))
    // It always decides, so it is the last.
    if (config.casbin !== undefined) authorizers.push(await createCasbinAuthorizer({ ...config.casbin, warn }))
  }
}

/** Berth's own list of rules, compiled again when it changes. */
function createOwnRules(rules: RuleBook): Authorizer {
  let compiled: { entries: Awaited<ReturnType<RuleBook['entries']>>; acl: ReturnType<typeof compileAcl> } | undefined
  return createAclAuthorizer('rules', async () => {
    const entries = await rules.entries()
    if (compiled?.entries !== entries) compiled = { entries, acl: compileAcl(entries, { deep: true }) }
    return compiled.acl
  })
}
