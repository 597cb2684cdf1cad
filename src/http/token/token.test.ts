import { describe, expect, test } from 'bun:test'
import { A, as, B, bodyOf, claimsOf, form, NOW, setup, summary, withForm } from './token.samples.ts'

const DENIED = '401 Auth failed.\n'
const S = 'service=reg'

/** Golden cases 8.1. On purpose otherwise: H1 (more keys), H22 (refresh tokens are refused by name), H37 (no panic). */
const httpRows: [string, typeof A, string, RequestInit, string][] = [
  ['H2: no credentials', A, `/auth?${S}`, {}, DENIED],
  ['H3: no credentials where nobody is a user', B, `/auth?${S}`, {}, 'token '],
  ['H4: a wrong password', A, `/auth?${S}`, as('admin:wrong'), DENIED],
  ['H5: an unknown user', A, `/auth?${S}`, as('nobody:x'), DENIED],
  ['H6: any password for a user without one', A, `/auth?${S}`, as('open:whatever'), 'token open'],
  ['H7: the account names the user', A, `/auth?account=open&${S}`, {}, 'token open'],
  ['H8: but the password is still needed', A, `/auth?account=admin&${S}`, {}, DENIED],
  ['H9: a user that is null', A, `/auth?${S}`, as('nul:x'), DENIED],
  ['H10: a hash that is none', A, `/auth?${S}`, as('bad:plaintext'), DENIED],
  [
    'H11: another account than the user',
    A,
    `/auth?account=test&${S}`,
    as('admin:badmin'),
    '400 Bad request: user and account are not the same ("admin" vs "test")\n',
  ],
  [
    'H11: also with a wrong password',
    A,
    `/auth?account=test&${S}`,
    as('admin:x'),
    '400 Bad request: user and account are not the same ("admin" vs "test")\n',
  ],
  ['H12: the same account', A, `/auth?account=admin&${S}`, as('admin:badmin'), 'token admin'],
  ['H13: an empty account', A, `/auth?account=&${S}`, as('admin:badmin'), 'token admin'],
  ['H14: bad base64', A, `/auth?${S}`, { headers: { authorization: 'Basic !!!' } }, DENIED],
  ['H14: bad base64 where nobody is a user', B, `/auth?${S}`, { headers: { authorization: 'Basic !!!' } }, 'token '],
  ['H15: another scheme', A, `/auth?${S}`, { headers: { authorization: 'Bearer abc' } }, DENIED],
  [
    'H15: another scheme where nobody is a user',
    B,
    `/auth?${S}`,
    { headers: { authorization: 'Bearer abc' } },
    'token ',
  ],
  ['H16: nobody, by name', B, `/auth?${S}`, as(':'), 'token '],
  [
    'H17: the scheme in lower case',
    A,
    `/auth?${S}`,
    { headers: { authorization: `basic ${btoa('admin:badmin')}` } },
    'token admin',
  ],
  [
    'H18: a password grant',
    A,
    '/auth',
    form('grant_type=password&username=admin&password=badmin&service=reg&client_id=c&access_type=offline'),
    'token admin',
  ],
  ['H19: a form without a password', A, '/auth', form('username=admin'), DENIED],
  ['H19: a form without a password where nobody is a user', B, '/auth', form('username=admin'), 'token '],
  ['H20: a form’s account is who logs in', A, '/auth', form('username=admin&password=badmin&account=test'), DENIED],
  [
    'H21: a form’s account without a password of its own',
    A,
    '/auth',
    form('username=x&password=y&account=open'),
    'token open',
  ],
  [
    'H21: a form with the password of its account',
    A,
    '/auth',
    form('username=test&password=badmin&account=admin'),
    'token admin',
  ],
  [
    'H23: JSON is no form',
    A,
    '/auth',
    {
      method: 'POST',
      body: '{"username":"admin","password":"badmin"}',
      headers: { 'content-type': 'application/json' },
    },
    DENIED,
  ],
  [
    'H23: a form that does not say so is none',
    A,
    '/auth',
    { method: 'POST', body: new TextEncoder().encode('username=admin&password=badmin') },
    DENIED,
  ],
  ['H24: Basic beats the form', A, '/auth', withForm('admin:badmin', 'username=test&password=123'), 'token admin'],
  ['H25: GET reads no password', A, '/auth?username=admin&password=badmin', {}, DENIED],
  [
    'H26: POST reads it from the URL, too',
    A,
    `/auth?username=admin&password=badmin&${S}`,
    { method: 'POST' },
    'token admin',
  ],
  ['H28: PUT is like GET', A, `/auth?${S}`, as('admin:badmin', { method: 'PUT' }), 'token admin'],
  ['H28: DELETE is like GET', A, `/auth?${S}`, as('admin:badmin', { method: 'DELETE' }), 'token admin'],
  ['H28: OPTIONS is like GET', A, `/auth?${S}`, as('admin:badmin', { method: 'OPTIONS' }), 'token admin'],
  ['H28: PUT reads no password from a form', A, '/auth', form('username=admin&password=badmin', 'PUT'), DENIED],
  ['H29: the other path', A, `/auth/token?${S}`, as('admin:badmin'), 'token admin'],
  ...['/auth/', '/auth_token', '//auth', '/token', '/google_auth', '/metrics', '/healthz'].map(
    (path): [string, typeof A, string, RequestInit, string] => [
      `H30: ${path} is not there`,
      A,
      path,
      as('admin:badmin'),
      '404 Not found\n',
    ],
  ),
  [
    'a multipart form',
    A,
    '/auth',
    (() => {
      const body = new FormData()
      body.set('username', 'admin')
      body.set('password', 'badmin')
      return { method: 'POST', body }
    })(),
    'token admin',
  ],
  [
    'a multipart form that is damaged',
    A,
    '/auth',
    { method: 'POST', body: 'x', headers: { 'content-type': 'multipart/form-data; boundary=y' } },
    DENIED,
  ],
  [
    'a raw space in a form (curl -d "service=Docker registry")',
    A,
    '/auth',
    withForm('admin:badmin', 'service=Docker registry'),
    'token admin',
  ],
]

