import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Listener, listen } from '../../src/http/listen.ts'
import type { TestRegistry } from '../start-registry.ts'
import { SERVICE, startDefended } from './defended-registry.ts'
import { type Answer, type Ask, ask } from './exchange.ts'
import { basic } from './live-server.ts'

const HSTS = 'max-age=63072000; includeSubDomains'
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const JSON_BODY = { 'Content-Type': 'application/json' }
const ADMIN = basic('admin', 'admin secret')
const ANN = basic('ann', 'ann secret')

/** Nobody answers there. */
const NOWHERE = 'http://127.0.0.1:1'
const CLIENT = {
  clientId: 'id',
  clientSecret: 'secret',
  clientSecretFile: undefined,
  httpTimeoutMs: 1000,
  registryUrl: undefined,
}
const OIDC = { redirectUrl: 'http://127.0.0.1/oidc_auth', userClaim: 'sub', labelsClaims: [], scopes: ['openid'] }

let registry: TestRegistry
/** The token server's own listener. */
let tokens: Listener
beforeAll(async () => {
  registry = await startDefended({
    change(config, tokenServer) {
      config.http.headers = { 'Referrer-Policy': ['same-origin'] }
      tokenServer.hsts = true
      tokenServer.listen = { kind: 'tcp', hostname: '127.0.0.1', port: 0 }
      tokenServer.signIn = [
        { ...CLIENT, kind: 'github', organization: undefined, webUri: NOWHERE, apiUri: NOWHERE, revalidateAfterMs: 0 },
        { ...CLIENT, ...OIDC, kind: 'oidc', issuer: NOWHERE },
      ]
    },
  })
  const { app } = registry
  if (app.tokens === undefined) throw new Error('no token server of its own')
  const address = { kind: 'tcp', hostname: '127.0.0.1', port: 0 } as const
  tokens = await listen({ address, fetch: app.tokens, onError: () => {} })
})
afterAll(async () => {
  await tokens?.stop(0)
  await registry?.stop()
})

type Row = [title: string, status: number, method: string, path: string, options?: Ask]

const TOKEN_ENDPOINT: Row[] = [
  ['a token', 200, 'GET', `/auth?service=${SERVICE}`, { headers: ANN }],
  ['a token, by the other path', 200, 'POST', `/auth/token?service=${SERVICE}`, { headers: ANN, body: '' }],
  ['its headers alone', 200, 'HEAD', `/auth?service=${SERVICE}`, { headers: ANN }],
  ['nobody', 401, 'GET', '/auth'],
  ['a wrong password', 401, 'GET', '/auth', { headers: basic('ann', 'no') }],
  ['a bad scope', 400, 'GET', '/auth?scope=x', { headers: ANN }],
  ['two accounts', 400, 'GET', '/auth?account=bob', { headers: ANN }],
  ['a grant that is none', 400, 'POST', '/auth', { body: 'grant_type=magic', headers: FORM }],
  [
    'a refresh token that is none',
    401,
    'POST',
    '/auth',
    { body: 'grant_type=refresh_token&refresh_token=x', headers: FORM },
  ],
  ['a form that is too large', 413, 'POST', '/auth', { body: 'x'.repeat(70_000), headers: FORM }],
  ['a method that nobody uses', 401, 'PROPFIND', '/auth'],
]

const SIGN_IN_PAGES: Row[] = [
  ['the start page', 200, 'GET', '/github_auth'],
  ['the start page in a browser', 200, 'GET', '/oidc_auth', { headers: { Accept: 'text/html' } }],
  ['the way to the provider', 303, 'POST', '/github_auth', { body: '' }],
  ['a provider that cannot be reached', 503, 'POST', '/oidc_auth?start=2', { body: '' }],
  ['a browser that nobody knows', 400, 'GET', '/github_auth?code=x&state=y'],
  ['a provider that refuses', 400, 'GET', '/github_auth?error=access_denied&error_description=%3Cscript%3E'],
  ['a method that it does not have', 405, 'DELETE', '/github_auth'],
  ['a Host that is none', 400, 'GET', '/github_auth', { headers: { Host: 'a b' } }],
]

