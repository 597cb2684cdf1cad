import { describe, expect, test } from 'bun:test'
import { type Access, CATALOG, type GrantedAccess, repositoryAccess } from '../oci/scope.ts'
import { UnavailableError } from './authenticator.ts'
import { basicChallenge, bearerChallenge, quote } from './challenge.ts'
import { parseBasic, parseBearer } from './credentials.ts'
import {
  type AccessRequest,
  createBasicGate,
  createOpenGate,
  createTokenGate,
  type Gate,
  type Verdict,
} from './gate.ts'
import type { Login } from './login.ts'
import type { Verify } from './verify.ts'

const pull = repositoryAccess('x', 'pull')
const push = repositoryAccess('x', 'pull', 'push')

const tokens: Record<string, GrantedAccess[]> = {
  pull: [{ type: 'repository', name: 'x', actions: ['pull'] }],
  push: [{ type: 'repository', name: 'x', actions: ['push'] }],
  all: [{ type: 'repository', name: 'x', actions: ['*'] }],
  split: [
    { type: 'repository', name: 'x', actions: ['pull'] },
    { type: 'repository', name: 'x', actions: ['push'] },
  ],
  star: [{ type: 'repository', name: '*', actions: ['*'] }],
  nothing: [],
  empty: [{ type: 'repository', name: 'x', actions: [''] }],
}
const verify: Verify = (token) => {
  const granted = tokens[token]
  if (granted === undefined) return { kind: 'invalid_token', reason: 'malformed token' }
  return { kind: 'valid', subject: { name: 'admin', granted }, from: 0, until: Infinity }
}

function request(authorization: string | undefined, needed: readonly Access[]): AccessRequest {
  return { authorization, needed, base: () => 'https://reg.example:5000', address: () => '10.0.0.1' }
}

const options = { verify, realm: 'https://localhost:5001/auth', realmPath: '/auth', service: 'Docker registry' }
const closed = createTokenGate({ ...options, anonymous: 'none' })
const open = createTokenGate({ ...options, anonymous: 'pull' })
const HEAD = 'Bearer realm="https://localhost:5001/auth",service="Docker registry"'

/** What a verdict is, in one text. */
function said(verdict: Verdict): string {
  return verdict.allowed ? `allowed ${verdict.subject.name}` : verdict.challenge
}

