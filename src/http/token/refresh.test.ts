import { describe, expect, test } from 'bun:test'
import type { Authenticator, Known } from '../../auth/authenticator.ts'
import { UnavailableError } from '../../auth/authenticator.ts'
import { createThrottle } from '../../auth/throttle.ts'
import type { RefreshTokens } from '../../auth/token-server.ts'
import type { TokenRow } from '../../metadata/metadata.ts'
import { A, as, claimsOf, form, now, rule, setup } from './token.samples.ts'

const OFFLINE = '/auth?service=reg&offline_token=true&client_id=docker&scope=repository:x:pull,push'
const REFRESH = 'grant_type=refresh_token&service=reg&client_id=docker&scope=repository:x:pull,push'

/** A source whose users can be found, and a store of refresh tokens, both open to the test. */
function withRefresh(options: { find?: boolean } = {}) {
  const users = new Map<string, Known>([['ann', { labels: { group: ['dev'] }, stamp: 's1' }]])
  const rows = new Map<string, TokenRow>()
  let broken = false
  const source: Authenticator = {
    name: 'ldap',
    authenticate: async (account, password) => {
      const known = users.get(account)
      if (known === undefined) return 'no-match'
      return password === 'right' ? { kind: 'yes', labels: known.labels } : 'wrong-password'
    },
    ...(options.find === false ? {} : { find: async (account: string) => users.get(account) }),
  }
  const refreshTokens: RefreshTokens = {
    async create({ source, account, stamp, client }) {
      const secret = `secret-${rows.size + 1}`
      rows.set(secret, {
        ...{ id: secret, hash: '', kind: 'refresh', source, account, stamp, name: client },
        ...{ limits: undefined, createdAt: 0, expiresAt: undefined, lastUsedAt: undefined, lastUsedFrom: undefined },
      })
      return secret
    },
    async check(secret) {
      if (broken) throw new UnavailableError('the database of tokens does not answer')
      return rows.get(secret)
    },
  }
  const { call, events } = setup({
    sources: [source],
    acl: [rule({ labels: { group: 'dev' } }, ['pull', 'push']), rule({}, ['pull'])],
    server: { refreshTokens },
  })
  const login = async (target = OFFLINE, init = as('ann:right')) => {
    return (await (await call(target, init)).json()) as Record<string, unknown>
  }
  return { call, events, users, rows, login, breakDown: () => (broken = true) }
}

