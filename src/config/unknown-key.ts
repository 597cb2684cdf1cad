import { nearestName } from './nearest.ts'
import type { Path, Source } from './node.ts'
import { isFrom } from './places.ts'

/**
 * What an unknown key leads to. In the two foreign formats it is a warning, as their own decoders pass over it, except
 * where passing over it would widen access (`users`, `acl[].match`, who may sign in, `auth`, or what may be meant as that)
 * or lose data (`storage`); in Berth's own sections,
 * and in strict mode, it is a problem.
 */
export interface UnknownKeyRule {
  authFile: string | undefined
  strict: boolean
}

/** Top-level keys that must not be passed over. */
const DECISIVE = ['auth', 'storage']
/** Sections of sign-in in the browser, and their keys that keep people out. */
const SIGN_IN = ['google_auth', 'github_auth', 'gitlab_auth', 'oidc_auth']
const LIMITING = ['organization', 'domain']
const OWN_SECTIONS = ['tokenserver', 'metadata', 'uploads']

export function isUnknownKeyRefused(rule: UnknownKeyRule, path: Path, source: Source): boolean {
  if (rule.strict) return true
  const [first, second] = path
  if (first === 'tokenserver' && second === 'acl' && (path.length === 2 || path[3] === 'match')) return true
  // A misspelt `password` would leave a user whom any password lets in.
  if (first === 'tokenserver' && second === 'users') return true
  // A misspelt `organization` would let everybody in who has an account at the provider.
  const isSignIn = first === 'tokenserver' && SIGN_IN.includes(String(second)) && path.length === 3
  if (isSignIn && nearestName(String(path[2]), LIMITING) !== undefined) return true
  if (isFrom(source, rule.authFile)) return false
  if ((first === 'auth' || first === 'storage') && path.length <= 2) return true
  // A misspelt `auth` would leave the registry open, a misspelt `storage` its data elsewhere.
  if (first !== 'auth' && first !== 'storage' && nearestName(String(first), DECISIVE) !== undefined) return true
  return OWN_SECTIONS.includes(String(first)) && path.length > 1
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
