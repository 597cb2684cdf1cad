import { type Access, formatScope } from '../oci/scope.ts'

/** Why a token was not enough (RFC 6750 section 3.1). */
export type ChallengeError = 'invalid_token' | 'insufficient_scope'

export interface BearerChallenge {
  /** URL of the token endpoint, as the client reaches it. */
  realm: string
  service: string
  needed: readonly Access[]
  error?: ChallengeError | undefined
}

/** The value of WWW-Authenticate, in registry:2's order and quoting (distribution, "Token Authentication Specification"). */
export function bearerChallenge({ realm, service, needed, error }: BearerChallenge): string {
  const scope = needed.length === 0 ? '' : `,scope=${quote(formatScope(needed))}`
  return `Bearer realm=${quote(realm)},service=${quote(service)}${scope}${error === undefined ? '' : `,error="${error}"`}`
}

/** RFC 7617 section 2. */
export function basicChallenge(realm: string): string {
  return `Basic realm=${quote(realm)}`
}

const ESCAPES: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

/** Go's `%q`, but in ASCII (`%+q`): a header is no place for more. */
export function quote(text: string): string {
  const body = text.replace(/["\\]|[^ -~]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    const short = ESCAPES[character]
    if (short !== undefined) return short
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
  return `"${body}"`
}
