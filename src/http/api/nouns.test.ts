import { describe, expect, test } from 'bun:test'
import { ACTOR, START } from '../../auth/accounts.fixture.ts'
import { SECRET_PATTERN } from '../../auth/credential-secret.ts'
import { openApi } from './api.fixture.ts'

const NOW = new Date(START).toISOString()
const LATER = '2026-02-01T00:00:00Z'

const JO = {
  name: 'jo',
  source: 'berth',
  admin: false,
  disabled: false,
  hasPassword: true,
  labels: {},
  description: '',
  createdAt: NOW,
  updatedAt: NOW,
}

/** Asks in order, and compares status and detail of each. */
async function expectAnswers(
  ask: Awaited<ReturnType<typeof openApi>>['ask'],
  rows: readonly (readonly [what: string, body: unknown, status: number, detail: unknown])[],
): Promise<void> {
  for (const [what, body, status, detail] of rows) {
    const answer = await ask(what, body === undefined ? {} : { body })
    expect([what, answer.status, answer.json?.detail]).toEqual([what, status, detail])
  }
}

describe('users', () => {
  test('are listed, made, shown, changed and removed', async () => {
    const { ask, recorded } = await openApi()
    expect((await ask('GET /users?limit=1')).json).toEqual({ users: [JO] })
    await ask('POST /groups', { body: { name: 'dev' } })
    const made = await ask('POST /users', {
      body: { name: 'a@b.c', password: '123', labels: { t: ['x'] }, groups: ['dev'] },
    })
    expect([made.status, made.headers.get('location')]).toEqual([201, '/api/v1/users/a%40b.c'])
    expect(made.json).toEqual({ ...JO, name: 'a@b.c', labels: { t: ['x'] } })
    expect((await ask('GET /users/a%40b.c')).json).toEqual({
      ...JO,
      name: 'a@b.c',
      labels: { t: ['x'] },
      groups: ['dev'],
    })
    const changed = await ask('PATCH /users/a@b.c', { body: { disabled: true, description: 'A' } })
    expect([changed.status, changed.json]).toEqual([
      200,
      { ...JO, name: 'a@b.c', labels: { t: ['x'] }, disabled: true, description: 'A' },
    ])
    expect((await ask('DELETE /users/a@b.c')).status).toBe(204)
    expect((await ask('GET /users/a@b.c')).status).toBe(404)
    expect(recorded.at(-1)).toBe('root user a@b.c: done: removed')
    expect(made.text).not.toMatch(/hash|\$2/i)
  })

  test('get a new password', async () => {
    const { ask, metadata } = await openApi()
    const before = (await metadata.users.find('jo'))?.passwordHash
    expect((await ask('PUT /users/jo/password', { body: { password: 'new' } })).status).toBe(204)
    const after = (await metadata.users.find('jo'))?.passwordHash ?? ''
    expect(after).not.toBe(before)
    expect(await Bun.password.verify('new', after)).toBe(true)
  })

  test('that cannot be so are refused', async () => {
    const { ask } = await openApi()
    const robots = 'names that begin with robot- are those of robots'
    await expectAnswers(ask, [
      ['POST /users', { name: 'jo' }, 409, 'there is a user jo already'],
      ['POST /users', { name: 'robot-x' }, 400, robots],
      ['POST /users', { name: 'x', password: '' }, 400, 'the password is empty'],
      ['GET /users/x', undefined, 404, 'there is no user x'],
      ['PATCH /users/x', {}, 404, 'there is no user x'],
      ['DELETE /users/x', undefined, 404, 'there is no user x'],
      ['DELETE /users/root', undefined, 409, 'root is the last administrator that can log in with a password'],
      ['PUT /users/x/password', { password: '1' }, 404, 'there is no user x'],
      ['PUT /users/jo/password', { password: 'a\nb' }, 400, 'the password has a line break or a NUL in it'],
      ['GET /users/x/tokens', undefined, 404, 'there is no user x'],
      ['POST /users/x/tokens', { name: 't' }, 404, 'there is no user x'],
      ['POST /users/jo/tokens', { name: 't', expiresAt: '2020-01-01T00:00:00Z' }, 400, 'this moment is over'],
    ])
    expect((await ask('POST /users', { body: { name: 'robot-x' } })).json?.errors).toEqual([
      { path: 'name', message: robots },
    ])
  })
})

