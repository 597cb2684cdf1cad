/** On answers that say that something went wrong, so that whoever reports one can be found in the log. */
export const REQUEST_ID = 'X-Request-Id'

/** What a proxy may call a request: enough for UUIDs, trace ids and nginx's, and nothing that could be more than a name. */
const USABLE = /^[\w.:+/=@-]{1,128}$/

/** The name that a proxy near by gave the request, as its own log has it, or a new one. */
export function requestIdOf(request: Request, believed: boolean): string {
  const given = believed ? request.headers.get(REQUEST_ID) : null
  return given !== null && USABLE.test(given) ? given : crypto.randomUUID()
}
