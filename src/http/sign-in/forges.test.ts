import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { type Forge, type Person, startForge } from '../../auth/forges.fixture.ts'
import { createSignInProviders, type SignInSettings } from '../../auth/sign-in-providers.ts'
import { createBrowser, type SignInServer, startSignInServer } from './browser.fixture.ts'

const DAY = 86_400_000
const cleanups: (() => Promise<void>)[] = []
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup()
})

interface Made {
  server: SignInServer
  forge: Forge
  warnings: string[]
  signIn(person?: Person): ReturnType<ReturnType<typeof createBrowser>['visit']>
}

function setup(kind: 'github' | 'gitlab', more: { organization?: string; revalidateAfterMs?: number } = {}): Made {
  const server = startSignInServer()
  const forge = startForge(kind)
  cleanups.push(server.stop, forge.stop)
  const warnings: string[] = []
  const section: SignInSettings = {
    clientId: 'berth',
    clientSecret: forge.clientSecret,
    clientSecretFile: undefined,
    httpTimeoutMs: 60_000,
    registryUrl: undefined,
    organization: more.organization,
    // Operators write the slash, too.
    webUri: `${forge.url}/`,
    apiUri: `${forge.url}/api`,
    revalidateAfterMs: more.revalidateAfterMs ?? 0,
    ...(kind === 'github' ? { kind } : { kind, redirectUri: undefined }),
  }
  const deps = { now: () => server.clock.now, warn: (text: string) => void warnings.push(text) }
  server.providers.push(...createSignInProviders([section], deps))
  return {
    server,
    forge,
    warnings,
    async signIn(person) {
      if (person !== undefined) forge.person = person
      return await createBrowser().visit(`${server.base}/${kind}_auth?start=1`)
    },
  }
}

function clear({ server, forge }: Made): void {
  server.signedIn.length = 0
  server.events.length = 0
  forge.requests.length = 0
  forge.instead.clear()
}

const rateLimited = () => new Response('{}', { status: 403, headers: { 'x-ratelimit-remaining': '0' } })

const troubles: [string, string, () => Response, number, string][] = [
  ['limits requests', '/api/user', rateLimited, 503, 'limits requests'],
  ['limits requests in the standard way', '/api/user', () => new Response('', { status: 429 }), 503, 'limits requests'],
  ['is broken', '/api/user', () => new Response('', { status: 502 }), 503, 'status 502'],
  ['does not know its own token', '/api/user', () => new Response('', { status: 401 }), 502, 'status 401'],
  ['answers HTML', '/api/user', () => new Response('<html>'), 502, 'no JSON'],
  ['answers without a name', '/api/user', () => Response.json({ login: '', username: 7 }), 502, 'does not tell who'],
  ['answers a list', '/api/user', () => Response.json([]), 502, 'does not tell who'],
  ['sends elsewhere', '/api/user', () => Response.redirect('http://127.0.0.1:1/'), 502, 'status 302'],
  [
    'gives a name with a line break',
    '/api/user',
    () => Response.json({ login: 'a\nb', username: 'a\nb' }),
    403,
    'cannot',
  ],
]

