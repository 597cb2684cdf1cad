import type { Fetch } from './server.ts'
import { splitUrl } from './url.ts'

export const AUTHORITY_PATH = '/berth-ca.pem'

/**
 * Hands out the certificate of Berth's own authority, so that a new client can fetch what it is to trust. It is no secret;
 * but whoever fetches it must compare its fingerprint, for the connection proves nothing yet.
 */
export function withAuthority(fetch: Fetch, pem: () => string | undefined): Fetch {
  return (request, connection) => {
    if (!request.url.endsWith(AUTHORITY_PATH)) return fetch(request, connection)
    const text = pem()
    const isAsked = splitUrl(request.url).path === AUTHORITY_PATH && ['GET', 'HEAD'].includes(request.method)
    if (text === undefined || !isAsked) return fetch(request, connection)
    return new Response(text, {
      headers: {
        'Content-Type': 'application/x-pem-file',
        'Content-Disposition': 'attachment; filename="berth-ca.crt"',
      },
    })
  }
}
