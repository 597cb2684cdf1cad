import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { SignInError, type SignInKind, type SignInProvider } from '../../auth/sign-in.ts'
import { html } from './html.ts'
import { donePage, shellQuote } from './pages.ts'
import { createSignIn, type SignInPagesOptions } from './sign-in.ts'

function provider(kind: SignInKind, more: Partial<SignInProvider> = {}): SignInProvider {
  return {
    kind,
    title: kind,
    redirectUri: undefined,
    registryUrl: undefined,
    tokenLifeMs: 1,
    authorizationUrl: async ({ state, redirectUri }) => `https://idp.example/?state=${state}&to=${redirectUri}`,
    identify: async () => ({ account: 'ann', labels: {} }),
    ...more,
  }
}

function setup(kinds: readonly (SignInKind | SignInProvider)[], more: Partial<SignInPagesOptions> = {}) {
  const pages = createSignIn({
    providers: kinds.map((kind) => (typeof kind === 'string' ? provider(kind) : kind)),
    accounts: { conclude: async () => ({ token: 'secret-token', expiresAt: undefined }) },
    now: () => 0,
    pathPrefix: '/p',
    hsts: false,
    ...more,
  })
  return {
    pages,
    async call(target: string, init: RequestInit = {}, base: string | undefined = 'https://reg.example') {
      const [path = '', query = ''] = target.split('?')
      const headers = { accept: 'text/html', ...(init.headers as Record<string, string> | undefined) }
      const request = new Request(`https://reg.example${target}`, { ...init, headers })
      return await pages.handle(request, { path, query, base, address: undefined })
    },
  }
}

const summary = async (response: Response) =>
  [response.status, response.headers.get('location'), await response.text()] as const

describe('the index', () => {
  test.each(['github', 'oidc', 'gitlab'] as const)('leads to %s where that is all', async (kind) => {
    const { pages, call } = setup([kind])
    expect(await summary(await call('/p/'))).toEqual([301, `/p/${kind}_auth`, ''])
    expect([...pages.paths]).toEqual(['/p/', `/p/${kind}_auth`])
  })

  test.each([[['google' as const]], [['github' as const, 'oidc' as const]]])('shows links for %p', async (kinds) => {
    const { call } = setup(kinds)
    const [status, , text] = await summary(await call('/p/'))
    expect(status).toBe(200)
    for (const kind of kinds) expect(text).toContain(`href="/p/${kind}_auth"`)
    const plain = await call('/p/', { headers: { accept: '*/*' } })
    expect(await plain.text()).toContain(`https://reg.example/p/${kinds[0]}_auth\n`)
  })

  test('is nobody’s without providers', () => {
    expect(setup([]).pages.paths.size).toBe(0)
  })
})

describe('an answer', () => {
  const { call } = setup(['github'], { hsts: true })
  test.each(['/p/', '/p/github_auth', '/p/github_auth?start=1', '/p/github_auth?code=x', '/p/none'])(
    'to %s is neither stored nor framed, runs nothing, and names no address to others',
    async (target) => {
      const { headers } = await call(target)
      expect(headers.get('cache-control')).toBe('no-store')
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('strict-transport-security')).toStartWith('max-age=')
      const policy = headers.get('content-security-policy') ?? ''
      for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]) {
        expect(policy.split('; ')).toContain(rule)
      }
    },
  )

  test('has the one style that its policy allows, and no script', async () => {
    const response = await call('/p/github_auth')
    const text = await response.text()
    const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(response.headers.get('content-security-policy')).toContain(`style-src 'sha256-${hash}'`)
    expect(text).not.toMatch(/<script|style=|onclick|https?:/)
  })

  test('is text for what is no browser', async () => {
    const response = await call('/p/github_auth', { headers: { accept: '*/*' } })
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe(
      'To sign in with github, open this address in a browser: https://reg.example/p/github_auth\n',
    )
    const error = await call('/p/github_auth?code=x', { headers: { accept: '*/*' } })
    expect(error.status).toBe(400)
    expect(await error.text()).toStartWith('This sign-in was not begun in this browser')
  })

  test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS'])('to %s is 405', async (method) => {
    const response = await call('/p/github_auth', { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST'])
  })

  test('to a request without a usable Host is 400', async () => {
    const { pages } = setup(['github'])
    const context = { path: '/p/github_auth', query: 'start=1', base: undefined, address: undefined }
    expect((await pages.handle(new Request('http://x/'), context)).status).toBe(400)
  })
})

