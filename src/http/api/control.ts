import type { Accounts } from '../../auth/accounts.ts'
import { splitUrl } from '../server.ts'

/** Bytes; a password fits many times. */
const MAX_BODY = 16 * 1024

/**
 * The API on `DATA/berth.sock`, for the command line of whoever may write in the data directory. Who can open the
 * socket (mode 0600) is trusted: it could read the database just as well.
 *
 *   PUT /v1/users/NAME/password   {"password": "..."}   204, 404 no such user, 400 with a text
 */
export function createControl(deps: { accounts: Accounts; onPassword: (name: string) => Promise<void> }) {
  return async (request: Request): Promise<Response> => {
    const { path } = splitUrl(request.url)
    const match = /^\/v1\/users\/([^/]+)\/password$/.exec(path)
    if (match === null || request.method !== 'PUT') return text(404, 'not found')
    try {
      const name = decodeURIComponent(match[1] ?? '')
      const password = passwordOf(await request.text())
      if (!(await deps.accounts.setPassword(name, password))) return text(404, `there is no user ${name}`)
      await deps.onPassword(name)
      return new Response(null, { status: 204 })
    } catch (error) {
      return text(400, error instanceof Error ? error.message : String(error))
    }
  }
}

function passwordOf(body: string): string {
  if (body.length > MAX_BODY) throw new Error('the request is too large')
  const json: unknown = JSON.parse(body)
  if (typeof json === 'object' && json !== null && 'password' in json && typeof json.password === 'string') {
    return json.password
  }
  throw new Error('expected {"password": "..."}')
}

function text(status: number, message: string): Response {
  return new Response(`${message}\n`, { status })
}
