import { createHash } from 'node:crypto'

export interface Person {
  name: string
  /** GitHub: state of the membership by organization. */
  organizations?: Record<string, 'active' | 'pending' | 'hidden'>
  /** GitHub: as the API lists them. */
  teams?: { slug: string; organization: string; parent?: string }[]
  /** GitLab: full paths. */
  groups?: string[]
}

export interface Forge {
  url: string
  clientSecret: string
  /** Who is logged in there. */
  person: Person
  /** Requests that reached it, oldest first: path and query. */
  requests: string[]
  /** Answers in place of its own, by path. */
  instead: Map<string, () => Response>
  stop(): Promise<void>
}

const CLIENT = 'berth'
const SECRET = 'forge-secret'
const TOKEN = 'upstream-token'

/**
 * A FAKE of what sign-in uses of GitHub and GitLab, made from their public documentation ("Authorizing OAuth apps", "REST
 * API endpoints for organization members" and "for teams"; "OAuth 2.0 identity provider API", "GitLab as OpenID Connect
 * identity provider"). It checks what they check of a client: secret, redirect URI, PKCE, a code that works once, scopes.
 */
export function startForge(kind: 'github' | 'gitlab'): Forge {
  const codes = new Map<string, URLSearchParams>()
  let scopes = ''
  let count = 0

  function authorize(query: URLSearchParams): Response {
    const code = `code-${++count}`
    codes.set(code, query)
    const back = new URL(query.get('redirect_uri') ?? '')
    back.search = new URLSearchParams({ code, state: query.get('state') ?? '' }).toString()
    return Response.redirect(back.href)
  }

  async function token(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    const code = form.get('code') ?? ''
    const asked = codes.get(code)
    codes.delete(code)
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const good =
      asked !== undefined &&
      form.get('client_id') === CLIENT &&
      form.get('client_secret') === SECRET &&
      form.get('redirect_uri') === asked.get('redirect_uri') &&
      asked.get('code_challenge_method') === 'S256' &&
      challenge === asked.get('code_challenge')
    scopes = asked?.get('scope') ?? ''
    if (good) return Response.json({ access_token: TOKEN, token_type: 'bearer', scope: scopes })
    const error = kind === 'github' ? 'bad_verification_code' : 'invalid_grant'
    return Response.json({ error, error_description: SECRET }, { status: kind === 'github' ? 200 : 400 })
  }

  function github(path: string, query: URLSearchParams): Response {
    const { person } = forge
    if (path === '/api/user') return Response.json({ login: person.name })
    if (!scopes.split(' ').includes('read:org')) return Response.json({ message: 'scope' }, { status: 403 })
    if (path === '/api/user/teams') {
      const size = Number(query.get('per_page'))
      const page = Number(query.get('page'))
      const all = (person.teams ?? []).map(({ slug, organization, parent }) => ({
        slug,
        organization: { login: organization },
        parent: parent === undefined ? null : { slug: parent },
      }))
      const link =
        page * size < all.length ? { Link: `<${forge.url}/next>; rel="next", <${forge.url}/l>; rel="last"` } : {}
      return Response.json(all.slice((page - 1) * size, page * size), { headers: new Headers(link) })
    }
    const name = path.replace('/api/user/memberships/orgs/', '')
    const state = person.organizations?.[name]
    if (state === undefined) return Response.json({ message: 'Not Found' }, { status: 404 })
    if (state === 'hidden') return Response.json({ message: 'restricted' }, { status: 403 })
    return Response.json({ state, organization: { login: name } })
  }

  function gitlab(path: string): Response {
    const { person } = forge
    if (path === '/api/user') return Response.json({ username: person.name })
    if (path !== '/oauth/userinfo' || !scopes.split(' ').includes('openid')) return new Response('no', { status: 403 })
    return Response.json({ sub: '1', nickname: person.name, groups: person.groups ?? [] })
  }

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const { pathname, search, searchParams } = new URL(request.url)
      forge.requests.push(`${pathname}${search}`)
      const instead = forge.instead.get(pathname)
      if (instead !== undefined) return instead()
      if (pathname.endsWith('/authorize')) return authorize(searchParams)
      if (pathname === '/oauth/token' || pathname === '/login/oauth/access_token') return await token(request)
      if (request.headers.get('authorization') !== `Bearer ${TOKEN}`) return new Response('no', { status: 401 })
      return kind === 'github' ? github(pathname, searchParams) : gitlab(pathname)
    },
  })
  const forge: Forge = {
    url: `http://127.0.0.1:${server.port}`,
    clientSecret: SECRET,
    person: { name: 'octocat' },
    requests: [],
    instead: new Map(),
    stop: () => server.stop(true),
  }
  return forge
}