describe('a refresh token', () => {
  test('is issued to a client that asks for one with a right password', async () => {
    const { login, rows } = withRefresh()
    expect(await login()).toMatchObject({ refresh_token: 'secret-1' })
    expect(rows.get('secret-1')).toMatchObject({ source: 'ldap', account: 'ann', stamp: 's1', name: 'docker' })
  })

  test('is issued to the OAuth2 form, which also says the scope', async () => {
    const { login } = withRefresh()
    const body = 'grant_type=password&username=ann&password=right&access_type=offline&service=reg&client_id=c'
    const answer = await login('/auth', form(`${body}&scope=repository:x:pull,delete`))
    expect(Object.keys(answer).sort()).toEqual([
      ...['access_token', 'expires_in', 'issued_at', 'refresh_token', 'scope', 'token'],
    ])
    expect(answer.scope).toBe('repository:x:pull')
  })

  test.each([
    ['a client that does not ask', '/auth?service=reg', 'ann:right', {}],
    ['a client that asks for none', '/auth?service=reg&offline_token=false', 'ann:right', {}],
    ['an account whose source cannot say later whether it still exists', OFFLINE, 'ann:right', { find: false }],
  ])('is not issued to %s', async (_, target, credentials, options) => {
    const { login, rows } = withRefresh(options)
    const answer = await login(target, as(credentials))
    expect(answer.token).toBeString()
    expect(answer).not.toHaveProperty('refresh_token')
    expect(rows.size).toBe(0)
  })

  test('gets tokens with the rights of now', async () => {
    const { call, login, users, events } = withRefresh()
    const { refresh_token: secret } = await login()
    const ask = async () => {
      const response = await call('/auth', form(`${REFRESH}&refresh_token=${secret}`))
      return { status: response.status, body: JSON.parse(await response.text()) }
    }
    const first = await ask()
    expect(first.status).toBe(200)
    expect(claimsOf(first.body.access_token)).toMatchObject({ sub: 'ann', access: [{ actions: ['pull', 'push'] }] })
    expect(first.body).not.toHaveProperty('refresh_token')
    expect(first.body.scope).toBe('repository:x:pull,push')
    users.set('ann', { labels: {}, stamp: 's1' })
    expect(claimsOf((await ask()).body.access_token)).toMatchObject({ access: [{ actions: ['pull'] }] })
    expect(events.at(-1)).toMatchObject({ kind: 'issued', account: 'ann', source: 'ldap', token: 'secret-1' })
  })

  test.each<[string, (setup: ReturnType<typeof withRefresh>) => void]>([
    ['a changed password', ({ users }) => users.set('ann', { labels: {}, stamp: 's2' })],
    ['a removed account', ({ users }) => users.delete('ann')],
    ['revocation', ({ rows }) => rows.clear()],
  ])('ends with %s', async (_, end) => {
    const made = withRefresh()
    const { refresh_token: secret } = await made.login()
    end(made)
    const response = await made.call('/auth', form(`${REFRESH}&refresh_token=${secret}`))
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({
      error: 'invalid_grant',
      errors: [{ code: 'UNAUTHORIZED', message: 'the identity token is not valid any more; log in again' }],
    })
  })

  test('is no password, and a personal access token is no refresh token', async () => {
    const { call, login, rows } = withRefresh()
    const { refresh_token: secret } = await login()
    expect((await call(OFFLINE, as(`ann:${secret}`))).status).toBe(401)
    const row = rows.get(String(secret))
    if (row !== undefined) rows.set('personal', { ...row, kind: 'personal' })
    expect((await call('/auth', form(`${REFRESH}&refresh_token=personal`))).status).toBe(401)
  })

  test('cannot be judged while its store is down', async () => {
    const { call, login, breakDown } = withRefresh()
    const { refresh_token: secret } = await login()
    breakDown()
    const response = await call('/auth', form(`${REFRESH}&refresh_token=${secret}`))
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5'])
  })

  test.each([
    ['one that is missing', 'grant_type=refresh_token&service=reg', 'invalid_request'],
    ['a grant that nobody knows', 'grant_type=client_credentials&service=reg', 'unsupported_grant_type'],
    ['a grant in the wrong case', 'grant_type=Password&username=ann&password=right', 'unsupported_grant_type'],
  ])('%s is refused in the words of OAuth2', async (_, body, error) => {
    const response = await withRefresh().call('/auth', form(body))
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error })
  })

  test('is refused by name where none are issued', async () => {
    const response = await A.call('/auth', form(`${REFRESH}&refresh_token=x`))
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'unsupported_grant_type' })
  })
})

test('too many failed logins are told to wait, in the registry’s form', async () => {
  const throttle = createThrottle({ now, perAccount: 2, perAddress: 100, windowMs: 60_000 })
  const { call, events } = setup({ throttle })
  for (const guess of ['a', 'b']) expect((await call('/auth', as(`bob:${guess}`))).status).toBe(401)
  const response = await call('/auth', as('bob:guess'))
  expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1'])
  const message = 'too many failed logins; try again later (in 1 s)'
  expect(await response.json()).toEqual({ errors: [{ code: 'TOOMANYREQUESTS', message }] })
  expect((await call('/auth', as('bob:guess'), '10.9.9.9')).status).toBe(401)
  expect(events.at(2)).toMatchObject({ kind: 'refused', reason: 'too many failed logins; try again later' })
})

test('more scopes than any client needs are refused', async () => {
  const scopes = (count: number) => Array.from({ length: count }, (_, i) => `scope=repository:r${i}:pull`).join('&')
  expect((await A.call(`/auth?${scopes(500)}`, as('admin:badmin'))).status).toBe(200)
  const response = await A.call(`/auth?${scopes(501)}`, as('admin:badmin'))
  expect([response.status, await response.text()]).toEqual([400, 'Bad request: more than 500 scopes in one request\n'])
})
