import { withHsts } from '../hsts.ts'

/** Path of the public keys (RFC 8615, and what OpenID Connect made the custom). */
export const JWKS_PATH = '/.well-known/jwks.json'

/** Seconds; a key is published before it signs, and stays until its tokens have ended. */
const MAX_AGE = 300
const NO_SNIFF = { 'X-Content-Type-Options': 'nosniff' }

/** The public keys that tokens may be signed with, as a JWK Set (RFC 7517 section 5). */
export function createJwksEndpoint(
  keys: () => { keys: readonly object[] },
  { hsts }: { hsts: boolean },
): (request: Request) => Response {
  const answer = (method: string) => {
    if (method !== 'GET' && method !== 'HEAD') {
      return new Response('Method not allowed\n', { status: 405, headers: { Allow: 'GET, HEAD', ...NO_SNIFF } })
    }
    const body = `${JSON.stringify(keys())}\n`
    return new Response(method === 'HEAD' ? null : body, {
      headers: {
        'Content-Type': 'application/jwk-set+json',
        'Content-Length': String(Buffer.byteLength(body)),
        'Cache-Control': `public, max-age=${MAX_AGE}`,
        ...NO_SNIFF,
      },
    })
  }
  return ({ method }) => (hsts ? withHsts(answer(method)) : answer(method))
}