describe('an administrator with a token', () => {
  const detail = 'this needs your password, not a token'
  test.each<[string, string, unknown]>([
    ['makes no other token for its own account', 'POST /users/root/tokens', { name: 't' }],
    ['nor one by way of all tokens', 'POST /tokens', { account: 'root', name: 't' }],
    ['sets no password for its own account', 'PUT /users/root/password', { password: 'stolen' }],
    ['nor among other changes', 'PATCH /users/root', { password: 'stolen', description: 'x' }],
  ])('%s', async (_, what, body) => {
    const { ask, recorded } = await openApi()
    const answer = await ask(what, { as: 'root-token', body })
    expect([answer.status, answer.json?.detail, recorded]).toEqual([403, detail, []])
    expect((await ask(what, { as: 'root', body })).status).toBeLessThan(300)
  })

  test('does for others what administrators do, and the rest for itself', async () => {
    const { ask } = await openApi()
    const as = 'root-token'
    expect((await ask('POST /users/jo/tokens', { as, body: { name: 't' } })).status).toBe(201)
    expect((await ask('PUT /users/jo/password', { as, body: { password: 'new' } })).status).toBe(204)
    expect((await ask('PATCH /users/root', { as, body: { description: 'x' } })).status).toBe(200)
  })
})

test('a token is not made for a user who is removed while it waits for its turn', async () => {
  const { ask, changes, tokens } = await openApi()
  const { promise, resolve } = Promise.withResolvers<void>()
  const first = changes.run(ACTOR, 'x', '', () => promise)
  const removed = ask('DELETE /users/jo')
  const late = ask('POST /users/jo/tokens', { body: { name: 't' } })
  await Bun.sleep(0)
  resolve()
  await first
  expect([(await removed).status, (await late).status]).toEqual([204, 404])
  expect(await tokens.list({}, { limit: 1 })).toEqual([])
})

test('groups are listed, made, shown, changed, filled and removed', async () => {
  const { ask } = await openApi()
  const dev = { name: 'dev', description: 'D', createdAt: NOW }
  expect((await ask('POST /groups', { body: { name: 'dev', description: 'D' } })).json).toEqual(dev)
  expect((await ask('GET /groups')).json).toEqual({ groups: [dev] })
  expect((await ask('GET /groups/dev')).json).toEqual(dev)
  expect((await ask('PATCH /groups/dev', { body: { description: 'E' } })).json).toEqual({ ...dev, description: 'E' })
  expect((await ask('PUT /groups/dev/members/jo')).status).toBe(204)
  expect((await ask('GET /groups/dev/members')).json).toEqual({ members: ['jo'] })
  await expectAnswers(ask, [
    ['POST /groups', { name: 'dev' }, 409, 'there is a group dev already'],
    ['GET /groups/x', undefined, 404, 'there is no group x'],
    ['PATCH /groups/x', { description: '' }, 404, 'there is no group x'],
    ['DELETE /groups/x', undefined, 404, 'there is no group x'],
    ['GET /groups/x/members', undefined, 404, 'there is no group x'],
    ['PUT /groups/dev/members/x', undefined, 404, 'there is no user x'],
    ['DELETE /groups/dev/members/root', undefined, 404, 'root is not a member of dev'],
    ['DELETE /groups/dev/members/jo', undefined, 204, undefined],
    ['DELETE /groups/dev', undefined, 204, undefined],
  ])
})