describe('the token gate', () => {
  const mount = [...push, ...repositoryAccess('src', 'pull')]
  test.each([
    ['B: asks for a login at /v2/', closed, undefined, [], HEAD],
    ['B: asks for the catalog', closed, undefined, [CATALOG], `${HEAD},scope="registry:catalog:*"`],
    ['B: asks to pull', closed, undefined, pull, `${HEAD},scope="repository:x:pull"`],
    ['B: asks to push', closed, undefined, push, `${HEAD},scope="repository:x:pull,push"`],
    [
      'B: asks for both sides of a mount',
      closed,
      undefined,
      mount,
      `${HEAD},scope="repository:x:pull,push repository:src:pull"`,
    ],
    ['C: lets a token in that covers', closed, 'Bearer pull', pull, 'allowed admin'],
    ['C: takes the scheme in any case', closed, 'BEARER pull', pull, 'allowed admin'],
    ['C: lets any valid token into /v2/', closed, 'Bearer nothing', [], 'allowed admin'],
    ['C: a star covers', closed, 'Bearer all', push, 'allowed admin'],
    ['C: split entries cover together', closed, 'Bearer split', push, 'allowed admin'],
    ['C: Basic is no token', closed, 'Basic YTpi', pull, `${HEAD},scope="repository:x:pull"`],
    ['C: another scheme is no token', closed, 'Token pull', pull, `${HEAD},scope="repository:x:pull"`],
    ['C: two spaces are no token', closed, 'Bearer  pull', pull, `${HEAD},scope="repository:x:pull"`],
    ['C: nothing is no token', closed, 'Bearer ', pull, `${HEAD},scope="repository:x:pull"`],
    ['C: an empty header is no token', closed, '', pull, `${HEAD},scope="repository:x:pull"`],
    [
      'C: a bad token is invalid',
      closed,
      'Bearer abc',
      pull,
      `${HEAD},scope="repository:x:pull",error="invalid_token"`,
    ],
    ['C: a bad token is invalid at /v2/', closed, 'Bearer abc', [], `${HEAD},error="invalid_token"`],
    [
      'C: pull alone is no push',
      closed,
      'Bearer pull',
      push,
      `${HEAD},scope="repository:x:pull,push",error="insufficient_scope"`,
    ],
    [
      'C: push alone is no push',
      closed,
      'Bearer push',
      push,
      `${HEAD},scope="repository:x:pull,push",error="insufficient_scope"`,
    ],
    [
      'C: names have no wildcards',
      closed,
      'Bearer star',
      pull,
      `${HEAD},scope="repository:x:pull",error="insufficient_scope"`,
    ],
    [
      'C: nothing granted',
      closed,
      'Bearer nothing',
      pull,
      `${HEAD},scope="repository:x:pull",error="insufficient_scope"`,
    ],
    [
      'C: the empty action',
      closed,
      'Bearer empty',
      pull,
      `${HEAD},scope="repository:x:pull",error="insufficient_scope"`,
    ],
    [
      'C: a repository’s star is not the catalog',
      closed,
      'Bearer all',
      [CATALOG],
      `${HEAD},scope="registry:catalog:*",error="insufficient_scope"`,
    ],
    ['open: lets anybody pull', open, undefined, pull, 'allowed '],
    ['open: still asks for a login at /v2/', open, undefined, [], HEAD],
    ['open: does not let anybody push', open, undefined, push, `${HEAD},scope="repository:x:pull,push"`],
    ['open: does not let anybody list', open, undefined, [CATALOG], `${HEAD},scope="registry:catalog:*"`],
    [
      'open: a bad token is still invalid',
      open,
      'Bearer abc',
      pull,
      `${HEAD},scope="repository:x:pull",error="invalid_token"`,
    ],
    ['open: a token adds to what anybody may', open, 'Bearer all', mount, 'allowed admin'],
    [
      'open: and needs the rest',
      open,
      'Bearer pull',
      push,
      `${HEAD},scope="repository:x:pull,push",error="insufficient_scope"`,
    ],
  ] as const)('%s', (_, gate, authorization, needed, expected) => {
    expect(said(gate.authorize(request(authorization, needed)))).toBe(expected)
  })

  test('names the realm by the host that the client called, where none is configured', () => {
    const gate = createTokenGate({ ...options, realm: undefined, anonymous: 'none' })
    expect(said(gate.authorize(request(undefined, [])))).toStartWith('Bearer realm="https://reg.example:5000/auth",')
  })

  test('says who was refused, for the log', () => {
    expect(closed.authorize(request('Bearer pull', push))).toMatchObject({
      error: 'insufficient_scope',
      reason: 'insufficient scope',
      subject: { name: 'admin' },
    })
  })
})