describe('a sign-in', () => {
  const begin = async (made: ReturnType<typeof setup>, init: RequestInit = {}, base?: string) => {
    const response = await made.call('/p/github_auth?start=1', init, base)
    const cookie = response.headers.get('set-cookie') ?? ''
    const location = new URL(response.headers.get('location') ?? 'x:')
    return {
      status: response.status,
      cookie,
      pair: cookie.split(';')[0] ?? '',
      state: location.searchParams.get('state'),
    }
  }

  test('binds the browser by a cookie that scripts and other sites do not see', async () => {
    const made = setup(['github'])
    const secure = await begin(made)
    expect(secure.status).toBe(303)
    expect(secure.cookie).toMatch(
      /^__Secure-berth-sign-in-[\w-]{12}=[\w-]{200,400}; Path=\/p; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    )
    const clear = await begin(made, {}, 'http://reg.example')
    expect(clear.cookie).toMatch(
      /^berth-sign-in-[\w-]{12}=[\w-]{200,400}; Path=\/p; Max-Age=600; HttpOnly; SameSite=Lax$/,
    )
    expect(clear.cookie).toContain(`berth-sign-in-${clear.state?.slice(0, 12)}=`)
  })

  test('begins by POST too', async () => {
    const made = setup(['github'])
    const { status, pair, state } = await begin(made, { method: 'POST' })
    expect(status).toBe(303)
    const target = `/p/github_auth?code=c&state=${state}`
    expect((await made.call(target, { headers: { cookie: `a=b; ${pair}; =; c` } })).status).toBe(200)
  })

  test('keeps those of other tabs, of which the oldest goes when there are many', async () => {
    const made = setup(['github'])
    const jar = new Map<string, string>([['other', 'x']])
    const cookie = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const states: (string | null)[] = []
    for (let tab = 0; tab < 10; tab++) {
      const response = await made.call('/p/github_auth?start=1', { headers: { cookie: cookie() } })
      for (const header of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(header) ?? []
        expect(header).toContain(`; Path=/p; Max-Age=${value === '' ? 0 : 600}; HttpOnly; SameSite=Lax; Secure`)
        if (value === '') jar.delete(name)
        else jar.set(name, value)
      }
      states.push(new URL(response.headers.get('location') ?? 'x:').searchParams.get('state'))
    }
    expect(jar.size).toBe(9)
    const statuses: number[] = []
    for (const state of states) {
      const response = await made.call(`/p/github_auth?code=c&state=${state}`, { headers: { cookie: cookie() } })
      statuses.push(response.status)
    }
    expect(statuses).toEqual([400, 400, ...Array(8).fill(200)])
  })

  test.each([
    ['that is done', async () => ({ account: 'ann', labels: {} }), 200, 'dropped'],
    ['that is refused', () => Promise.reject(new SignInError('refused', 'no')), 403, 'dropped'],
    ['that failed', () => Promise.reject(new SignInError('failed', 'no')), 502, 'dropped'],
    ['that may be tried again', () => Promise.reject(new SignInError('unavailable', 'no')), 503, 'kept'],
  ] as const)('%s has its cookie as it must', async (_, identify, status, expected) => {
    const made = setup([provider('github', { identify })])
    const { pair, state } = await begin(made)
    const response = await made.call(`/p/github_auth?code=c&state=${state}`, { headers: { cookie: pair } })
    const name = pair.split('=')[0]
    const drop = `${name}=; Path=/p; Max-Age=0; HttpOnly; SameSite=Lax; Secure`
    expect([response.status, response.headers.getSetCookie()]).toEqual([status, expected === 'kept' ? [] : [drop]])
  })

  test.each([
    ['another browser’s', (pair: string) => pair.replace(/=.*/, '=AAAA')],
    ['one that is no token', (pair: string) => `${pair}"`],
    ['one that is too long', (pair: string) => `${pair}${'A'.repeat(4_000)}`],
    ['one that was planted from a page without TLS', (pair: string) => pair.replace('__Secure-', '')],
  ])('does not end with %s, which is left alone and not recorded', async (_, change) => {
    const events: unknown[] = []
    const made = setup(['github'], { record: (event) => events.push(event) })
    const { pair, state } = await begin(made)
    const target = `/p/github_auth?code=c&state=${state}`
    const response = await made.call(target, { headers: { cookie: change(pair) } })
    expect([response.status, response.headers.getSetCookie()]).toEqual([400, []])
    expect(events).toEqual([])
    expect((await made.call(target, { headers: { cookie: pair } })).status).toBe(200)
  })

  test('ends with a token in HTML or text', async () => {
    const made = setup(['github'])
    for (const accept of ['text/html', '*/*']) {
      const { pair, state } = await begin(made)
      const response = await made.call(`/p/github_auth?code=c&state=${state}`, { headers: { cookie: pair, accept } })
      expect(response.status).toBe(200)
      expect(await response.text()).toContain('echo secret-token | docker login -u ann --password-stdin reg.example')
    }
  })

  test('is not used up by HEAD, which shows nothing', async () => {
    const made = setup(['github'])
    const { pair, state } = await begin(made)
    const target = `/p/github_auth?code=c&state=${state}`
    const head = await made.call(target, { method: 'HEAD', headers: { cookie: pair } })
    expect([head.status, await head.text()]).toEqual([200, ''])
    expect((await made.call(target, { headers: { cookie: pair } })).status).toBe(200)
  })

  test('of one provider does not end at another', async () => {
    const made = setup(['github', 'gitlab'])
    const { pair, state } = await begin(made)
    const elsewhere = await made.call(`/p/gitlab_auth?code=c&state=${state}`, { headers: { cookie: pair } })
    expect(elsewhere.status).toBe(400)
    expect((await made.call(`/p/github_auth?code=c&state=${state}`, { headers: { cookie: pair } })).status).toBe(200)
  })

  test('goes first to the host that the provider sends the browser back to, once', async () => {
    const made = setup([provider('github', { redirectUri: 'https://public.example/p/github_auth' })])
    const first = await made.call('/p/github_auth?start=1')
    expect(first.headers.get('location')).toBe('https://public.example/p/github_auth?start=2')
    expect(first.headers.get('set-cookie')).toBeNull()
    const second = await made.call('/p/github_auth?start=2', {}, 'http://internal:5001')
    expect(second.headers.get('location')).toEndWith('&to=https://public.example/p/github_auth')
    expect(second.headers.get('set-cookie')).toContain('; Secure')
  })

  test('beyond a bound of what is under way sends people away', async () => {
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const identify = async () => {
      await gate
      return { account: 'ann', labels: {} }
    }
    const made = setup([provider('github', { identify })])
    const started = await Promise.all(Array.from({ length: 33 }, () => begin(made)))
    const calls = started.map(({ pair, state }) =>
      made.call(`/p/github_auth?code=c&state=${state}`, { headers: { cookie: pair } }),
    )
    expect((await calls[32])?.status).toBe(503)
    release()
    const statuses = (await Promise.all(calls.slice(0, 32))).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200]))
  })

  test('that fails unexpectedly is nobody’s page, and is recorded', async () => {
    const outcomes: string[] = []
    const identify = () => Promise.reject(new TypeError('a bug'))
    const made = setup([provider('github', { identify })], { record: ({ outcome }) => outcomes.push(outcome) })
    const { pair, state } = await begin(made)
    let caught: unknown
    try {
      await made.call(`/p/github_auth?code=c&state=${state}`, { headers: { cookie: pair } })
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(TypeError)
    expect(outcomes).toEqual(['failed'])
  })

  test('whose provider cannot be asked leaves no cookie', async () => {
    const authorizationUrl = () => Promise.reject(new SignInError('unavailable', 'no'))
    const response = await setup([provider('github', { authorizationUrl })]).call('/p/github_auth?start=1')
    expect([response.status, response.headers.get('set-cookie')]).toEqual([503, null])
  })
})

