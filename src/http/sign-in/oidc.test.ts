import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SignInProvider } from '../../auth/sign-in.ts'
import { createOidcSignIn } from '../../auth/sign-in-oidc.ts'
import { createBrowser } from './browser.fixture.ts'
import { logInAt, SECRET, type SignInSetup, setup, signInAs, stopAll } from './oidc.fixture.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-sign-in-'))
afterAll(async () => {
  await stopAll()
  await rm(folder, { recursive: true })
})

let made: SignInSetup
const standard = await setup({ labelsClaims: ['groups', 'dept', 'email_verified', 'missing'] })
beforeEach(() => {
  made = standard
  made.server.signedIn.length = 0
  made.server.events.length = 0
  made.provider.requests.length = 0
})

describe('sign-in at a real provider', () => {
  test('hands out a token, with the claims as labels', async () => {
    const { server } = made
    const page = await signInAs(made, 'ann')
    expect(page.status).toBe(200)
    expect(page.text).toContain('<strong>ann@example.com</strong>')
    expect(page.text).toContain('docker login -u ann@example.com -p berth_pat_15 registry.example:5000<')
    expect(page.text).toContain('It expires on 2030-01-05 12:00 UTC')
    expect(server.signedIn).toEqual([
      {
        source: 'oidc',
        account: 'ann@example.com',
        labels: { groups: ['dev', 'ops'], dept: ['it'] },
        tokenLifeMs: 1000,
      },
    ])
    expect(server.events).toEqual([
      { outcome: 'done', source: 'oidc', account: 'ann@example.com', address: '127.0.0.1', detail: '' },
    ])
  })

  test('sends state, nonce and PKCE, and keeps what proves them on its side', async () => {
    const browser = createBrowser()
    let asked = new URL('http://none')
    const callback = await logInAt(made, browser, 'ann', (url) => {
      asked = new URL(url)
    })
    const { searchParams } = asked
    expect(searchParams.get('code_challenge_method')).toBe('S256')
    for (const name of ['state', 'nonce', 'code_challenge']) {
      expect(searchParams.get(name)).toMatch(/^[A-Za-z0-9_-]{43}$/)
    }
    expect(asked.href).not.toContain('code_verifier')
    const kept = () => browser.cookies.filter(({ origin }) => origin === made.server.base)
    expect(kept().map(({ path, name }) => `${path} ${name}`)).toEqual([
      `/p berth-sign-in-${searchParams.get('state')?.slice(0, 12)}`,
    ])
    expect((await browser.visit(callback)).status).toBe(200)
    expect(kept()).toEqual([])
  })

  const rows: [string, string, (callback: URL) => void][] = [
    ['a wrong state', 'state', (url) => url.searchParams.set('state', 'x'.repeat(43))],
    ['no state', 'state', (url) => url.searchParams.delete('state')],
    ['an empty state', 'state', (url) => url.searchParams.set('state', '')],
  ]
  test.each(rows)('is refused with %s, and nothing is asked of the provider', async (_, __, change) => {
    const browser = createBrowser()
    const callback = new URL(await logInAt(made, browser, 'ann'))
    change(callback)
    const page = await browser.visit(callback.href)
    expect(page.status).toBe(400)
    expect(page.text).toContain('not begun in this browser')
    expect(made.provider.requests).not.toContain('POST /token')
    expect(made.server.signedIn).toEqual([])
  })

  test('is refused a second time with the same state', async () => {
    const browser = createBrowser()
    const callback = await logInAt(made, browser, 'ann')
    expect((await browser.visit(callback)).status).toBe(200)
    expect((await browser.visit(callback)).status).toBe(400)
    expect(made.server.signedIn).toHaveLength(1)
  })

  test('is refused in another browser, and still goes on in its own', async () => {
    const browser = createBrowser()
    const callback = await logInAt(made, browser, 'ann')
    const other = createBrowser()
    expect((await other.visit(callback)).status).toBe(400)
    // One that is in the middle of a sign-in of its own, too.
    await logInAt(made, other, 'quiet')
    expect((await other.visit(callback)).status).toBe(400)
    expect((await browser.visit(callback)).status).toBe(200)
  })

  test('goes on in two tabs of one browser', async () => {
    const browser = createBrowser()
    const first = await logInAt(made, browser, 'ann')
    const second = await logInAt(made, browser, 'ann')
    expect((await browser.visit(first)).status).toBe(200)
    expect((await browser.visit(second)).status).toBe(200)
  })

  test('is refused after ten minutes', async () => {
    const browser = createBrowser()
    const callback = await logInAt(made, browser, 'ann')
    made.server.clock.now += 600_000
    expect((await browser.visit(callback)).status).toBe(400)
    expect(made.server.signedIn).toEqual([])
  })

  test('is refused with a nonce that was changed on the way', async () => {
    const browser = createBrowser()
    const callback = await logInAt(made, browser, 'ann', (url) => url.searchParams.set('nonce', 'tampered'))
    const page = await browser.visit(callback)
    expect(page.status).toBe(502)
    expect(page.text).toContain('could not be accepted')
    expect(made.server.signedIn).toEqual([])
    expect(made.server.events).toMatchObject([{ outcome: 'failed', detail: expect.stringContaining('JWT claim') }])
  })

  test('is refused with a PKCE challenge that was changed on the way', async () => {
    const browser = createBrowser()
    const callback = await logInAt(made, browser, 'ann', (url) =>
      url.searchParams.set('code_challenge', 'x'.repeat(43)),
    )
    const page = await browser.visit(callback)
    expect(page.status).toBe(502)
    expect(page.text).toContain('(invalid_grant)')
    expect(made.server.signedIn).toEqual([])
  })

  test('is refused with a code that was made up, and shows no secret', async () => {
    const browser = createBrowser()
    const callback = new URL(await logInAt(made, browser, 'ann'))
    callback.searchParams.set('code', 'made-up')
    const page = await browser.visit(callback.href)
    expect(page.status).toBe(502)
    expect(page.text + JSON.stringify(made.server.events)).not.toContain('client secret')
  })

  test('is refused with an answer of another issuer', async () => {
    const browser = createBrowser()
    const callback = new URL(await logInAt(made, browser, 'ann'))
    callback.searchParams.set('iss', 'https://evil.example')
    expect((await browser.visit(callback.href)).status).toBe(502)
    expect(made.server.signedIn).toEqual([])
  })

  test('says, escaped, that the person was turned away', async () => {
    const browser = createBrowser()
    const callback = new URL(await logInAt(made, browser, 'ann'))
    callback.searchParams.delete('code')
    callback.searchParams.set('error', 'access_denied')
    callback.searchParams.set('error_description', '<b>no</b>')
    const page = await browser.visit(callback.href)
    expect(page.status).toBe(400)
    expect(page.text).toContain('Example did not sign you in: access_denied: &lt;b&gt;no&lt;/b&gt;')
  })

  test('shows no text of an error that comes without a state', async () => {
    const page = await createBrowser().visit(`${made.server.base}/p/oidc_auth?error=call+555`)
    expect(page.status).toBe(400)
    expect(page.text).not.toContain('555')
  })

  test.each([
    ['whose address is not verified', 'liar', 'not verified'],
    ['whose address is not verified, in words', 'worded', 'not verified'],
    ['without the claim', 'nobody', 'claim &quot;email&quot;'],
    ['whose name has a colon', 'colon', 'cannot be an account'],
  ])('refuses a person %s', async (_, person, text) => {
    const page = await signInAs(made, person)
    expect(page.status).toBe(403)
    expect(page.text).toContain(text)
    expect(made.server.signedIn).toEqual([])
    expect(made.server.events).toMatchObject([{ outcome: 'refused' }])
  })

  test('takes an address of which the provider does not say whether it is verified', async () => {
    expect((await signInAs(made, 'quiet')).status).toBe(200)
    expect(made.server.signedIn).toMatchObject([{ account: 'quiet@example.com', labels: {} }])
  })

  test('says why the accounts refuse, and hides why they cannot', async () => {
    const { server } = made
    const { conclude } = server
    try {
      server.conclude = async () => ({ refused: 'ann@example.com is an account of <ldap>.' })
      const refused = await signInAs(made, 'ann')
      expect(refused.status).toBe(403)
      expect(refused.text).toContain('is an account of &lt;ldap&gt;.')
      server.conclude = () => Promise.reject(new Error('disk I/O at /secret/path'))
      const failed = await signInAs(made, 'ann')
      expect(failed.status).toBe(503)
      expect(failed.text).not.toContain('/secret/path')
      expect(server.events.at(-1)).toMatchObject({ outcome: 'failed', detail: expect.stringContaining('disk I/O') })
    } finally {
      server.conclude = conclude
    }
  })
})

