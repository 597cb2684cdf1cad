import { afterAll, describe, expect, test } from 'bun:test'
import { A, B, openPlace, type Sent, type Variant } from './token-app.ts'

const place = openPlace()
afterAll(place.close)

const S = 'service=reg'
const DENIED = '401 Auth failed.\n'
const MISSING = '404 Not found\n'
const OTHER = '400 Bad request: user and account are not the same ("admin" vs "test")\n'
const admin: Sent = { basic: 'admin:badmin' }
const shows = (authorization: string): Sent => ({ headers: { authorization } })
const json = (body: object): Sent => ({ form: JSON.stringify(body), headers: { 'content-type': 'application/json' } })

/** The same in fixtures A and B. */
const both = (a: string, b: string): [string, string][] => [
  [A, a],
  [B, b],
]
const inA = (expected: string): [string, string][] => [[A, expected]]

const rows: [sentence: string, line: string, sent: Sent, expected: [body: string, answer: string][]][] = [
  ['H1: a user with the right password', `GET /auth?${S}`, admin, both('tok(admin)', 'tok(admin)')],
  ['H2, H3: no credentials', `GET /auth?${S}`, {}, both(DENIED, 'tok()')],
  ['H4: a wrong password', `GET /auth?${S}`, { basic: 'admin:wrong' }, both(DENIED, DENIED)],
  ['H5: an unknown user', `GET /auth?${S}`, { basic: 'nobody:x' }, both(DENIED, DENIED)],
  ['H6: any password for a user without one', `GET /auth?${S}`, { basic: 'open:whatever' }, inA('tok(open)')],
  ['H7: the account names the user', `GET /auth?account=open&${S}`, {}, inA('tok(open)')],
  ['H8: the account does not spare the password', `GET /auth?account=admin&${S}`, {}, inA(DENIED)],
  ['H9: a user that is null', `GET /auth?${S}`, { basic: 'nul:x' }, inA(DENIED)],
  ['H10: a hash that is none', `GET /auth?${S}`, { basic: 'bad:plaintext' }, inA(DENIED)],
  ['H11: another account than the user', `GET /auth?account=test&${S}`, admin, inA(OTHER)],
  ['H11: before the password is looked at', `GET /auth?account=test&${S}`, { basic: 'admin:x' }, inA(OTHER)],
  ['H12: the account of the user', `GET /auth?account=admin&${S}`, admin, inA('tok(admin)')],
  ['H13: an empty account', `GET /auth?account=&${S}`, admin, inA('tok(admin)')],
  ['H14: bad base64 shows nothing', `GET /auth?${S}`, shows('Basic !!!'), both(DENIED, 'tok()')],
  ['H15: another scheme shows nothing', `GET /auth?${S}`, shows('Bearer abc'), both(DENIED, 'tok()')],
  ['H16: a colon alone is nobody', `GET /auth?${S}`, shows('Basic Og=='), both(DENIED, 'tok()')],
  ['H17: the scheme in any case', `GET /auth?${S}`, shows(`basic ${btoa('admin:badmin')}`), inA('tok(admin)')],
  [
    'H18: a password grant',
    'POST /auth',
    { form: 'grant_type=password&username=admin&password=badmin&service=reg&client_id=c&access_type=offline' },
    inA('tok(admin)'),
  ],
  ['H19: a form without a password shows nothing', 'POST /auth', { form: 'username=admin' }, both(DENIED, 'tok()')],
  [
    "H20: a form's account is who logs in",
    'POST /auth',
    { form: 'username=admin&password=badmin&account=test' },
    inA(DENIED),
  ],
  [
    'H21: and its user name then does not count',
    'POST /auth',
    { form: 'username=x&password=y&account=open' },
    inA('tok(open)'),
  ],
  [
    'H21: so that the password must be that of the account',
    'POST /auth',
    { form: 'username=test&password=badmin&account=admin' },
    inA('tok(admin)'),
  ],
  ['H23: JSON is no form', 'POST /auth', json({ username: 'admin', password: 'badmin' }), both(DENIED, 'tok()')],
  ['H24: Basic beats a form', 'POST /auth', { ...admin, form: 'username=test&password=123' }, inA('tok(admin)')],
  ['H25: GET reads no password', 'GET /auth?username=admin&password=badmin', {}, both(DENIED, 'tok()')],
  ['H26: POST reads it from the URL too', `POST /auth?username=admin&password=badmin&${S}`, {}, inA('tok(admin)')],
  ['H28: PUT is like GET', `PUT /auth?${S}`, admin, inA('tok(admin)')],
  ['H28: PATCH is like GET', `PATCH /auth?${S}`, admin, inA('tok(admin)')],
  ['H28: DELETE is like GET', `DELETE /auth?${S}`, admin, inA('tok(admin)')],
  ['H28: OPTIONS is like GET', `OPTIONS /auth?${S}`, admin, inA('tok(admin)')],
  ['H28: PUT reads no password from a form', 'PUT /auth', { form: 'username=admin&password=badmin' }, inA(DENIED)],
  ['H29: the other path', `GET /auth/token?${S}`, admin, inA('tok(admin)')],
  ['H29: a path is the same with needless escapes', `GET /%61uth?${S}`, admin, inA('tok(admin)')],
  ...['/auth/', '//auth', '/auth_token', '/token', '/google_auth', '/metrics', '/healthz', '/AUTH'].map(
    (path): (typeof rows)[number] => [`H30: ${path} is not there`, `GET ${path}`, admin, inA(MISSING)],
  ),
]