describe('GitHub', () => {
  const open = setup('github')
  const closed = setup('github', { organization: 'Acme' })
  beforeEach(() => {
    clear(open)
    clear(closed)
  })
  const member: Person = {
    name: 'octocat',
    organizations: { Acme: 'active' },
    teams: [
      { slug: 'core', organization: 'acme', parent: 'engineering' },
      { slug: 'secret', organization: 'other' },
    ],
  }

  test('without an organization lets everybody in, which is warned of', async () => {
    const page = await open.signIn({ name: 'octocat' })
    expect(page.status).toBe(200)
    expect(page.text).toContain(`docker login -u octocat -p berth_pat_7 ${new URL(open.server.base).host}<`)
    expect(open.server.signedIn).toEqual([{ source: 'github', account: 'octocat', labels: {}, tokenLifeMs: 90 * DAY }])
    expect(open.warnings).toEqual([
      `github_auth: without an organization, everybody with an account at ${open.forge.url}/ can sign in`,
    ])
    expect(open.forge.requests[0]).not.toContain('scope')
  })

  test('with an organization lets its members in, with their teams there', async () => {
    expect((await closed.signIn(member)).status).toBe(200)
    expect(closed.server.signedIn).toMatchObject([{ account: 'octocat', labels: { teams: ['core', 'engineering'] } }])
    expect(closed.warnings).toEqual([])
  })

  test.each([
    ['who is not a member', { name: 'x' }, 'not a member of Acme'],
    ['who was only invited', { name: 'x', organizations: { Acme: 'pending' } }, 'not a member of Acme'],
    [
      'whose organization hides itself',
      { name: 'x', organizations: { Acme: 'hidden' } },
      'an owner of Acme must approve',
    ],
  ] as [string, Person, string][])('refuses a person %s', async (_, person, text) => {
    const page = await closed.signIn(person)
    expect(page.status).toBe(403)
    expect(page.text).toContain(text)
    expect(closed.server.signedIn).toEqual([])
    expect(closed.server.events).toMatchObject([{ outcome: 'refused', source: 'github' }])
  })

  test('is asked for every page of teams', async () => {
    const teams = Array.from({ length: 150 }, (_, i) => ({ slug: `t${i}`, organization: 'Acme' }))
    expect((await closed.signIn({ ...member, teams })).status).toBe(200)
    const labels = closed.server.signedIn[0]?.labels.teams ?? []
    expect([labels.length, labels.includes('t0'), labels.includes('t149')]).toEqual([150, true, true])
    expect(closed.forge.requests.filter((path) => path.includes('/teams'))).toHaveLength(2)
  })

  test('that lists teams without end is given up on', async () => {
    const more = { headers: { Link: '<x>; rel="next"' } }
    closed.forge.instead.set('/api/user/teams', () => Response.json([], more))
    const page = await closed.signIn(member)
    expect(page.status).toBe(502)
    expect(closed.forge.requests.filter((path) => path.includes('/teams'))).toHaveLength(20)
  })

  test('that says no more than half of it lets nobody in', async () => {
    closed.forge.instead.set('/api/user/memberships/orgs/Acme', rateLimited)
    expect((await closed.signIn(member)).status).toBe(503)
    closed.forge.instead.set('/api/user/memberships/orgs/Acme', () => Response.json({ state: 'active' }))
    expect((await closed.signIn(member)).status).toBe(403)
    closed.forge.instead.clear()
    closed.forge.instead.set('/api/user/teams', () => Response.json({}))
    expect((await closed.signIn(member)).status).toBe(502)
    expect(closed.server.signedIn).toEqual([])
  })

  test.each(troubles)('that %s lets nobody in', async (_, path, instead, status, text) => {
    open.forge.instead.set(path, instead)
    const page = await open.signIn({ name: 'octocat' })
    expect([page.status, page.text]).toEqual([status, expect.stringContaining(text)])
    expect(open.server.signedIn).toEqual([])
  })

  test('that does not take the code says which error, and no text of its own', async () => {
    const error = () => Response.json({ error: 'bad_verification_code', error_description: 'forge-secret' })
    open.forge.instead.set('/login/oauth/access_token', error)
    const page = await open.signIn()
    expect(page.status).toBe(502)
    expect(page.text).toContain('(bad_verification_code)')
    expect(page.text + JSON.stringify(open.server.events)).not.toContain('forge-secret')
    open.forge.instead.set('/login/oauth/access_token', () => Response.json({ error: '<script>' }))
    expect((await open.signIn()).text).toContain('(status 200)')
  })

  test('proves membership again by the end of revalidate_after, and warns when that is soon', () => {
    const soon = setup('github', { organization: 'Acme', revalidateAfterMs: 3_600_000 })
    expect(soon.server.providers[0]?.tokenLifeMs).toBe(3_600_000)
    expect(soon.warnings).toEqual([
      'github_auth: revalidate_after is the life of tokens: people must sign in again every 60 minutes',
    ])
    expect(setup('gitlab', { organization: 'a', revalidateAfterMs: 30 * DAY }).server.providers[0]?.tokenLifeMs).toBe(
      30 * DAY,
    )
  })
})