test('robots are listed, made, shown, changed, given tokens and removed', async () => {
  const { ask, tokens } = await openApi()
  const ci = {
    name: 'robot-ci',
    grants: ['repository:team/**:pull,push'],
    disabled: false,
    description: '',
    createdAt: NOW,
    updatedAt: NOW,
    ...{ lastUsedAt: null, tokens: 1, tokensEndAt: '2026-02-01T00:00:00.000Z' },
  }
  const made = await ask('POST /robots', { body: { name: 'ci', grants: ci.grants, expiresAt: LATER } })
  expect([made.status, made.headers.get('location')]).toEqual([201, '/api/v1/robots/robot-ci'])
  expect(made.json).toMatchObject({ robot: ci, token: { account: 'robot-ci', expiresAt: '2026-02-01T00:00:00.000Z' } })
  expect(await tokens.check(String(made.json?.secret), START)).toMatchObject({ account: 'robot-ci' })
  expect((await ask('GET /robots')).json).toEqual({ robots: [ci] })
  expect((await ask('GET /robots/ci')).json).toEqual(ci)
  const change = { grants: ['repository:a:pull'], disabled: true, description: 'x' }
  expect((await ask('PATCH /robots/robot-ci', { body: change })).json).toEqual({ ...ci, ...change })
  const more = await ask('POST /robots/ci/tokens', { body: { name: 'second', expiresAt: null } })
  expect([more.status, more.json?.secret]).toEqual([201, expect.stringMatching(SECRET_PATTERN)])
  expect((await ask('GET /robots/ci/tokens')).json).toMatchObject({ tokens: [{ name: 'first' }, { name: 'second' }] })
  // One that never ends is among them now.
  expect((await ask('GET /robots')).json).toMatchObject({ robots: [{ tokens: 2, tokensEndAt: null }] })
  expect(await ask('POST /robots', { body: { name: 'other', grants: ci.grants } })).toMatchObject({
    json: { robot: { name: 'robot-other', lastUsedAt: null, tokens: 1, tokensEndAt: null } },
  })
  expect((await ask('GET /robots?last=robot-ci')).json).toMatchObject({ robots: [{ name: 'robot-other' }] })
  await expectAnswers(ask, [
    ['POST /robots', { name: 'robot-ci', grants: ['repository:a:pull'] }, 409, 'there is a robot robot-ci already'],
    ['POST /robots', { name: 'x', grants: ['all'] }, 400, 'a right looks like repository:team/**:pull,push'],
    ['POST /robots', { name: 'x', grants: [] }, 400, 'there must be at least one right'],
    ['GET /robots/x', undefined, 404, 'there is no robot x'],
    ['PATCH /robots/x', {}, 404, 'there is no robot robot-x'],
    ['GET /robots/x/tokens', undefined, 404, 'there is no robot robot-x'],
    ['POST /robots/x/tokens', { name: 't' }, 404, 'there is no robot robot-x'],
    ['DELETE /robots/ci', undefined, 204, undefined],
    ['DELETE /robots/ci', undefined, 404, 'there is no robot robot-ci'],
  ])
})

describe('tokens', () => {
  test('are made for any account that could have one, shown, listed and revoked', async () => {
    const { ask, tokens } = await openApi()
    const body = { account: 'max', name: 'laptop', limits: ['repository:a:pull'], expiresAt: LATER }
    const made = await ask('POST /tokens', { body })
    const token = {
      id: expect.any(String),
      kind: 'personal',
      account: 'max',
      source: 'static',
      name: 'laptop',
      limits: ['repository:a:pull'],
      createdAt: NOW,
      expiresAt: '2026-02-01T00:00:00.000Z',
      ended: false,
      lastUsedAt: null,
      lastUsedFrom: null,
    }
    expect(made.json).toEqual({ secret: expect.stringMatching(SECRET_PATTERN), token })
    const { id } = (await tokens.list({}, { limit: 1 }))[0] ?? { id: '' }
    expect((await ask(`GET /tokens/${id}`)).json).toEqual(token)
    await ask('POST /users/jo/tokens', { body: { name: 'jo 1' } })
    await ask('POST /users/jo/tokens', { body: { name: 'jo 2' } })
    expect((await ask('GET /users/jo/tokens')).json).toMatchObject({ tokens: [{ name: 'jo 1' }, { name: 'jo 2' }] })
    expect((await ask('GET /tokens?account=max&kind=personal')).json).toEqual({ tokens: [token] })
    const page = await ask('GET /tokens?account=jo&limit=1')
    expect(page.headers.get('link')).toMatch(/^<\/api\/v1\/tokens\?account=jo&limit=1&last=[\w-]+>; rel="next"$/)
    expect((await ask('GET /tokens?kind=refresh')).json).toEqual({ tokens: [] })
    expect((await ask(`DELETE /tokens/${id}`)).status).toBe(204)
    expect((await ask('DELETE /tokens?account=jo')).json).toEqual({ revoked: 2 })
    expect((await ask('GET /tokens')).json).toEqual({ tokens: [] })
  })

  test('that cannot be are refused', async () => {
    const { ask } = await openApi()
    const nobody = 'no source of users knows an account x that could have tokens'
    await expectAnswers(ask, [
      ['POST /tokens', { account: 'x', name: 't' }, 404, nobody],
      ['POST /tokens', { account: '', name: 't' }, 404, expect.any(String)],
      [
        'POST /tokens',
        { account: 'jo', source: 'ldap', name: 't' },
        404,
        'ldap does not know an account jo that could have tokens',
      ],
      ['POST /tokens', { account: 'jo', name: 't', limits: [] }, 400, 'there must be at least one right'],
      ['POST /tokens', { account: 'jo', name: '' }, 400, expect.stringContaining('the name of a token')],
      ['POST /tokens', { account: 'jo', name: 't', expiresAt: 'tomorrow' }, 400, expect.stringContaining('expiresAt')],
      ['GET /tokens/x', undefined, 404, 'there is no token x'],
      ['DELETE /tokens/x', undefined, 404, 'there is no token x'],
      ['DELETE /tokens', undefined, 400, expect.stringContaining('query.account')],
    ])
  })
})