describe('the commands', () => {
  test.each([
    ['ann@example.com', 'ann@example.com'],
    ['with space', "'with space'"],
    ["it's", `'it'\\''s'`],
    ['$(reboot)`x`', "'$(reboot)`x`'"],
    ['', "''"],
  ])('take %p as one word', (text, expected) => {
    expect(shellQuote(text)).toBe(expected)
  })

  test('mean the same to a shell, whatever the names hold', () => {
    const nasty = ['a b', "it's", '$HOME', '`id`', '"x"', '\\', '*', '!x', 'é', ';id', '&', '#', '~']
    for (const text of nasty) {
      const { stdout } = Bun.spawnSync(['sh', '-c', `printf %s ${shellQuote(text)}`])
      expect(stdout.toString()).toBe(text)
    }
  })

  test('are escaped in the page', () => {
    const account = `<img src=x>&"'`
    const page = donePage({ account, token: '<t>', expiresAt: undefined }, '<r>')
    expect(page.html).not.toMatch(/<img|<t>|<r>/)
    expect(page.html).toContain('&lt;img src=x&gt;&amp;&quot;&#39;')
    expect(page.text).toContain('It does not expire.')
  })

  test('are built from escaped pieces alone', () => {
    expect(html`<p>${'<'}${html`<b>${'&'}</b>`}${[html`<i>`, html`</i>`]}</p>`.markup).toBe(
      '<p>&lt;<b>&amp;</b><i></i></p>',
    )
  })
})