describe('GitLab', () => {
  const open = setup('gitlab')
  const closed = setup('gitlab', { organization: 'Acme/Dev' })
  beforeEach(() => {
    clear(open)
    clear(closed)
  })

  test('without an organization lets everybody in, and asks for no more than the name', async () => {
    expect((await open.signIn({ name: 'tanuki' })).status).toBe(200)
    expect(open.server.signedIn).toMatchObject([{ source: 'gitlab', account: 'tanuki', labels: {} }])
    expect(open.warnings).toHaveLength(1)
    expect(open.forge.requests.map((path) => path.split('?')[0])).toEqual([
      '/oauth/authorize',
      '/oauth/token',
      '/api/user',
    ])
  })

  test('with a group lets its members in, with their groups in it', async () => {
    const groups = ['acme', 'acme/dev', 'acme/dev/web', 'acme/developers', 'other']
    expect((await closed.signIn({ name: 'tanuki', groups })).status).toBe(200)
    expect(closed.server.signedIn).toMatchObject([{ labels: { groups: ['acme/dev', 'acme/dev/web'] } }])
  })

  test.each([
    ['of no group', []],
    ['of the group above', ['acme']],
    ['of a group whose name begins alike', ['acme/developers']],
    ['of a group in it alone', ['acme/dev/web']],
  ])('refuses a member %s', async (_, groups) => {
    const page = await closed.signIn({ name: 'tanuki', groups })
    expect(page.status).toBe(403)
    expect(page.text).toContain('not a member of Acme/Dev on GitLab')
    expect(closed.server.signedIn).toEqual([])
  })

  test('that names two people, or no groups, lets nobody in', async () => {
    const instead = (body: object) => closed.forge.instead.set('/oauth/userinfo', () => Response.json(body))
    instead({ nickname: 'other', groups: ['acme/dev'] })
    expect((await closed.signIn({ name: 'tanuki' })).status).toBe(502)
    instead({ nickname: 'tanuki', groups: 'acme/dev' })
    expect((await closed.signIn({ name: 'tanuki' })).status).toBe(403)
    instead({ nickname: 'tanuki' })
    expect((await closed.signIn({ name: 'tanuki' })).status).toBe(403)
    expect(closed.server.signedIn).toEqual([])
  })

  test.each(troubles)('that %s lets nobody in', async (_, path, instead, status, text) => {
    open.forge.instead.set(path, instead)
    const page = await open.signIn({ name: 'tanuki' })
    expect([page.status, page.text]).toEqual([status, expect.stringContaining(text)])
    expect(open.server.signedIn).toEqual([])
  })
})

test('addresses that cannot be used are refused at start', () => {
  const section = {
    clientId: 'x',
    clientSecret: 'x',
    clientSecretFile: undefined,
    httpTimeoutMs: 1,
    registryUrl: undefined,
  }
  const forge = {
    ...section,
    organization: undefined,
    revalidateAfterMs: 0,
    webUri: 'https://a',
    apiUri: 'https://a/api',
  }
  const make = (settings: SignInSettings) => () => createSignInProviders([settings], { now: () => 0 })
  expect(make({ ...forge, kind: 'github', webUri: 'github.com' })).toThrow('github_auth.github_web_uri must be')
  expect(make({ ...forge, kind: 'gitlab', apiUri: 'x', redirectUri: undefined })).toThrow(
    'gitlab_auth.gitlab_api_uri must',
  )
  expect(make({ ...forge, kind: 'gitlab', redirectUri: 'x' })).toThrow('gitlab_auth.redirect_uri must be')
})

test('clear text to another machine is warned of', () => {
  const warnings: string[] = []
  const section = {
    clientId: 'x',
    clientSecret: 'x',
    clientSecretFile: undefined,
    httpTimeoutMs: 1,
    registryUrl: undefined,
  }
  const uris = {
    organization: 'a',
    revalidateAfterMs: 0,
    webUri: 'http://gitlab.lan',
    apiUri: 'https://gitlab.lan/api/v4',
  }
  createSignInProviders(
    [
      { ...section, ...uris, kind: 'gitlab', redirectUri: undefined },
      { ...section, kind: 'google', domain: undefined },
    ],
    { now: () => 0, warn: (text) => void warnings.push(text) },
  )
  expect(warnings).toEqual([
    'gitlab_auth: http://gitlab.lan has no TLS: secrets cross the network in clear',
    'google_auth: without a domain, everybody with a Google account can sign in',
  ])
})