describe('rules', () => {
  test('are added at a place, changed, moved, removed, and replaced as a whole', async () => {
    const { ask } = await openApi()
    const rule = (account: string) => ({ match: { account }, actions: ['pull'] })
    const first = await ask('POST /acl', { body: { ...rule('a'), comment: 'A' } })
    expect([first.status, first.json]).toEqual([
      201,
      { revision: 2, rule: { id: 'id-001', ...rule('a'), comment: 'A' } },
    ])
    expect(first.headers.get('location')).toBe('/api/v1/acl/id-001')
    await ask('POST /acl', { body: { ...rule('b'), position: 1 } })
    const list = await ask('GET /acl')
    const a = { id: 'id-001', ...rule('a'), comment: 'A' }
    const b = { id: 'id-002', ...rule('b'), comment: '' }
    expect([list.headers.get('etag'), list.json]).toEqual(['"3"', { revision: 3, rules: [b, a] }])
    expect((await ask('GET /acl/id-001')).json).toEqual(a)
    const moved = await ask('PATCH /acl/id-001', { body: { position: 1, comment: '' } })
    expect(moved.json).toEqual({ revision: 5, rule: { ...a, comment: '' } })
    expect((await ask('DELETE /acl/id-002')).status).toBe(204)
    const next = { rules: [{ ...rule('z'), id: 'kept' }, rule('y')] }
    const replaced = await ask('PUT /acl', { body: next, headers: { 'if-match': '"6"' } })
    const z = { id: 'kept', ...rule('z'), comment: '' }
    const y = { id: 'id-003', ...rule('y'), comment: '' }
    expect([replaced.headers.get('etag'), replaced.json]).toEqual(['"7"', { revision: 7, rules: [z, y] }])
    expect((await ask('PUT /acl', { body: { rules: [] }, headers: { 'if-match': '*' } })).json).toEqual({
      revision: 8,
      rules: [],
    })
  })

  test('that cannot be so are refused', async () => {
    const { ask, rules } = await openApi()
    await expectAnswers(ask, [
      ['POST /acl', { match: { name: '/(/' }, actions: [] }, 400, expect.stringContaining('invalid pattern')],
      ['POST /acl', { match: { name: '[' }, actions: [] }, 400, expect.stringContaining('would never match')],
      ['POST /acl', { match: {}, actions: ['*'], position: 0 }, 400, expect.stringContaining('position')],
      ['POST /acl', { actions: ['*'] }, 400, expect.stringContaining('match')],
      ['GET /acl/x', undefined, 404, 'there is no rule x'],
      ['PATCH /acl/x', { comment: 'c' }, 404, 'there is no rule x'],
      ['PATCH /acl/x', { position: 1 }, 404, 'there is no rule x'],
      ['DELETE /acl/x', undefined, 404, 'there is no rule x'],
      ['PUT /acl', { rules: [] }, 428, 'say in If-Match which revision of the list you change'],
    ])
    const late = await ask('PUT /acl', { body: { rules: [] }, headers: { 'if-match': '"99"' } })
    expect([late.status, late.json?.detail]).toEqual([409, 'the rules have changed: their revision is 1 now'])
    const weak = await ask('PUT /acl', { body: { rules: [] }, headers: { 'if-match': 'W/"1"' } })
    expect([weak.status, weak.json?.errors]).toEqual([
      400,
      [{ path: 'header.if-match', message: 'write the ETag of the list, or *' }],
    ])
    const many = {
      rules: [
        { match: {}, actions: [] },
        { match: { ip: 'x' }, actions: [] },
      ],
    }
    const bad = await ask('PUT /acl', { body: many, headers: { 'if-match': '"1"' } })
    expect(bad.json?.errors).toEqual([
      { path: 'rules.1.match', message: expect.stringContaining('invalid IP pattern') },
    ])
    expect((await rules.list()).revision).toBe(1)
  })

  test('are tested with the reasons', async () => {
    const { ask, questions } = await openApi()
    const body = {
      account: 'jo',
      scope: 'repository:a/b:push,pull',
      ip: '192.0.2.1',
      labels: { g: ['x'] },
      service: 'S',
    }
    const { status, json } = await ask('POST /acl/test', { body })
    expect(status).toBe(200)
    expect(json).toEqual({
      account: 'jo',
      source: 'berth',
      scope: 'repository:a/b:push,pull',
      asked: ['pull', 'push'],
      granted: ['pull'],
      missing: ['push'],
      rule: 'auth_config.yml:12',
      trace: [
        {
          rule: 'auth_config.yml:9',
          comment: '',
          lacks: [{ condition: 'account', wanted: 'root', had: 'jo' }],
          actions: [],
        },
        { rule: 'auth_config.yml:12', comment: 'all may pull', lacks: [], actions: ['pull'] },
      ],
    })
    await ask('POST /acl/test', { body: { account: '', scope: 'registry:catalog:*' } })
    const scope = { type: 'repository', name: 'a/b', actions: ['pull', 'push'] }
    const catalog = { type: 'registry', name: 'catalog', actions: ['*'] }
    expect(questions).toEqual([
      { account: 'jo', scope, service: 'S', ip: '192.0.2.1', labels: { g: ['x'] } },
      { account: '', scope: catalog, service: '', ip: undefined, labels: undefined },
    ])
    await expectAnswers(ask, [
      ['POST /acl/test', { account: 'jo', scope: 'a/b' }, 400, 'invalid scope: "a/b": write TYPE:NAME:ACTION,ACTION'],
      [
        'POST /acl/test',
        { account: 'jo', scope: 'repository:a:' },
        400,
        'an action is missing: write TYPE:NAME:ACTION,ACTION',
      ],
      ['POST /acl/test', { account: 'jo', scope: 'repository:a:pull', ip: 'x' }, 400, 'this is no address'],
    ])
  })
})

