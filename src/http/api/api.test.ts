import { describe, expect, test } from 'bun:test'
import { MetadataError } from '../../metadata/metadata.ts'
import { openApi } from './api.fixture.ts'

describe('who may call the API', () => {
  test('nobody without credentials, who is asked for them', async () => {
    const { ask } = await openApi()
    const { status, headers, json } = await ask('GET /users', { as: '' })
    expect(status).toBe(401)
    expect(headers.get('www-authenticate')).toBe('Basic realm="Berth", charset="UTF-8"')
    expect(headers.get('content-type')).toBe('application/problem+json')
    expect(json).toEqual({ type: 'about:blank', title: 'Unauthorized', status: 401, detail: 'log in first' })
  })

  test('nobody with wrong ones', async () => {
    const { ask } = await openApi()
    const { status, json } = await ask('GET /me', { as: 'nobody' })
    expect([status, json?.detail]).toEqual([401, 'the name or the password is wrong'])
  })

  test('a page that asks by script is not answered with the browser’s own form', async () => {
    const { ask } = await openApi()
    const { status, headers } = await ask('GET /me', { as: '', headers: { 'x-requested-with': 'berth' } })
    expect([status, headers.get('www-authenticate')]).toEqual([401, null])
  })

  test('whoever opened the control socket, without credentials', async () => {
    const { ask, recorded } = await openApi()
    const from = { caller: { account: '@operator', source: 'socket', admin: true } }
    const { status } = await ask('POST /groups', { as: '', body: { name: 'dev' }, from })
    expect([status, recorded]).toEqual([201, ['@operator group dev: done: made']])
  })

  test('a source that does not answer is no refusal', async () => {
    const { ask, errors } = await openApi()
    const { status, headers, json } = await ask('GET /me', { as: 'broken' })
    expect([status, headers.get('retry-after')]).toEqual([503, '5'])
    expect(json?.detail).toBe('authn #1 returned error: the directory does not answer')
    expect(errors).toHaveLength(1)
  })

  test('every route but those of /me is for administrators, and not for tokens with limits', async () => {
    const { ask } = await openApi()
    const { json } = await ask('GET /openapi.json', { as: '' })
    const routes = operations(json)
    expect(routes.length).toBeGreaterThan(30)
    for (const { method, path } of routes) {
      const what = `${method} ${path.replace(/\{\w+\}/g, 'x')}`
      expect([what, (await ask(what, { as: '' })).status]).toEqual([what, 401])
      expect([what, (await ask(what, { as: 'root-limited' })).status]).toEqual([what, what === 'GET /me' ? 200 : 403])
      if (!path.startsWith('/me')) expect([what, (await ask(what, { as: 'jo' })).status]).toEqual([what, 403])
    }
  })

  test('dots in a path lead nowhere else', async () => {
    const { ask } = await openApi()
    for (const path of ['/me/../users', '/me/%2e%2e/users', '/me//../users']) {
      expect([path, (await ask(`GET ${path}`, { as: 'jo' })).status]).toEqual([path, 403])
    }
  })

  test.each([
    ['of this host', { origin: 'https://registry.example:5000' }, 201],
    [
      'of this host, as the proxy before it is called',
      { origin: 'https://r.example', 'x-forwarded-host': 'r.example' },
      201,
    ],
    ['of this host, with the port of its scheme', { origin: 'http://r.example', host: 'r.example:80' }, 201],
    ['of another host', { origin: 'https://evil.example' }, 403],
    ['of another port', { origin: 'https://registry.example' }, 403],
    ['of nobody knows where', { origin: 'null' }, 403],
    ['of a file', { origin: 'file://' }, 403],
  ])('a browser may change something for a page %s: %p', async (_, headers, status) => {
    const { ask, groups } = await openApi()
    expect((await ask('POST /groups', { body: { name: 'dev' }, headers })).status).toBe(status)
    expect(await groups.list({ limit: 9 })).toHaveLength(status === 201 ? 1 : 0)
    expect((await ask('GET /groups', { headers })).status).toBe(200)
  })
})

