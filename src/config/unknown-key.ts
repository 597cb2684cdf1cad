import { nearestName } from './nearest.ts'
import type { Path, Source } from './node.ts'
import { isFrom } from './places.ts'

/**
 * What an unknown key leads to. In the two foreign formats it is a warning, as their own decoders pass over it, except
 * where passing over it would widen access (`auth` and what may be meant as that, `users`, `acl[].match`, the sections that
 * say who may sign in or whether a password travels in clear), lose data (`storage`), or pass over a key that only Berth
 * has; in Berth's own sections, and in strict mode, it is a problem.
 */
export interface UnknownKeyRule {
  authFile: string | undefined
  strict: boolean
}

/** Top-level keys that must not be passed over. */
const DECISIVE = ['auth', 'storage', 'tokenserver']
const OWN_SECTIONS = ['tokenserver', 'metadata', 'uploads', 'immutable', 'quotas', 'retention']
/** Sections of docker_auth's format in which a misspelt limit would let everybody in. */
const SIGN_IN = ['google_auth', 'github_auth', 'gitlab_auth', 'oidc_auth']
/** Its own sections there, `users`, and LDAP, where a misspelt `tls` would send passwords in clear. */
const STRICT_SECTIONS = ['users', 'ldap_auth', 'throttle', 'audit']
/** Sections whose `dial_info` says whether the password travels in clear. */
const MONGO = ['mongo_auth', 'acl_mongo']
/** Berth's own keys among docker_auth's, by section (`''` is the top): what looks like one of them was meant for Berth. */
const OWN_KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['', ['htpasswd', 'accounts', 'acl_mode', 'throttle', 'audit']],
  ['server', ['trustedproxies']],
  ['token', ['keyid', 'x5c', 'refreshtokens', 'refreshexpiration']],
  ['ext_auth', ['timeout', 'maxchildren']],
  ['ext_authz', ['timeout', 'maxchildren']],
])

/** @param path of a key that is unknown, or stands there twice */
export function isUnknownKeyRefused(rule: UnknownKeyRule, path: Path, source: Source): boolean {
  if (rule.strict) return true
  const [first, ...rest] = path
  if (first === 'tokenserver' && isTokenServerKeyRefused(rest)) return true
  if (isFrom(source, rule.authFile)) return false
  if ((first === 'auth' || first === 'storage') && path.length <= 2) return true
  if (path.length === 1 && isDecisive(String(first))) return true
  return OWN_SECTIONS.includes(String(first)) && path.length > 1
}

/** A misspelt `auth` or `tokenserver` would leave the registry open, a misspelt `storage` its data elsewhere. */
export function isDecisive(name: string): boolean {
  return isNear(name, DECISIVE)
}

function isTokenServerKeyRefused(path: Path): boolean {
  const [section, key] = path
  if (section === 'acl' && (path.length === 1 || path[2] === 'match')) return true
  const name = String(section)
  if (STRICT_SECTIONS.includes(name)) return true
  // Below these stand token databases alone, which have no effect.
  if (path.length <= 2 && SIGN_IN.includes(name)) return true
  if (MONGO.includes(name) && key === 'dial_info') return true
  const own = path.length > 2 ? undefined : OWN_KEYS.get(path.length === 1 ? '' : name)
  return own !== undefined && isNear(String(path.at(-1)), own)
}

function isNear(name: string, candidates: readonly string[]): boolean {
  const bare = (text: string) => text.replace(/[_-]/g, '')
  return nearestName(bare(name), candidates.map(bare)) !== undefined
}

/** What is wrong with an unknown key, and what was probably meant. */
export function describeUnknownKey(path: Path, siblings: readonly string[]): { message: string; fix?: string } {
  const name = String(path.at(-1) ?? '')
  const near = nearestName(name, siblings)
  if (path.length === 2 && path[0] === 'auth') {
    return withNearest(`is no kind of authentication that Berth knows (token, htpasswd, none)`, near)
  }
  if (path.length === 2 && path[0] === 'storage')
    return withNearest('is no storage driver or section that Berth knows', near)
  if (path[0] === 'tokenserver' && path.includes('match')) {
    return withNearest('is no condition; without it the rule would match more than was meant', near)
  }
  return withNearest('is an unknown key', near)
}

function withNearest(message: string, near: string | undefined): { message: string; fix?: string } {
  return near === undefined ? { message } : { message, fix: `Did you mean ${near}?` }
}
