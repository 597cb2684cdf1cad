import { afterAll, beforeAll, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { TestRegistry } from '../start-registry.ts'
import { SERVICE, startDefended } from './defended-registry.ts'
import { type Answer, type Ask, ask } from './exchange.ts'
import { faultsIn } from './expectations.ts'
import { basic } from './live-server.ts'

let registry: TestRegistry
beforeAll(async () => {
  registry = await startDefended({
    // What is tried here is not guessing.
    throttle: { enabled: false },
    change(_, tokenServer) {
      tokenServer.signIn = [
        {
          kind: 'github',
          clientId: 'id',
          clientSecret: 'secret',
          clientSecretFile: undefined,
          httpTimeoutMs: 1000,
          registryUrl: undefined,
          organization: undefined,
          // Nobody answers there.
          webUri: 'http://127.0.0.1:1',
          apiUri: 'http://127.0.0.1:1',
          revalidateAfterMs: 0,
        },
      ]
    },
  })
})
afterAll(() => registry?.stop())

/** What may stand in a request line: no white space, which would end it. */
const wild = fc
  .string({ unit: 'binary', maxLength: 20 })
  .map((text) => Buffer.from(text.replace(/[\p{Z}\p{C}#]/gu, '%')).toString('latin1'))
  .map((text) => text.replace(/[^!-~\u00a1-\u00ff]/g, '%'))

const word = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom('ann', 'nobody', 'robot-x', '..', '.', '%2e%2e', '%2f', '%00', '%', '%ff', ''),
  },
  { weight: 1, arbitrary: wild },
)
const noun = fc.constantFrom(
  ...['users', 'groups', 'robots', 'tokens', 'acl', 'acl/test', 'audit', 'keys', 'me', 'me/tokens', 'me/password'],
  ...['users/ann/tokens', 'users/ann/password', 'groups/dev/members', 'openapi.json', 'nothing'],
)
const path = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('/auth', '/auth/token', '/auth/', '//auth', '/auth/x') },
  { weight: 4, arbitrary: noun.map((one) => `/api/v1/${one}`) },
  { weight: 4, arbitrary: fc.tuple(noun, word).map((parts) => `/api/v1/${parts.join('/')}`) },
  { weight: 2, arbitrary: fc.constantFrom('/github_auth', '/github_auth/', '/google_auth') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('/.well-known/jwks.json', '/.well-known/', '/api', '/api/', '/api/v1', '/api/v1/'),
  },
  { weight: 1, arbitrary: wild.map((text) => `/${text}`) },
)

const scope = fc.oneof(
  fc.constantFrom(
    ...[
      'repository:app:pull,push',
      'repository:app:*',
      'registry:catalog:*',
      'x',
      ':',
      '::',
      ':::',
      'a:b:c:d',
      'a(b):c:d',
    ],
    ...[
      'repository:a/b:',
      `repository:${'a/'.repeat(500)}b:pull`,
      `repository:app:${'pull,'.repeat(500)}`,
      '%00:%00:%00',
    ],
    Array.from({ length: 600 }, (_, i) => `repository:r${i}:pull`).join('%20'),
  ),
  wild,
)
const parameter = fc.oneof(
  scope.map((text) => ['scope', text]),
  fc.tuple(
    fc.constantFrom(
      ...['service', 'account', 'client_id', 'grant_type', 'refresh_token', 'offline_token', 'username', 'password'],
      ...['code', 'state', 'start', 'error', 'limit', 'before', 'last', 'kind', 'outcome', 'scope', '__proto__'],
    ),
    fc.oneof(
      fc.constantFrom(
        'ann',
        SERVICE,
        'true',
        'password',
        'refresh_token',
        '1',
        '-1',
        '1e9',
        '99999999999999999999',
        'token',
        '2',
        '',
      ),
      wild.map((text) => text.replaceAll('&', '%26')),
    ),
  ),
)
const query = fc.array(parameter, { maxLength: 4 }).map((pairs) => pairs.map((pair) => pair.join('=')).join('&'))

const credentials = fc.oneof(
  { weight: 5, arbitrary: fc.constant(basic('admin', 'admin secret').Authorization ?? '') },
  { weight: 2, arbitrary: fc.constant(basic('ann', 'ann secret').Authorization ?? '') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        'Basic',
        'Basic ',
        'Basic !',
        'Basic Og==',
        'Bearer x',
        'Bearer ',
        'Negotiate abc',
        '',
        `Basic ${'A'.repeat(4000)}`,
      ],
      basic('ann', 'wrong').Authorization ?? '',
    ),
  },
)
const type = fc.oneof(
  { weight: 3, arbitrary: fc.constant('application/json') },
  { weight: 2, arbitrary: fc.constant('application/x-www-form-urlencoded') },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['multipart/form-data; boundary=x', 'multipart/form-data', 'application/json; charset=latin1', '', ';;;'],
    ),
  },
)
const others: Record<string, readonly string[]> = {
  Accept: ['text/html', '*/*', ''],
  Cookie: ['berth-sign-in=x', `berth-sign-in=${'A'.repeat(43)}`, ';;=;', 'a'.repeat(3000)],
  Origin: ['null', 'https://evil.example', 'http://127.0.0.1', '%'],
  'X-Forwarded-For': ['1.2.3.4', 'x', ',,,', '::1%lo', '9'.repeat(3000)],
  'X-Forwarded-Host': ['a', 'a b', '<script>'],
  'X-Forwarded-Proto': ['https', 'ftp'],
  'If-Match': ['*', '"x"', 'W/"x"', '"', ''],
  'X-Large': ['x', 'x'.repeat(9_000), 'x'.repeat(40_000)],
}
const other = fc
  .constantFrom(...Object.keys(others))
  .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...(others[name] ?? []))))
