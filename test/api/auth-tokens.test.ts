import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { bytesOf } from './content.ts'
import { ask } from './exchange.ts'
import { bearer, type Issuer, repository, SERVICE, type TokenParts, tokenOf } from './issuer.ts'
import { expectRefused, IMAGE, need, startTokenRegistry, type TokenRegistry } from './token-registry.ts'

let tokens: TokenRegistry
let issuer: Issuer
let stranger: Issuer
const TRASHED = `/v2/${IMAGE}/_berth/trash/sha256:${'0'.repeat(64)}`
let port: number
beforeAll(async () => {
  tokens = await startTokenRegistry()
  ;({ issuer, stranger } = tokens)
  port = tokens.registry.port
})
afterAll(() => tokens.stop())

describe('a token', () => {
  const now = () => Math.floor(Date.now() / 1000)
  const ok = [repository(IMAGE, 'pull')]
  const x5c = () => ({ x5c: [issuer.certificate], kid: undefined })
  const jwk = () => ({ jwk: issuer.publicKey.export({ format: 'jwk' }), kid: undefined })
  const rows: [string, () => TokenParts, 200 | 'invalid_token'][] = [
    ['that is good', () => ({}), 200],
    ['that expired a minute and more ago', () => ({ claims: { exp: now() - 65 } }), 'invalid_token'],
    ['that expired 30 s ago: clocks differ', () => ({ claims: { exp: now() - 30 } }), 200],
    ['that never expires', () => ({ claims: { exp: undefined } }), 'invalid_token'],
    ['that begins in two minutes', () => ({ claims: { nbf: now() + 120 } }), 'invalid_token'],
    ['that begins in 30 s: clocks differ', () => ({ claims: { nbf: now() + 30 } }), 200],
    ['issued in the future', () => ({ claims: { iat: now() + 3600 } }), 200],
    [
      'without jti, sub, iat, nbf',
      () => ({ claims: { jti: undefined, sub: undefined, iat: undefined, nbf: undefined } }),
      200,
    ],
    ['of another issuer', () => ({ claims: { iss: 'Evil' } }), 'invalid_token'],
    ['of no issuer', () => ({ claims: { iss: undefined } }), 'invalid_token'],
    ['for another service', () => ({ claims: { aud: 'other' } }), 'invalid_token'],
    ['for no service', () => ({ claims: { aud: undefined } }), 'invalid_token'],
    ['for several services, as registry 3 takes it', () => ({ claims: { aud: ['other', SERVICE] } }), 200],
    ['by another key with its own name', () => ({ key: stranger.key, header: { kid: stranger.kid } }), 'invalid_token'],
    ['by another key with the name of the trusted one', () => ({ key: stranger.key }), 'invalid_token'],
    [
      'by another key with its own certificate',
      () => ({ key: stranger.key, header: { kid: undefined, x5c: [stranger.certificate] } }),
      'invalid_token',
    ],
    [
      'by another key with the trusted certificate',
      () => ({ key: stranger.key, header: { kid: undefined, x5c: [issuer.certificate] } }),
      'invalid_token',
    ],
    [
      'by another key that it brings along',
      () => ({ key: stranger.key, header: { kid: undefined, jwk: stranger.publicKey.export({ format: 'jwk' }) } }),
      'invalid_token',
    ],
    ["with registry 3's name of the key", () => ({ header: { kid: issuer.thumbprint } }), 200],
    ['without a name of the key', () => ({ header: { kid: undefined } }), 'invalid_token'],
    ['with the trusted certificate', () => ({ header: x5c() }), 200],
    ['with the trusted key', () => ({ header: jwk() }), 200],
    ['without a signature', () => ({ header: { alg: 'none' } }), 'invalid_token'],
    ['signed with a password', () => ({ header: { alg: 'HS256' } }), 'invalid_token'],
    ['said to be signed by an elliptic curve', () => ({ header: { alg: 'ES256' } }), 'invalid_token'],
    ['by RS384', () => ({ header: { alg: 'RS384' } }), 200],
    ['by RS512', () => ({ header: { alg: 'RS512' } }), 200],
    ['by PS256, as registry 3 takes it', () => ({ header: { alg: 'PS256' } }), 200],
    ['with a critical header', () => ({ header: { crit: ['x'], x: 1 } }), 'invalid_token'],
  ]
  test.each(rows)('%s', async (_, parts, outcome) => {
    const answer = await ask(port, 'GET', `/v2/${IMAGE}/tags/list`, { headers: bearer(tokenOf(issuer, ok, parts())) })
    if (outcome === 200) expect(answer).toMatchObject({ status: 200, text: `{"name":"${IMAGE}","tags":["tag1"]}\n` })
    else expectRefused(answer, need('repository', IMAGE, 'pull'), `repository:${IMAGE}:pull`, outcome)
  })

  const texts: [string, (good: string) => string, 200 | 'invalid_token' | 'none'][] = [
    ['in small letters', (good) => `bearer ${good}`, 200],
    ['in capitals', (good) => `BEARER ${good}`, 200],
    ['of one part', () => 'Bearer abc', 'invalid_token'],
    ['of three parts that are none', () => 'Bearer a.b.c', 'invalid_token'],
    ['of two parts', (good) => `Bearer ${good.split('.').slice(0, 2).join('.')}`, 'invalid_token'],
    ['of four parts', (good) => `Bearer ${good}.x`, 'invalid_token'],
    ['with an altered signature', (good) => `Bearer ${good.slice(0, -8)}AAAAAAAA`, 'invalid_token'],
    ['with altered claims', (good) => `Bearer ${alter(good)}`, 'invalid_token'],
    ['with padding', (good) => `Bearer ${good}==`, 'invalid_token'],
    ['that is very long', () => `Bearer ${'x'.repeat(12_000)}`, 'invalid_token'],
    ['as a password', () => 'Basic YWRtaW46cGFzc3dvcmQ=', 'none'],
    ['of another scheme', (good) => `Token ${good}`, 'none'],
    ['without a scheme', (good) => good, 'none'],
    ['that is empty', () => '', 'none'],
  ]
  test.each(texts)('%s', async (_, write, outcome) => {
    const headers = { Authorization: write(tokenOf(issuer, ok)) }
    const answer = await ask(port, 'GET', `/v2/${IMAGE}/tags/list`, { headers })
    if (outcome === 200) expect(answer.status).toBe(200)
    else {
      const error = outcome === 'none' ? undefined : outcome
      expectRefused(answer, need('repository', IMAGE, 'pull'), `repository:${IMAGE}:pull`, error)
    }
  })

  test('in the query is none', async () => {
    const answer = await ask(port, 'GET', `/v2/${IMAGE}/tags/list?token=${tokenOf(issuer, ok)}&access_token=x`)
    expectRefused(answer, need('repository', IMAGE, 'pull'), `repository:${IMAGE}:pull`)
  })

  const granted: [string, unknown, string, string, number][] = [
    ['pull', ok, 'GET', `/v2/${IMAGE}/tags/list`, 200],
    ['*', [repository(IMAGE, '*')], 'GET', `/v2/${IMAGE}/tags/list`, 200],
    ['pull, with a class', [{ ...repository(IMAGE, 'pull'), class: 'image' }], 'GET', `/v2/${IMAGE}/tags/list`, 200],
    [
      'pull in the second of two entries',
      [repository(IMAGE, 'push'), repository(IMAGE, 'pull')],
      'GET',
      `/v2/${IMAGE}/tags/list`,
      200,
    ],
    ['push alone', [repository(IMAGE, 'push')], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['pull of another repository', [repository('other', 'pull')], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['pull of everything, as a name', [repository('*', 'pull')], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['pull of a name that begins alike', [repository('admin', 'pull')], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    [
      'pull of another kind of thing',
      [{ type: 'registry', name: IMAGE, actions: ['pull'] }],
      'GET',
      `/v2/${IMAGE}/tags/list`,
      401,
    ],
    ['an empty action', [repository(IMAGE, '')], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['nothing', [], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['null', null, 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['a list of null, which kills registry:2', [null], 'GET', `/v2/${IMAGE}/tags/list`, 401],
    ['nothing, to see whether it holds', [], 'GET', '/v2/', 200],
    ['another repository, to see whether it holds', [repository('other', 'pull')], 'GET', '/v2/', 200],
    ['pull, to push', ok, 'POST', `/v2/${IMAGE}/blobs/uploads/`, 401],
    ['push, to push: both are needed', [repository(IMAGE, 'push')], 'POST', `/v2/${IMAGE}/blobs/uploads/`, 401],
    ['pull and push, to push', [repository(IMAGE, 'pull', 'push')], 'POST', `/v2/${IMAGE}/blobs/uploads/`, 202],
    ['pull and push, to delete', [repository(IMAGE, 'pull', 'push')], 'DELETE', `/v2/${IMAGE}/manifests/none`, 401],
    ['pull and push, to purge', [repository(IMAGE, 'pull', 'push')], 'DELETE', TRASHED, 401],
    ['delete, to purge', [repository(IMAGE, 'delete')], 'DELETE', TRASHED, 404],
    ['delete, to delete', [repository(IMAGE, 'delete')], 'DELETE', `/v2/${IMAGE}/manifests/none`, 404],
    ['pull, for the catalog', [{ type: 'registry', name: 'catalog', actions: ['pull'] }], 'GET', '/v2/_catalog', 401],
    ['*, for the catalog', [{ type: 'registry', name: 'catalog', actions: ['*'] }], 'GET', '/v2/_catalog', 200],
  ]
  test.each(granted)('that grants %s: %j %s %s is %i', async (_, access, method, path, status) => {
    const body = method === 'POST' ? { body: '' } : {}
    const answer = await ask(port, method, path, { headers: bearer(tokenOf(issuer, access)), ...body })
    expect(answer.status).toBe(status)
    if (status === 401) expect(answer.headers['www-authenticate']).toEndWith(',error="insufficient_scope"')
    if (path === '/v2/') expect(answer.text).toBe('{}')
  })
})

test('a refusal says what was needed, and what the token has of it', async () => {
  const headers = bearer(tokenOf(issuer, [repository(IMAGE, 'pull'), repository('other', '*')]))
  const answer = await ask(port, 'POST', `/v2/${IMAGE}/blobs/uploads/`, { headers, body: '' })
  const needed = (action: string) => ({ Type: 'repository', Class: '', Name: IMAGE, Action: action, Granted: ['pull'] })
  const errors = [
    { code: 'UNAUTHORIZED', message: 'authentication required', detail: [needed('pull'), needed('push')] },
  ]
  expect(JSON.parse(answer.text)).toEqual({ errors })
})

/** The same token for another user. */
function alter(token: string): string {
  const [header = '', claims = '', signature = ''] = token.split('.')
  const text = Buffer.from(claims, 'base64url').toString().replace('"admin"', '"hacker"')
  return [header, Buffer.from(text).toString('base64url'), signature].join('.')
}

describe('mounting with a token', () => {
  const secret = digestOf(bytesOf('only in secret'))
  const rows: [string, unknown[], string, number][] = [
    ['from where it may pull', [repository('new', 'pull', 'push'), repository('secret', 'pull')], '&from=secret', 201],
    ['from where it may not', [repository('new', 'pull', 'push')], '&from=secret', 401],
    [
      'from where it may only push',
      [repository('new', 'pull', 'push'), repository('secret', 'push')],
      '&from=secret',
      401,
    ],
    [
      'from anywhere, where it may pull there',
      [repository('new', 'pull', 'push'), repository('secret', 'pull')],
      '',
      201,
    ],
    ['from anywhere, where it may not', [repository('new', 'pull', 'push'), repository('other', 'pull')], '', 202],
    [
      'from another that has it not',
      [repository('new', 'pull', 'push'), repository('other', 'pull')],
      '&from=other',
      202,
    ],
  ]
  test.each(rows)('%s', async (row, access, from, status) => {
    const name = `new-${rows.findIndex(([other]) => other === row)}`
    const renamed = (access as { name: string }[]).map((entry) => (entry.name === 'new' ? { ...entry, name } : entry))
    const headers = bearer(tokenOf(issuer, renamed))
    const answer = await ask(port, 'POST', `/v2/${name}/blobs/uploads/?mount=${secret}${from}`, { headers, body: '' })
    expect(answer.status).toBe(status)
    if (status === 401) expect(answer.headers['www-authenticate']).toEndWith(',error="insufficient_scope"')
    const found = await ask(port, 'GET', `/v2/${name}/blobs/${secret}`, { headers })
    expect(found.status).toBe(status === 201 ? 200 : 404)
  })
})

describe('the catalog of a token without the right to it', () => {
  const rows: [string, unknown[], string, string[], string | undefined][] = [
    [
      'has what it may pull, if there is something',
      ['secret', 'none', IMAGE].map((name) => repository(name, 'pull')),
      '',
      [IMAGE, 'secret'],
      undefined,
    ],
    ['counts * as pull', [repository('other', '*')], '', ['other'], undefined],
    [
      'comes in pages',
      [IMAGE, 'other', 'secret'].map((name) => repository(name, 'pull')),
      '?n=2',
      [IMAGE, 'other'],
      '?last=other&n=2',
    ],
    [
      'comes in pages, the last',
      [IMAGE, 'other', 'secret'].map((name) => repository(name, 'pull')),
      '?n=2&last=other',
      ['secret'],
      undefined,
    ],
  ]
  test.each(rows)('%s', async (_, access, query, repositories, next) => {
    const answer = await ask(port, 'GET', `/v2/_catalog${query}`, { headers: bearer(tokenOf(issuer, access)) })
    expect(answer).toMatchObject({ status: 200, text: `${JSON.stringify({ repositories })}\n` })
    const link = next === undefined ? undefined : `</v2/_catalog${next}>; rel="next"`
    expect(answer.headers.link as string).toBe(link as string)
  })
})
