import { jsonObject } from './json-object.ts'

/** What a JWT claims (RFC 7519 section 3), whoever signed it; undefined where that cannot be read. */
export function claimsIn(token: string): Record<string, unknown> | undefined {
  return jsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url'))
}