describe('a request that is not valid', () => {
  test.each<[string, string, unknown, number, { path: string; message: string }[] | undefined]>([
    [
      'a key that nobody reads',
      'POST /users',
      { name: 'a', admni: true },
      400,
      [{ path: 'admni', message: 'there is no such key' }],
    ],
    ['a value of another kind', 'POST /users', { name: 5 }, 400, [{ path: 'name', message: expect.any(String) }]],
    [
      'a nested key',
      'POST /acl',
      { match: { team: 'x' }, actions: [] },
      400,
      [{ path: 'match.team', message: 'there is no such key' }],
    ],
    ['no body', 'POST /users', undefined, 400, [{ path: 'name', message: expect.any(String) }]],
    ['a list for a body', 'POST /users', [], 400, [{ path: '', message: expect.any(String) }]],
    ['half a body', 'POST /users', '{"name":', 400, undefined],
    ['a key of the language', 'POST /acl', '{"match":{"__proto__":{"account":"x"}},"actions":["*"]}', 400, undefined],
    ['one in disguise', 'POST /acl', '{"match":{"labels":{"\\u005f_proto__":"x"}},"actions":["*"]}', 400, undefined],
    ['a deep body', 'POST /acl', `{"match":${'['.repeat(300_000)}${']'.repeat(300_000)},"actions":[]}`, 400, undefined],
    ['a page of none', 'GET /users?limit=0', undefined, 400, [{ path: 'query.limit', message: expect.any(String) }]],
    [
      'a page of too many',
      'GET /users?limit=1001',
      undefined,
      400,
      [{ path: 'query.limit', message: expect.any(String) }],
    ],
    [
      'a filter that is none',
      'GET /tokens?acount=a',
      undefined,
      400,
      [{ path: 'query.acount', message: 'there is no such key' }],
    ],
    ['a path that is none', 'GET /nothing', undefined, 404, undefined],
    ['a method that is none', 'PATCH /users', {}, 405, undefined],
  ])('because of %s is refused', async (_, what, body, status, errors) => {
    const { ask, errors: logged, rules } = await openApi()
    const answer = await ask(what, body === undefined ? {} : { body })
    const { text, json } = answer
    expect([answer.status, json?.status, json?.errors ?? undefined], text).toEqual([status, status, errors])
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect([logged, (await rules.list()).rules]).toEqual([[], []])
  })

  test('because its body is no JSON, or too large', async () => {
    const { ask } = await openApi()
    const form = await ask('POST /users', {
      body: 'name=a',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect([form.status, form.json?.detail]).toEqual([415, 'the body must be application/json'])
    const large = await ask('POST /users', { body: { name: 'a', description: 'x'.repeat(1024 * 1024) } })
    expect([large.status, large.json?.title]).toEqual([413, 'Content Too Large'])
  })

  test.each([
    ['without a body', undefined, {}, 400],
    ['with a body that is called something else', '{"immediately":true}', { 'content-type': 'text/plain' }, 415],
    ['with an empty body that is called JSON', undefined, { 'content-type': 'application/json' }, 400],
    ['with a form', 'immediately=true', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
  ])('because it comes %s, even where nothing in it is required', async (_, body, headers, status) => {
    const { ask, rotations } = await openApi()
    const more = { headers, ...(body === undefined ? {} : { body }) }
    expect((await ask('POST /keys/rotate', more)).status).toBe(status)
    expect((await ask('PATCH /users/jo', more)).status).toBe(status)
    expect(rotations).toEqual([])
    expect(
      (await ask('POST /keys/rotate', { body: {}, headers: { 'content-type': 'application/json; charset=utf-8' } }))
        .status,
    ).toBe(201)
  })

  test('because its method is not known there names those that are', async () => {
    const { ask } = await openApi()
    expect((await ask('DELETE /users')).headers.get('allow')).toBe('GET, POST')
    expect((await ask('POST /users/jo', { body: {} })).headers.get('allow')).toBe('GET, PATCH, DELETE')
  })
})

test('a database that does not answer is 503, and a mistake of ours 500, without their words', async () => {
  const { ask, metadata, errors } = await openApi()
  metadata.fail(new MetadataError('no-space', 'ENOSPC in /var/lib'))
  for (const what of [
    'GET /users',
    'GET /groups',
    'GET /robots',
    'GET /tokens',
    'GET /acl',
    'GET /audit',
    'GET /users/a',
  ]) {
    const { status, json } = await ask(what)
    expect([what, status, json?.detail]).toEqual([what, 503, 'the database has no space left on its disk'])
  }
  errors.length = 0
  metadata.fail(new TypeError('secret'))
  const { status, text } = await ask('GET /users')
  expect(status).toBe(500)
  expect(text).not.toContain('secret')
  expect(errors).toHaveLength(1)
})

test('every answer tells browsers to keep and run nothing', async () => {
  const { ask } = await openApi()
  for (const [what, as] of [
    ['GET /openapi.json', ''],
    ['GET /me', 'jo'],
    ['GET /users', ''],
    ['GET /nothing', 'root'],
    ['DELETE /users/nobody', 'root'],
  ] as const) {
    const { headers } = await ask(what, { as })
    expect([what, headers.get('cache-control'), headers.get('x-content-type-options')]).toEqual([
      what,
      'no-store',
      'nosniff',
    ])
    expect(headers.get('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
  }
})

test('a list of many is read page by page, under the path that clients see', async () => {
  const { ask, groups } = await openApi({}, '/registry/api/v1')
  const actor = { account: 'root', source: 'berth', address: '' }
  for (const name of ['a', 'b+c@d', 'e']) await groups.create({ name }, actor)
  const first = await ask('GET /groups?limit=2')
  expect(first.json).toMatchObject({ groups: [{ name: 'a' }, { name: 'b+c@d' }] })
  expect(first.headers.get('link')).toBe('</registry/api/v1/groups?limit=2&last=b%2Bc%40d>; rel="next"')
  const second = await ask('GET /groups?limit=2&last=b%2Bc%40d')
  expect(second.json).toEqual({ groups: [expect.objectContaining({ name: 'e' })] })
  expect(second.headers.get('link')).toBeNull()
  const exact = await ask('GET /groups?limit=3')
  expect(exact.headers.get('link')).toBeNull()
})

test('a list under a name that is not ASCII is read page by page', async () => {
  const { ask, metadata } = await openApi()
  const jo = await metadata.users.find('jo')
  if (jo === undefined) throw new Error('the user is missing')
  await metadata.users.put({ ...jo, name: '名 前' })
  const path = '/users/%E5%90%8D%20%E5%89%8D/tokens'
  for (const name of ['a', 'b']) await ask(`POST ${path}`, { body: { name } })
  const first = await ask(`GET ${path}?limit=1`)
  expect(first.status).toBe(200)
  expect(first.headers.get('link')).toBe(`</api/v1${path}?limit=1&last=id-001>; rel="next"`)
  expect((await ask(`GET ${path}?limit=1&last=id-001`)).json).toMatchObject({ tokens: [{ name: 'b' }] })
})

test('a request without a Host is answered', async () => {
  const { api } = await openApi()
  const bare = new Request('http://x/api/v1/openapi.json')
  Object.defineProperty(bare, 'url', { value: '/api/v1/openapi.json' })
  expect((await api(bare)).status).toBe(200)
})

describe('the OpenAPI document', () => {
  test('is for everybody, and leads to the API as clients see it', async () => {
    const { ask } = await openApi({}, '/registry/api/v1')
    const { status, json } = await ask('GET /openapi.json', { as: '' })
    expect([status, json?.openapi, json?.servers]).toEqual([200, '3.1.0', [{ url: '/registry' }]])
  })

  test('holds together', async () => {
    const { ask } = await openApi()
    const { json, text } = await ask('GET /openapi.json', { as: '' })
    const routes = operations(json)
    const ids = routes.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).not.toContain(undefined)
    for (const { path, operation } of routes) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name).sort()
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path')
      expect([path, declared.map(({ name }) => name).sort()]).toEqual([path, named])
      for (const response of Object.values(operation.responses)) expect(response.description).toBeString()
      expect(Object.keys(operation.responses)).toContain('default')
    }
    for (const [, name = ''] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      expect(json).toHaveProperty(['components', 'schemas', name])
    }
    expect(text.match(/"\$ref":"(?!#\/components\/schemas\/\w+")/)).toBeNull()
    expect(json).toHaveProperty(['components', 'securitySchemes', 'basic'], { type: 'http', scheme: 'basic' })
  })

  test('lists every route that there is', async () => {
    const { ask } = await openApi()
    const { json } = await ask('GET /openapi.json', { as: '' })
    expect(
      operations(json)
        .map(({ method, path }) => `${method} ${path}`)
        .sort(),
    ).toEqual([
      'DELETE /acl/{id}',
      'DELETE /groups/{name}',
      'DELETE /groups/{name}/members/{user}',
      'DELETE /immutable/{name}',
      'DELETE /me/tokens/{id}',
      'DELETE /quotas',
      'DELETE /repositories/{name}',
      'DELETE /retention/rules/{name}',
      'DELETE /robots/{name}',
      'DELETE /snapshots/{id}',
      'DELETE /tokens',
      'DELETE /tokens/{id}',
      'DELETE /trash/{id}',
      'DELETE /users/{name}',
      'DELETE /verify/runs/latest',
      'GET /acl',
      'GET /acl/{id}',
      'GET /audit',
      'GET /contents/blobs',
      'GET /contents/manifests',
      'GET /contents/moves',
      'GET /contents/repositories',
      'GET /contents/tags',
      'GET /gc',
      'GET /gc/runs/latest',
      'GET /gc/why/{digest}',
      'GET /groups',
      'GET /groups/{name}',
      'GET /groups/{name}/members',
      'GET /immutable',
      'GET /keys',
      'GET /me',
      'GET /me/tokens',
      'GET /notifications/endpoints',
      'GET /notifications/events',
      'GET /notifications/events/{id}',
      'GET /quotas',
      'GET /quotas/usage',
      'GET /repositories',
      'GET /repositories/{name}/tags',
      'GET /retention',
      'GET /retention/runs',
      'GET /retention/runs/{id}',
      'GET /robots',
      'GET /robots/{name}',
      'GET /robots/{name}/tokens',
      'GET /snapshots/{id}',
      'GET /tags/history',
      'GET /tokens',
      'GET /tokens/{id}',
      'GET /trash',
      'GET /users',
      'GET /users/{name}',
      'GET /users/{name}/tokens',
      'GET /verify',
      'GET /verify/runs/latest',
      'PATCH /acl/{id}',
      'PATCH /groups/{name}',
      'PATCH /robots/{name}',
      'PATCH /users/{name}',
      'POST /acl',
      'POST /acl/test',
      'POST /gc/runs',
      'POST /groups',
      'POST /immutable',
      'POST /immutable/test',
      'POST /keys/rotate',
      'POST /me/tokens',
      'POST /notifications/endpoints/{endpoint}/test',
      'POST /notifications/events/{id}/redeliver',
      'POST /notifications/redeliver',
      'POST /quotas/check',
      'POST /repositories/{name}/rename',
      'POST /retention/plan',
      'POST /retention/runs',
      'POST /robots',
      'POST /robots/{name}/tokens',
      'POST /snapshots',
      'POST /tags/restore',
      'POST /tokens',
      'POST /trash/restore',
      'POST /users',
      'POST /users/{name}/tokens',
      'POST /verify/runs',
      'PUT /acl',
      'PUT /groups/{name}/members/{user}',
      'PUT /me/password',
      'PUT /quotas',
      'PUT /retention/rules',
      'PUT /retention/rules/{name}',
      'PUT /users/{name}/password',
    ])
  })
})

interface Operation {
  operationId?: string
  parameters?: { in: string; name: string }[]
  responses: Record<string, { description?: string }>
}

/** Those of the admin API, with paths below its own. */
function operations(document: Record<string, unknown> | undefined) {
  const paths = document?.paths as Record<string, Record<string, Operation>>
  const own = Object.entries(paths).filter(([path]) => path.startsWith('/api/v1/') && path !== '/api/v1/openapi.json')
  return own.flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.slice('/api/v1'.length),
      operation,
    })),
  )
}
