import type { TokenServerConfig } from './config.ts'
import { authenticatorKeys, type DockerAuth } from './docker-auth.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveCommand } from './resolve-command.ts'
import { resolveLdap } from './resolve-ldap.ts'
import { resolveSignIn } from './resolve-sign-in.ts'
import { resolveMongo, resolveSql } from './resolve-stores.ts'
import { resolveUsers } from './resolve-users.ts'

type Sources = Pick<
  TokenServerConfig,
  'users' | 'databaseUsers' | 'htpasswd' | 'extAuth' | 'signIn' | 'ldap' | 'mongoUsers' | 'sqlUsers'
>

/** Every source of users. */
export function resolveSources(raw: DockerAuth, isFile: boolean, at: (key: string) => Path, places: Places): Sources {
  const { htpasswd, ext_auth: program, ldap_auth: ldap, mongo_auth: mongo, xorm_auth: sql } = raw
  const isAny = authenticatorKeys.some((key) => isGiven(places.root, at(key)))
  if (raw.accounts === false && !isAny && !isFile) {
    const fix = 'Name another source of users, or remove accounts; with users: {} nobody can log in.'
    places.problem(at('accounts'), 'no auth methods are configured, this is probably a mistake', fix)
  }
  if (htpasswd !== undefined && !htpasswd.path) {
    places.problem([...at('htpasswd'), 'path'], 'htpasswd.path is required')
  }
  const sources: Sources = {
    users: raw.users === undefined ? undefined : resolveUsers(raw.users, at('users'), places),
    // Whoever names a source (docker_auth's file always does) says the whole truth about who may log in.
    databaseUsers: raw.accounts ?? !(isFile || isAny),
    htpasswd: htpasswd?.path || undefined,
    extAuth: program && resolveCommand(program, at('ext_auth'), places),
    signIn: resolveSignIn(raw, at, places),
    ldap: ldap && resolveLdap(ldap, at('ldap_auth'), places),
    mongoUsers: mongo && resolveMongo(mongo, at('mongo_auth'), places),
    sqlUsers: sql && resolveSql(sql, at('xorm_auth'), places),
  }
  if (isGiven(places.root, at('plugin_authn'))) {
    const fix = 'Use ext_auth: a program that gets the user and the password.'
    places.problem(at('plugin_authn'), 'bad plugin_authn config: plug-ins of Go cannot be loaded', fix)
  }
  return sources
}