describe('the endpoint', () => {
  test.each(rows)('%s', async (_, line, sent, expected) => {
    for (const [body, answer] of expected) {
      expect(await (await place.start({ body })).ask(line, sent)).toBe(answer)
    }
  })

  // More keys than docker_auth's two, on purpose: without them clients come back after a minute.
  test('H1: the answer is JSON, with the token under both names', async () => {
    const response = await (await place.start()).send(`GET /auth?${S}`, admin)
    expect(response.headers.get('content-type')).toBe('application/json')
    const { access_token: first, token, ...rest } = (await response.json()) as Record<string, unknown>
    expect(token).toBe(first)
    expect(rest).toEqual({ expires_in: 900, issued_at: '2026-03-01T12:00:00Z' })
    const { aud, access } = await (await place.start()).claims(`GET /auth?${S}`, admin)
    expect([aud, access]).toEqual(['reg', []])
  })

  test('H18: a password grant gets what OAuth2 requires, and no refresh token from a server that keeps nothing', async () => {
    const form = 'grant_type=password&username=admin&password=badmin&service=reg&client_id=c&access_type=offline'
    const response = await (await place.start()).send('POST /auth', { form: `${form}&scope=repository:x:pull` })
    const answer = (await response.json()) as Record<string, unknown>
    expect(Object.keys(answer)).toEqual(['access_token', 'expires_in', 'issued_at', 'scope', 'token'])
    expect(answer.scope).toBe('repository:x:pull')
  })

  test('H2: a refusal is text, and names the realm', async () => {
    const { headers } = await (await place.start()).send(`GET /auth?${S}`)
    expect(headers.get('www-authenticate')).toBe('Basic realm="Acme auth server"')
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })

  // On purpose: docker_auth takes it for a client without credentials, which a client cannot tell from a login.
  test('H22: a refresh token is refused by name', async () => {
    const form = 'grant_type=refresh_token&refresh_token=z&service=reg'
    for (const body of [A, B]) {
      const response = await (await place.start({ body })).send('POST /auth', { form })
      expect([response.status, await response.json()]).toMatchObject([400, { error: 'unsupported_grant_type' }])
    }
    const keeping = await place.start({ data: place.pathOf('data') })
    const response = await keeping.send('POST /auth', { form })
    expect([response.status, await response.json()]).toMatchObject([401, { error: 'invalid_grant' }])
  })

  test('H27: the body stands before the URL, and scopes of both count', async () => {
    const sent = { ...admin, form: 'service=b&scope=repository:b:pull' }
    const { aud, access } = await (await place.start()).claims('POST /auth?service=q&scope=repository:q:pull', sent)
    expect([aud, access.map(({ name }) => name)]).toEqual(['b', ['b', 'q']])
  })

  test('H31: a prefix stands in front of everything', async () => {
    const { ask } = await place.start({ server: 'path_prefix: /p' })
    expect(await ask(`GET /p/auth?${S}`, admin)).toBe('tok(admin)')
    expect(await ask(`GET /auth?${S}`, admin)).toBe(MISSING)
    expect(await ask('GET /p')).toBe(MISSING)
    expect(await ask('GET /p/')).toBe('200 <h1>Acme auth server</h1>\n')
  })

  test('H32: the root shows the issuer', async () => {
    const response = await (await place.start()).send('GET /')
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(await response.text()).toBe('<h1>Acme auth server</h1>\n')
  })

  test('H33: the root leads to the only sign-in, which a browser must not remember', async () => {
    const body = `github_auth: {client_id: i, client_secret: s}\n${A}`
    const { send } = await place.start({ body, server: 'path_prefix: /p', data: place.pathOf('data') })
    const { status, headers } = await send('GET /p/')
    expect([status, headers.get('location'), headers.get('cache-control')]).toEqual([301, '/p/github_auth', 'no-store'])
  })

  test('H34: HSTS is on every answer', async () => {
    const { send } = await place.start({ server: 'hsts: true' })
    const lines = ['GET /auth', 'GET /x', 'GET /', `GET /auth?${S}`, 'GET /auth?scope=x', 'GET /.well-known/jwks.json']
    const answers = await Promise.all(lines.map((line, index) => send(line, index === 3 ? admin : {})))
    expect(answers.map(({ status }) => status)).toEqual([401, 404, 200, 200, 400, 200])
    for (const { headers } of answers) {
      expect(headers.get('strict-transport-security')).toBe('max-age=63072000; includeSubDomains')
    }
    const without = await (await place.start()).send('GET /')
    expect(without.headers.has('strict-transport-security')).toBe(false)
  })
})