describe('the token endpoint', () => {
  test.each(httpRows)('%s', async (_, { call }, target, init, expected) => {
    expect(await summary(await call(target, init))).toBe(expected)
  })

  test('H1: answers with the token twice, its life, and when it was made', async () => {
    const response = await A.call(`/auth?${S}`, as('admin:badmin'))
    const text = await response.text()
    const { token } = JSON.parse(text)
    expect(text).toBe(
      `{"access_token":"${token}","expires_in":900,"issued_at":"2026-03-01T12:00:00Z","token":"${token}"}`,
    )
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('no-store')
    const iat = Math.floor(NOW / 1000)
    const { jti, ...claims } = claimsOf(token)
    expect(claims).toEqual({
      iss: 'Acme auth server',
      sub: 'admin',
      aud: 'reg',
      exp: iat + 900,
      nbf: iat - 10,
      iat,
      access: [],
    })
    expect(jti).toMatch(/^[0-9]{1,19}$/)
  })

  test('H2: a refusal names the realm', async () => {
    const { headers } = await A.call(`/auth?${S}`)
    expect(headers.get('www-authenticate')).toBe('Basic realm="Acme auth server"')
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  test('H22: a refresh token is refused by name, as RFC 6749 has it', async () => {
    for (const { call } of [A, B]) {
      const response = await call('/auth', form('grant_type=refresh_token&refresh_token=z&service=reg'))
      expect(response.status).toBe(400)
      expect((await bodyOf(response)).error).toBe('unsupported_grant_type')
    }
  })

  test('H27: the form comes before the URL, and scopes of both count', async () => {
    const init = withForm('admin:badmin', 'service=b&scope=repository:b:pull')
    const { aud, access } = claimsOf(
      (await bodyOf(await A.call('/auth?service=q&scope=repository:q:pull', init))).token,
    )
    expect(aud).toBe('b')
    expect(access.map(({ name }: { name: string }) => name)).toEqual(['b', 'q'])
  })

  test('H31: a prefix is put in front', async () => {
    const { call } = setup({ endpoint: { pathPrefix: '/p' } })
    expect((await call(`/p/auth?${S}`, as('admin:badmin'))).status).toBe(200)
    expect((await call('/auth', as('admin:badmin'))).status).toBe(404)
    expect((await call('/p')).status).toBe(404)
    expect(await (await call('/p/')).text()).toBe('<h1>Acme auth server</h1>\n')
  })

  test('H32: the root shows the issuer, which is text', async () => {
    const response = await A.call('/')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await response.text()).toBe('<h1>Acme auth server</h1>\n')
    const { call } = setup({ server: { issuer: '<b>&' } })
    expect(await (await call('/')).text()).toBe('<h1>&#60;b&#62;&#38;</h1>\n')
  })

  test('H34: HSTS is on every answer', async () => {
    const { call } = setup({ endpoint: { hsts: true } })
    const answers = await Promise.all([call('/auth'), call('/x'), call('/'), call('/auth', as('admin:badmin'))])
    expect(answers.map(({ status }) => status)).toEqual([401, 404, 200, 200])
    for (const { headers } of answers) {
      expect(headers.get('strict-transport-security')).toBe('max-age=63072000; includeSubDomains')
    }
    expect((await A.call('/')).headers.has('strict-transport-security')).toBe(false)
  })

  test('HEAD has the headers of GET and no body', async () => {
    const get = await A.call(`/auth?${S}`, as('admin:badmin'))
    const head = await A.call(`/auth?${S}`, as('admin:badmin', { method: 'HEAD' }))
    expect(await head.text()).toBe('')
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(100)
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'))
    expect((await A.call('/auth', { method: 'HEAD' })).status).toBe(401)
  })

  test('a body that is too large is refused, declared or not', async () => {
    const big = 'x'.repeat(65_537)
    expect((await A.call('/auth', form(big))).status).toBe(413)
    const stream = new Blob([big]).stream()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await A.call('/auth', { method: 'POST', body: stream, headers })).status).toBe(413)
    expect((await A.call('/auth', form('x'.repeat(65_536)))).status).toBe(401)
  })
})
