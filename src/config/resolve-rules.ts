import type { AclEntry, TokenServerConfig } from './config.ts'
import { authorizerKeys, type DockerAuth } from './docker-auth.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveAcl } from './resolve-acl.ts'
import { resolveCommand } from './resolve-command.ts'
import { resolveCacheTtl, resolveMongo, resolveSql } from './resolve-stores.ts'

type Rules = Pick<TokenServerConfig, 'acl' | 'aclMode' | 'aclMongo' | 'aclSql' | 'extAuthz' | 'casbin'>

/** Every source of rules, in docker_auth's order. */
export function resolveRules(raw: DockerAuth, at: (key: string) => Path, places: Places): Rules {
  const { acl_mongo: mongo, acl_xorm: sql } = raw
  const acl = raw.acl === undefined ? undefined : resolveAcl(raw.acl, at('acl'), places)
  if (raw.acl_mode === 'union') checkUnion(acl ?? [], at, places)
  const aclMongo = mongo && {
    ...resolveMongo(mongo, at('acl_mongo'), places),
    cacheTtlMs: resolveCacheTtl(mongo.cache_ttl, at('acl_mongo'), places),
  }
  const aclSql = sql && {
    ...resolveSql(sql, at('acl_xorm'), places),
    cacheTtlMs: resolveCacheTtl(sql.cache_ttl, at('acl_xorm'), places),
  }
  const extAuthz = raw.ext_authz && resolveCommand(raw.ext_authz, at('ext_authz'), places)
  if (isGiven(places.root, at('plugin_authz'))) {
    const fix = 'Use ext_authz: a program that gets the request as JSON.'
    places.problem(at('plugin_authz'), 'bad plugin_authz config: plug-ins of Go cannot be loaded', fix)
  }
  const casbin = raw.casbin_authz && resolveCasbin(raw.casbin_authz, at('casbin_authz'), places)
  return { acl, aclMode: raw.acl_mode, aclMongo, aclSql, extAuthz, casbin }
}

function checkUnion(acl: readonly AclEntry[], at: (key: string) => Path, places: Places): void {
  if (!authorizerKeys.some((key) => isGiven(places.root, at(key)))) {
    places.warn(at('acl_mode'), 'has no effect: there are no rules', 'Add acl, or remove acl_mode.')
  }
  for (const [index, { actions }] of acl.entries()) {
    if (actions.length > 0 || !isGiven(places.root, [...at('acl'), index, 'actions'])) continue
    const message = 'has no effect where acl_mode is union: rules only add, none takes away'
    places.warn([...at('acl'), index, 'actions'], message, 'Remove the rule, or narrow the others.')
  }
}

function resolveCasbin(
  { model_path: model = '', policy_path: policy = '' }: NonNullable<DockerAuth['casbin_authz']>,
  path: Path,
  places: Places,
): NonNullable<Rules['casbin']> {
  if (model === '') places.problem([...path, 'model_path'], 'casbin_authz.model_path is required')
  if (policy === '') places.problem([...path, 'policy_path'], 'casbin_authz.policy_path is required')
  return { model, policy }
}