const headers = fc
  .tuple(credentials, type, fc.array(other, { maxLength: 2 }))
  .map(([Authorization, contentType, more]): Record<string, string> => {
    return { Authorization, 'Content-Type': contentType, ...Object.fromEntries(more) }
  })

// biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of rules
const rule = { match: { account: '/(/', name: '${labels:x}' }, actions: ['*'] }
const body = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: query },
  { weight: 3, arbitrary: fc.json({ maxDepth: 4 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ...['', '{', '[]', 'null', '"x"', '{"__proto__":{}}', '['.repeat(50_000), `{"name":"${'x'.repeat(66_000)}"}`],
      ...[
        '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\ny\r\n--x--',
        '--x',
        `${'x=y&'.repeat(17_000)}`,
      ],
      JSON.stringify({ name: 'dev', description: 'x' }),
      JSON.stringify({ name: 'eve', password: 'x'.repeat(73) }),
      JSON.stringify({ name: '\ud800', password: '\0', admin: 'yes', labels: { __proto__: ['x'] } }),
      JSON.stringify({ name: 'bot', grants: [{ repository: '**/['.repeat(20), actions: ['pull'] }] }),
      JSON.stringify(rule),
      JSON.stringify({ rules: [rule] }),
      JSON.stringify({ account: 'ann', scope: 'repository:app:pull', ip: 'x', labels: {} }),
      JSON.stringify({ name: 'ci', expiresAt: '9999-99-99', limits: [{}] }),
      JSON.stringify({ oldPassword: 'x', newPassword: 'y' }),
      JSON.stringify({ algorithm: 'none', immediately: 1 }),
    ),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
)
const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS') },
  { weight: 1, arbitrary: fc.constantFrom('TRACE', 'CONNECT', 'PROPFIND', 'LINK', 'M-SEARCH') },
)
/** `bare`: HTTP/1.0 without Host, as the probes of load balancers ask. */
const form = fc.constantFrom('plain', 'plain', 'plain', 'bare', 'chunked', 'bad host')

function optionsOf(kind: string, fields: Record<string, string>, content: string | Uint8Array | undefined): Ask {
  const body = content === undefined ? {} : { body: kind === 'chunked' ? [content] : content }
  if (kind === 'bare') return { ...body, version: 'HTTP/1.0', headers: { ...fields, Host: [] } }
  return { ...body, headers: kind === 'bad host' ? { ...fields, Host: 'a b:c' } : fields }
}

function expectSane(answer: Answer, verb: string): void {
  expect(answer.status).toBeGreaterThanOrEqual(200)
  expect(answer.status).toBeLessThan(500)
  const type = answer.headers['content-type'] ?? ''
  if (verb !== 'HEAD' && type.includes('json') && answer.text !== '') JSON.parse(answer.text)
}

test('whatever comes at the token endpoint, the API and sign-in: an answer below 500, and soon', async () => {
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, form, async (verb, target, search, fields, content, kind) => {
      const url = search === '' ? target : `${target}?${search}`
      // What does not answer within the patience of `ask` throws there.
      expectSane(await ask(registry.port, verb, url, optionsOf(kind, fields, content)), verb)
    }),
    { numRuns: 1500, seed: 20_260_101, endOnFailure: true },
  )
  expect(faultsIn(registry.log)).toEqual([])
  // It did not end by shutting everybody out.
  const last = await ask(registry.port, 'GET', `/auth?service=${SERVICE}`, { headers: basic('ann', 'ann secret') })
  expect(last.status).toBe(200)
}, 180_000)