describe('the basic gate', () => {
  const login: Login = async (account, password, address) => {
    if (account === 'broken') throw new UnavailableError('the htpasswd file cannot be read')
    if (account !== 'ann') return 'no-match'
    return password === 'p:w' && address === '10.0.0.1' ? { kind: 'yes', labels: {} } : 'wrong-password'
  }
  const gate = createBasicGate({ realm: 'Registry Realm', login, anonymous: { kind: 'none' } })
  const own = { ...options, realm: undefined }
  const openGate = createBasicGate({ realm: 'R', login, anonymous: { kind: 'pull', tokens: own } })
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  const D = 'Basic realm="Registry Realm"'
  const OWN = 'Bearer realm="https://reg.example:5000/auth",service="Docker registry"'

  test.each([
    ['D: asks for a login', gate, undefined, [], D],
    ['D: asks for a login, without a scope', gate, undefined, push, D],
    ['D: lets a user in to everything', gate, basic('ann:p:w'), [CATALOG, ...push], 'allowed ann'],
    ['D: refuses a wrong password', gate, basic('ann:x'), pull, D],
    ['D: refuses an unknown user', gate, basic('bob:x'), pull, D],
    ['D: refuses nobody', gate, basic(':'), pull, D],
    ['D: refuses a token', gate, 'Bearer pull', pull, D],
    ['D: refuses bad base64', gate, 'Basic !!!', pull, D],
    ['open: asks for a login with a token at /v2/', openGate, undefined, [], OWN],
    ['open: lets anybody pull', openGate, undefined, pull, 'allowed '],
    ['open: does not let anybody push', openGate, undefined, push, `${OWN},scope="repository:x:pull,push"`],
    ['open: lets a user in', openGate, basic('ann:p:w'), push, 'allowed ann'],
    ['open: lets a token in', openGate, 'Bearer all', push, 'allowed admin'],
    ['open: refuses a wrong password, even to pull', openGate, basic('ann:x'), pull, OWN],
    ['open: refuses a bad token', openGate, 'Bearer abc', [], `${OWN},error="invalid_token"`],
  ] as const)('%s', async (_, gateUnderTest, authorization, needed, expected) => {
    expect(said(await gateUnderTest.authorize(request(authorization, needed)))).toBe(expected)
  })

  test('is unavailable while its source cannot answer', async () => {
    const answer = Promise.resolve(gate.authorize(request(basic('broken:x'), [])))
    expect(await answer.catch((error: unknown) => error)).toBeInstanceOf(UnavailableError)
  })
})

test('the open gate lets everybody do everything, asked or not', () => {
  const subject = { name: '', granted: 'everything' } as const
  expect(createOpenGate().authorize(request(undefined, push))).toEqual({ allowed: true, subject })
  expect(createOpenGate().everybody).toEqual(subject)
})

test('no other gate lets anybody pass unasked', () => {
  const login: Login = async () => 'no-match'
  const basic = createBasicGate({ realm: 'R', login, anonymous: { kind: 'none' } })
  const gates: Gate[] = [closed, open, basic]
  expect(gates.map(({ everybody }) => everybody)).toEqual([undefined, undefined, undefined])
})

test.each([
  ['plain text is quoted', 'Registry Realm', '"Registry Realm"'],
  ['a quote is escaped', 'a"b', '"a\\"b"'],
  ['a backslash is escaped', 'a\\b', '"a\\\\b"'],
  ['a line break cannot end the header', 'a\r\nX: y', '"a\\r\\nX: y"'],
  ['a control character is hexadecimal', '\x01\x7f', '"\\x01\\x7f"'],
  ['other letters are escaped', 'é😀', '"\\u00e9\\U0001f600"'],
])('%s', (_, text, expected) => {
  expect(quote(text)).toBe(expected)
  expect(basicChallenge(text)).toBe(`Basic realm=${expected}`)
})

test('a challenge has no scope where nothing is needed', () => {
  expect(bearerChallenge({ realm: 'r', service: 's', needed: [] })).toBe('Bearer realm="r",service="s"')
})

test.each([
  ['credentials', 'Basic YTpi', { user: 'a', password: 'b' }],
  ['the scheme in another case', 'bAsIc YTpi', { user: 'a', password: 'b' }],
  ['a password with a colon', `Basic ${btoa('a:b:c')}`, { user: 'a', password: 'b:c' }],
  ['nobody', 'Basic Og==', { user: '', password: '' }],
  [
    'a line break at the end, as echo makes it, is of the password',
    `Basic ${btoa('a:b\n')}`,
    { user: 'a', password: 'b\n' },
  ],
  ['no colon', `Basic ${btoa('ab')}`, undefined],
  ['missing padding', 'Basic Og', undefined],
  ['base64url', 'Basic YTr_', undefined],
  ['space inside', 'Basic YT pi', undefined],
  ['two spaces', 'Basic  YTpi', undefined],
  ['no space', 'BasicYTpi', undefined],
  ['another scheme', 'Bearer YTpi', undefined],
  ['nothing', undefined, undefined],
])('Basic with %s', (_, header, expected) => {
  expect(parseBasic(header)).toEqual(expected)
})

test('a bearer token is one word', () => {
  expect(['Bearer a', 'bearer a', 'Bearer a b', 'Bearer', 'Bearera', undefined].map(parseBearer)).toEqual([
    'a',
    'a',
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})
