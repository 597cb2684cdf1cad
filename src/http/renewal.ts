import { splitUrl } from './url.ts'

export const RENEWAL_PATH = '/certificates/renew'

/** On the control socket: makes the certificates anew that Berth keeps itself, and answers when they are in force. */
export function withRenewal(
  fetch: (request: Request) => Promise<Response>,
  renew: () => Promise<void>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    if (request.method !== 'POST' || splitUrl(request.url).path !== RENEWAL_PATH) return await fetch(request)
    try {
      await renew()
      return new Response(null, { status: 204 })
    } catch (error) {
      return Response.json({ detail: error instanceof Error ? error.message : String(error) }, { status: 409 })
    }
  }
}