describe('the address of the client', () => {
  const body = `users: {"": {}}
acl:
  - {match: {ip: 1.2.3.4}, actions: [one]}
  - {match: {ip: 5.6.7.8}, actions: [two]}
  - {match: {ip: "2001:db8::1"}, actions: [six]}
`
  const at = (position: number): Variant => ({
    body,
    server: `real_ip_header: X-Forwarded-For, real_ip_pos: ${position}`,
  })
  const missing = '400 Bad request: client address not provided\n'
  const unable = (text: string) => `400 Bad request: unable to parse remote addr ${text}\n`
  const LIST = '1.2.3.4, 5.6.7.8'
  const line = 'GET /auth?scope=repository:x:one,two,six'

  test.each<[string, number, string | undefined, string]>([
    ['H35: without the header', 0, undefined, missing],
    ['H35: with an empty header', 0, '', missing],
    ['H36: the first of the list', 0, LIST, 'one'],
    ['H36: the last of the list', -1, LIST, 'two'],
    ['H36: the last but one', -2, LIST, 'one'],
    ['H36: before the first is the first', -9, LIST, 'one'],
    ['H36: the second', 1, LIST, 'two'],
    // On purpose: docker_auth ends the connection.
    ['H37: past the last', 2, LIST, missing],
    ['H38: a word', 0, 'foo', unable('foo')],
    ['H38: an address with a zone', 0, 'fe80::1%eth0', unable('fe80::1%eth0')],
    ['H39: IPv6 with a port', 0, '[2001:db8::1]:443', 'six'],
    ['H39: IPv4 with a port', 0, '1.2.3.4:9', 'one'],
    ['H39: IPv6', 0, '2001:db8::1', 'six'],
    ['H40: a comma at the end', -1, '1.2.3.4,', missing],
  ])('%s', async (_, position, forwarded, expected) => {
    const server = await place.start(at(position))
    const sent = forwarded === undefined ? {} : { headers: { 'X-Forwarded-For': forwarded } }
    if (expected.startsWith('400')) expect(await server.ask(line, sent)).toBe(expected)
    else
      expect((await server.claims(line, sent)).access).toEqual([{ type: 'repository', name: 'x', actions: [expected] }])
  })

  test('is that of the connection, whatever a header says, where none is named', async () => {
    const sent = { headers: { 'X-Forwarded-For': '1.2.3.4' }, peer: '5.6.7.8' }
    const { access } = await (await place.start({ body })).claims(line, sent)
    expect(access.map(({ actions }) => actions)).toEqual([['two']])
  })
})
