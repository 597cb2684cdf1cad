import type { Fetch } from './server.ts'
import { splitUrl } from './url.ts'

/** RFC 8555 section 8.3. */
const CHALLENGES = '/.well-known/acme-challenge/'

/** Where browsers that come by plain HTTP are sent, for the names of one certificate. */
export interface SecurePlace {
  hosts: readonly [string, ...string[]]
  /** `:5000`, or empty for the port of https. */
  port: string
}

/**
 * Answers the challenges of HTTP-01, and sends everything else to HTTPS; what is no GET or HEAD is refused instead, for it
 * would send its credentials in the clear again.
 */
export function createChallengeServer(options: {
  answerTo: (token: string) => string | undefined
  places: () => readonly SecurePlace[]
}): Fetch {
  return (request) => {
    const { path, query } = splitUrl(request.url)
    if (path.startsWith(CHALLENGES)) {
      const answer = options.answerTo(path.slice(CHALLENGES.length))
      return answer === undefined ? text(404, 'no such challenge\n') : text(200, answer)
    }
    const target = placeOf(request, options.places())
    if (target === undefined) return text(404, 'not found\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') return text(400, `use ${target}\n`)
    const location = `${target}${path}${query === '' ? '' : `?${query}`}`
    return new Response(null, { status: 308, headers: { Location: location, 'Cache-Control': 'no-store' } })
  }
}

/** The first name of the first certificate where the request names none that is ours: nobody is sent to a stranger's. */
function placeOf(request: Request, places: readonly SecurePlace[]): string | undefined {
  const asked = (request.headers.get('host') ?? '').replace(/:\d*$/, '').toLowerCase()
  const found = places.find(({ hosts }) => hosts.includes(asked))
  if (found !== undefined) return `https://${asked}${found.port}`
  const [first] = places
  return first && `https://${first.hosts[0]}${first.port}`
}

function text(status: number, body: string): Response {
  return new Response(body, { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' } })
}