const API: Row[] = [
  ['who one is', 200, 'GET', '/api/v1/me', { headers: ANN }],
  ['its description', 200, 'GET', '/api/v1/openapi.json'],
  ['a list', 200, 'GET', '/api/v1/users', { headers: ADMIN }],
  ['nobody', 401, 'GET', '/api/v1/users'],
  ['somebody who may not', 403, 'GET', '/api/v1/users', { headers: ANN }],
  [
    'a page of another site',
    403,
    'POST',
    '/api/v1/users',
    { headers: { ...ADMIN, Origin: 'https://evil' }, body: '{}' },
  ],
  ['nothing', 404, 'GET', '/api/v1/nothing', { headers: ADMIN }],
  ['a method that it does not have', 405, 'PUT', '/api/v1/users', { headers: ADMIN, body: '{}' }],
  ['what is no JSON', 400, 'POST', '/api/v1/users', { headers: { ...ADMIN, ...JSON_BODY }, body: '{' }],
  ['a body of another type', 415, 'POST', '/api/v1/users', { headers: { ...ADMIN, ...FORM }, body: 'x=1' }],
  [
    'too large a body',
    413,
    'POST',
    '/api/v1/users',
    { headers: { ...ADMIN, ...JSON_BODY }, body: 'x'.repeat(1_100_000) },
  ],
]

const JWKS: Row[] = [
  ['the keys', 200, 'GET', '/.well-known/jwks.json'],
  ['another method', 405, 'POST', '/.well-known/jwks.json', { body: '' }],
]

function expectSound(answer: Answer, status: number): void {
  expect(answer.status).toBe(status)
  expect(answer.all['x-content-type-options']).toEqual(['nosniff'])
}

describe.each([
  ["the registry's listener", () => registry.port],
  ["the token server's own listener", () => tokens.port ?? 0],
])('on %s', (_, port) => {
  test.each(TOKEN_ENDPOINT)('the token endpoint is kept by nobody and taken for nothing else: %s', async (...row) => {
    const [, status, method, path, options] = row
    const answer = await ask(port(), method, path, options)
    expectSound(answer, status)
    expect(answer.all['cache-control']).toEqual(['no-store'])
    expect(answer.all['strict-transport-security']).toEqual([HSTS])
  })

  test.each(SIGN_IN_PAGES)('a page of sign-in lets nothing in and nobody frame it: %s', async (...row) => {
    const [, status, method, path, options] = row
    const answer = await ask(port(), method, path, options)
    expectSound(answer, status)
    expect(answer.all).toMatchObject({ 'cache-control': ['no-store'], 'strict-transport-security': [HSTS] })
    expect(answer.headers['content-security-policy']).toMatch(/^default-src 'none'; .*frame-ancestors 'none'/)
    expect(answer.text).not.toContain('<script>')
  })

  test.each(JWKS)('the public keys: %s', async (_title, status, method, path, options = {}) => {
    const answer = await ask(port(), method, path, options)
    expectSound(answer, status)
    expect(answer.all['strict-transport-security']).toEqual([HSTS])
  })
})

test.each(API)('the API is kept by nobody and shown in no frame: %s', async (_, status, method, path, options = {}) => {
  const answer = await ask(registry.port, method, path, options)
  expectSound(answer, status)
  expect(answer.all).toMatchObject({
    'cache-control': ['no-store'],
    'content-security-policy': ["default-src 'none'; frame-ancestors 'none'"],
  })
  if (status >= 400) expect(answer.headers['content-type']).toBe('application/problem+json')
})

test("the registry's own http.headers are on every answer of its listener, where that does not say otherwise", async () => {
  for (const path of ['/v2/', '/auth', '/api/v1/me', '/.well-known/jwks.json', '/nothing']) {
    const { headers } = await ask(registry.port, 'GET', path)
    expect({ path, policy: headers['referrer-policy'] }).toEqual({ path, policy: 'same-origin' })
  }
  expect((await ask(registry.port, 'GET', '/github_auth')).all['referrer-policy']).toEqual(['no-referrer'])
})