describe('a provider', () => {
  test('that is down is tried again at the next sign-in', async () => {
    const fresh = await setup()
    fresh.provider.trouble = 'down'
    const page = await createBrowser().visit(fresh.start)
    expect(page.status).toBe(503)
    expect(page.text).toContain('Example has a problem of its own (status 503)')
    fresh.provider.trouble = 'none'
    expect((await signInAs(fresh, 'ann')).status).toBe(200)
    // And in the middle of a sign-in.
    const browser = createBrowser()
    const callback = await logInAt(fresh, browser, 'ann')
    fresh.provider.trouble = 'down'
    expect((await browser.visit(callback)).status).toBe(503)
  })

  test('that does not answer is given up on', async () => {
    const fresh = await setup({ httpTimeoutMs: 100 })
    fresh.provider.trouble = 'silent'
    const page = await createBrowser().visit(fresh.start)
    expect(page.status).toBe(503)
    expect(page.text).toContain('Example does not answer')
  })

  test('is asked for its metadata once, and again after an hour', async () => {
    const fresh = await setup()
    const discoveries = () => fresh.provider.requests.filter((text) => text.includes('.well-known')).length
    const stopAt = (url: string) => new URL(url).pathname === '/auth'
    await Promise.all([1, 2, 3].map(() => createBrowser().visit(fresh.start, { stopAt })))
    expect(discoveries()).toBe(1)
    fresh.server.clock.now += 3_600_000
    await createBrowser().visit(fresh.start, { stopAt })
    expect(discoveries()).toBe(2)
  })

  test.each([
    ['wants the secret in the body', 'client_secret_post' as const],
    ['has a public client', 'none' as const],
  ])('that %s is served', async (_, authMethod) => {
    expect((await signInAs(await setup({}, { authMethod }), 'ann')).status).toBe(200)
  })

  test('that puts all claims into the ID token is not asked for more', async () => {
    const fresh = await setup({ labelsClaims: ['dept'] }, { inIdToken: true })
    expect((await signInAs(fresh, 'ann')).status).toBe(200)
    expect(fresh.provider.requests).not.toContain('GET /me')
    expect(fresh.server.signedIn).toMatchObject([{ labels: { dept: ['it'] } }])
  })

  test('names the account by another claim, whose address then need not be verified', async () => {
    const fresh = await setup({ userClaim: 'sub' })
    expect((await signInAs(fresh, 'liar')).status).toBe(200)
    expect(fresh.server.signedIn).toMatchObject([{ account: 'liar' }])
  })

  test('is shown the secret that the file holds now', async () => {
    const clientSecretFile = join(folder, 'secret')
    const fresh = await setup({ clientSecret: undefined, clientSecretFile })
    const missing = await signInAs(fresh, 'ann')
    expect(missing.status).toBe(503)
    expect(missing.text).not.toContain(folder)
    await writeFile(clientSecretFile, 'wrong\n')
    expect((await signInAs(fresh, 'ann')).status).toBe(502)
    await writeFile(clientSecretFile, `${SECRET}\n`)
    expect((await signInAs(fresh, 'ann')).status).toBe(200)
  })

  test('whose ID token is signed by another key is not believed', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const keys = [{ ...publicKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'fixture' }]
    const fresh = await setup({
      fetch: async (url, init) => (url.endsWith('/jwks') ? Response.json({ keys }) : await fetch(url, init)),
    })
    expect((await signInAs(fresh, 'ann')).status).toBe(502)
    expect(fresh.server.signedIn).toEqual([])
  })

  test('whose issuer is plain http on another machine is refused at start', () => {
    const make = (issuer: string, redirectUri = 'https://x.example/oidc_auth'): SignInProvider =>
      createOidcSignIn({
        kind: 'oidc',
        title: 'x',
        issuer,
        clientId: 'x',
        clientSecret: undefined,
        clientSecretFile: undefined,
        redirectUri,
        userClaim: 'email',
        labelsClaims: [],
        scopes: [],
        domain: undefined,
        httpTimeoutMs: 1,
        registryUrl: undefined,
        tokenLifeMs: 1,
        now: () => 0,
      })
    expect(() => make('http://sso.example')).toThrow('oidc_auth.issuer must begin with https://')
    expect(() => make('http://127.0.0.1.sso.example')).toThrow('must begin with https://')
    expect(() => make('sso.example')).toThrow('oidc_auth.issuer must be an http or https URL')
    expect(() => make('https://sso.example', 'https://x.example/?a=b')).toThrow('oidc_auth.redirect_url')
    expect(make('http://localhost:1').kind).toBe('oidc')
  })

  test('that names an address without TLS on another machine is not sent anything', async () => {
    const seen: string[] = []
    const fresh = await setup({
      fetch: async (url, init) => {
        seen.push(url)
        const answer = await fetch(url, init)
        if (!url.includes('.well-known')) return answer
        return Response.json({ ...((await answer.json()) as object), token_endpoint: 'http://elsewhere.example/token' })
      },
    })
    const page = await signInAs(fresh, 'ann')
    expect(page.status).toBe(502)
    expect(page.text).toContain('names an address without TLS')
    expect(seen.filter((url) => url.includes('elsewhere'))).toEqual([])
  })

  test('that answers without end is cut off', async () => {
    const endless = () =>
      new Response(new ReadableStream({ pull: (out) => out.enqueue(new Uint8Array(1 << 20)) }), {
        headers: { 'content-type': 'application/json' },
      })
    const fresh = await setup({ fetch: async () => endless() })
    const page = await createBrowser().visit(fresh.start)
    expect(page.status).toBe(502)
    expect(page.text).toContain('answers with more than 2097152 bytes')
  })
})

describe('Google', () => {
  const google = { kind: 'google', title: 'Google' } as const
  test('lets the domain’s people in, and nobody else', async () => {
    const fresh = await setup({ ...google, domain: 'Corp.example' })
    const inside = await signInAs(fresh, 'hosted')
    expect(inside.status).toBe(200)
    for (const person of ['guest', 'impostor', 'ann', 'quiet']) {
      expect([person, (await signInAs(fresh, person)).status]).toEqual([person, 403])
    }
    expect(fresh.server.signedIn).toEqual([
      { source: 'google', account: 'h@corp.example', labels: {}, tokenLifeMs: 1000 },
    ])
  })

  test('lets everybody in without a domain, if the address is verified', async () => {
    const fresh = await setup(google)
    expect((await signInAs(fresh, 'ann')).status).toBe(200)
    expect((await signInAs(fresh, 'quiet')).status).toBe(403)
  })
})
