import { describe, expect, test } from 'bun:test'
import { SECRET_PATTERN } from '../../auth/credential-secret.ts'
import { parseBasic } from '../../auth/credentials.ts'
import { ThrottledError } from '../../auth/login.ts'
import { openApi } from './api.fixture.ts'

describe('what an account does for itself', () => {
  test.each([
    ['jo', { account: 'jo', source: 'berth', admin: false, credential: 'password' }],
    ['lea', { account: 'lea', source: 'ldap', admin: false, credential: 'password' }],
    ['root-token', { account: 'root', source: 'berth', admin: true, credential: 'token' }],
    ['root-limited', { account: 'root', source: 'berth', admin: true, credential: 'limited-token' }],
  ])('%s asks who it is', async (as, expected) => {
    const { ask } = await openApi()
    expect((await ask('GET /me', { as })).json).toEqual(expected)
  })

  test('it makes, lists and revokes its own tokens, and nobody else’s', async () => {
    const { ask, tokens, recorded } = await openApi()
    const made = await ask('POST /me/tokens', { as: 'jo', body: { name: 'laptop', limits: ['repository:a:pull'] } })
    expect([made.status, made.json?.secret]).toEqual([201, expect.stringMatching(SECRET_PATTERN)])
    const foreign = { source: 'ldap', account: 'jo', name: 'x', kind: 'personal', limits: undefined } as const
    const { token } = await tokens.create({ ...foreign, expiresAt: undefined, stamp: undefined })
    expect((await ask('GET /me/tokens', { as: 'jo' })).json).toMatchObject({
      tokens: [{ name: 'laptop', account: 'jo' }],
    })
    expect((await ask(`DELETE /me/tokens/${token.id}`, { as: 'jo' })).status).toBe(404)
    expect((await ask('DELETE /me/tokens/id-001', { as: 'root' })).status).toBe(404)
    expect((await ask('DELETE /me/tokens/id-001', { as: 'jo-token' })).status).toBe(204)
    expect((await ask('GET /me/tokens', { as: 'jo' })).json).toEqual({ tokens: [] })
    expect(recorded).toEqual(['jo tokens of jo: done: made laptop', 'jo tokens of jo: done: revoked laptop'])
  })

  test('a token makes no other token and changes no password', async () => {
    const { ask } = await openApi()
    const detail = 'this needs your password, not a token'
    const token = await ask('POST /me/tokens', { as: 'jo-token', body: { name: 't' } })
    expect([token.status, token.json?.detail]).toEqual([403, detail])
    const password = await ask('PUT /me/password', { as: 'jo-token', body: { oldPassword: '123', newPassword: 'x' } })
    expect([password.status, password.json?.detail]).toEqual([403, detail])
  })

  test('accounts of a source that cannot tell get no tokens, and no other password', async () => {
    const { ask } = await openApi()
    const token = await ask('POST /me/tokens', { as: 'lea', body: { name: 't' } })
    expect([token.status, token.json?.detail]).toEqual([409, 'accounts of ldap cannot have tokens'])
    const password = await ask('PUT /me/password', { as: 'lea', body: { oldPassword: '123', newPassword: 'x' } })
    expect([password.status, password.json?.detail]).toEqual([409, 'your password is kept by ldap, not here'])
  })

  test('guesses at the old password are logins, which wait after too many', async () => {
    const asked: string[] = []
    const { ask, recorded } = await openApi({
      async whoIs(request, address) {
        const basic = parseBasic(request.headers.get('authorization') ?? undefined)
        asked.push(`${new URL(request.url).pathname} ${basic?.user} ${basic?.password} ${address}`)
        if (basic?.password !== '123') throw new ThrottledError(4_000)
        return { account: 'jo', source: 'berth', admin: false }
      },
    })
    const body = { oldPassword: 'gu€ss', newPassword: 'new' }
    const { status, headers } = await ask('PUT /me/password', { as: 'jo', body })
    expect([status, headers.get('retry-after')]).toEqual([429, '4'])
    expect(asked).toEqual(['/api/v1/me/password jo 123 192.0.2.9', '/api/v1/me/password jo gu€ss 192.0.2.9'])
    expect(recorded).toEqual([])
  })

  test('it changes its password if it knows the old one', async () => {
    const { ask, metadata } = await openApi()
    const wrong = await ask('PUT /me/password', { as: 'jo', body: { oldPassword: 'x', newPassword: 'y' } })
    expect([wrong.status, wrong.json?.errors]).toEqual([
      400,
      [{ path: 'oldPassword', message: 'the old password is wrong' }],
    ])
    expect((await ask('PUT /me/password', { as: 'jo', body: { oldPassword: '123', newPassword: '' } })).status).toBe(
      400,
    )
    expect((await ask('PUT /me/password', { as: 'jo', body: { oldPassword: '123', newPassword: 'new' } })).status).toBe(
      204,
    )
    expect(await Bun.password.verify('new', (await metadata.users.find('jo'))?.passwordHash ?? '')).toBe(true)
  })
})