test('the audit log is read from its end, with filters', async () => {
  const { ask, metadata } = await openApi()
  const row = {
    at: START,
    kind: 'token' as const,
    account: 'jo',
    source: 'berth',
    address: '192.0.2.1',
    service: 'S',
    asked: 'repository:a:pull',
    granted: '',
    rules: 'none',
    outcome: 'denied' as const,
    detail: '',
  }
  await metadata.audit.append([row, { ...row, account: 'root', outcome: 'granted' }, row])
  const first = await ask('GET /audit?limit=1&account=jo')
  expect(first.json).toEqual({ entries: [{ ...row, id: 3, at: NOW }] })
  expect(first.headers.get('link')).toBe('</api/v1/audit?limit=1&account=jo&before=3>; rel="next"')
  expect((await ask('GET /audit?limit=1&account=jo&before=3')).json).toMatchObject({ entries: [{ id: 1 }] })
  expect((await ask('GET /audit?outcome=granted&kind=token')).json).toMatchObject({ entries: [{ id: 2 }] })
  expect((await ask('GET /audit?outcome=perhaps')).status).toBe(400)
})

test('keys are listed and rotated, unless they come from the configuration', async () => {
  const { ask, recorded, rotations } = await openApi()
  expect((await ask('GET /keys')).json).toEqual({
    keys: [{ id: 'k1', algorithm: 'ES256', state: 'signing', signsFrom: null, endsAt: null }],
  })
  const rotated = await ask('POST /keys/rotate', { body: { algorithm: 'RS256' } })
  expect(rotated.json).toEqual({ id: 'k2', algorithm: 'RS256', state: 'next', signsFrom: NOW, endsAt: null })
  expect((await ask('POST /keys/rotate', { body: { immediately: true } })).status).toBe(201)
  expect(rotations).toEqual([
    { algorithm: 'RS256', immediately: false },
    { algorithm: undefined, immediately: true },
  ])
  expect(recorded).toEqual([
    'root key of tokens: done: a new one is published, and will sign',
    'root key of tokens: done: a new one signs from now on',
  ])
  const key = { id: 'k', algorithm: 'RS256', state: 'signing', signsFrom: undefined, endsAt: undefined } as const
  for (const [keys, detail] of [
    [[key], 'the key comes from the configuration: change it there'],
    [[], 'no token server runs here'],
  ] as const) {
    const fixed = await openApi({ keys: { list: async () => keys, rotate: undefined } })
    const { status, json } = await fixed.ask('POST /keys/rotate', { body: {} })
    expect([status, json?.detail]).toEqual([409, detail])
  }
})

describe('what the configuration does not heed', () => {
  test.each([
    ['rules', '/acl', 'these rules have no effect'],
    ['users', '/users', 'these accounts cannot log in'],
    ['robots', '/robots', 'these accounts cannot log in'],
  ])('is said with each answer about %s', async (_, path, expected) => {
    const inForce = { accounts: true, rules: true }
    const { api } = await openApi({ inForce: () => inForce })
    const caller = { account: '@operator', source: 'socket', admin: true }
    const noticeOf = async () =>
      (await api(new Request(`http://berth/api/v1${path}`), { caller })).headers.get('berth-notice')
    expect(await noticeOf()).toBeNull()
    inForce.accounts = false
    inForce.rules = false
    expect(await noticeOf()).toStartWith(expected)
  })
})
