import { describe, expect, test } from 'bun:test'
import { sign } from 'node:crypto'
import fc from 'fast-check'
import { libtrustId, thumbprint } from './key-id.ts'
import {
  access,
  ed,
  es,
  hs,
  iat,
  jwks,
  leaf64,
  NOW,
  now,
  other,
  otherLeaf64,
  ps,
  reasonOf,
  rs,
  secret,
  token,
  trusted,
  verifier,
  verify,
} from './token.samples.ts'
import { createTrust } from './trust.ts'
import { createVerify } from './verify.ts'

/** Golden table C, and what registry 3 adds to it. Where 2.8 and 3 differ Berth does as 3 (audience lists, PS256). */
const rows: [string, string, string][] = [
  ['a valid token', token(), 'valid'],
  ['a key by its RFC 7638 thumbprint', token({}, { kid: trusted.ids.rfc7638 }), 'valid'],
  ['exp passed by 30 s', token({ exp: iat - 30 }), 'valid'],
  ['exp passed by 61 s', token({ exp: iat - 61 }), 'token not to be used after'],
  ['nbf in 30 s', token({ nbf: iat + 30 }), 'valid'],
  ['nbf in 120 s', token({ nbf: iat + 120 }), 'token not to be used before'],
  ['iat in the future', token({ iat: iat + 9999 }), 'valid'],
  ['no jti, sub, iat, nbf', token({ jti: undefined, sub: undefined, iat: undefined, nbf: undefined }), 'valid'],
  ['no exp', token({ exp: undefined }), 'token not to be used after'],
  ['exp as a text', token({ exp: String(iat + 900) }), 'malformed token'],
  ['another issuer', token({ iss: 'Evil' }), 'token from untrusted issuer: "Evil"'],
  ['no issuer', token({ iss: undefined }), 'token from untrusted issuer: none'],
  ['another audience', token({ aud: 'other' }), 'token intended for another audience: "other"'],
  ['no audience', token({ aud: undefined }), 'token intended for another audience: none'],
  ['a list of audiences', token({ aud: ['other', 'reg'] }), 'valid'],
  ['a list without the audience', token({ aud: ['other'] }), 'token intended for another audience'],
  [
    'another key with its own kid',
    token({}, { kid: other.ids.libtrust }, es(other.privateKey)),
    `token signed by untrusted key with ID: "${other.ids.libtrust}"`,
  ],
  ['another key with the trusted kid', token({}, {}, es(other.privateKey)), 'unable to verify token signature'],
  ['no kid', token({}, { kid: undefined }), 'unable to get token signing key'],
  ['kid as a list', token({}, { kid: [trusted.ids.libtrust] }), 'unable to get token signing key'],
  ['alg none', token({}, { alg: 'none' }), 'token signature algorithm "none" is not allowed'],
  ['no alg', token({}, { alg: undefined }), 'is not allowed'],
  ['no signature', token().replace(/[^.]*$/, ''), 'malformed token'],
  ['HS256 keyed with the public key', token({}, { alg: 'HS256' }, hs(trusted.pem)), 'unable to verify token signature'],
  ['HS256 with a key of RSA', token({}, { alg: 'HS256', kid: 'rsa' }, hs(secret)), 'unable to verify token signature'],
  ['HS256 with a shared secret', token({}, { alg: 'HS256', kid: 'hmac' }, hs(secret)), 'valid'],
  ['HS256 with another secret', token({}, { alg: 'HS256', kid: 'hmac' }, hs('x')), 'unable to verify token signature'],
  ['RS256 from the JWKS file', token({}, { alg: 'RS256', kid: 'rsa' }, rs(256)), 'valid'],
  ['RS384 from the JWKS file', token({}, { alg: 'RS384', kid: 'rsa' }, rs(384)), 'valid'],
  ['RS512 from the JWKS file', token({}, { alg: 'RS512', kid: 'rsa' }, rs(512)), 'valid'],
  ['PS256 from the JWKS file', token({}, { alg: 'PS256', kid: 'rsa' }, ps), 'valid'],
  ['PS256 that says RS256', token({}, { alg: 'RS256', kid: 'rsa' }, ps), 'unable to verify token signature'],
  [
    'EdDSA from the JWKS file',
    token({}, { alg: 'EdDSA', kid: 'ed' }, (input) => sign(null, input, ed.privateKey)),
    'valid',
  ],
  ['a key that is for encryption', token({}, { alg: 'RS256', kid: 'encryption' }, rs(256)), 'untrusted key'],
  [
    'a key that is for another algorithm',
    token({}, { alg: 'RS512', kid: 'only256' }, rs(512)),
    'is not the one of its key',
  ],
  ['ES384 of a P-256 key', token({}, { alg: 'ES384' }), 'unable to verify token signature'],
  ['x5c of the trusted certificate', token({}, { x5c: [leaf64] }), 'valid'],
  ['x5c of another certificate', token({}, { x5c: [otherLeaf64] }, es(other.privateKey)), 'x5c: no valid chain'],
  [
    'x5c of another certificate before the trusted one',
    token({}, { x5c: [otherLeaf64, leaf64] }, es(other.privateKey)),
    'x5c: no valid chain',
  ],
  [
    'x5c of the trusted certificate, signed by another key',
    token({}, { x5c: [leaf64] }, es(other.privateKey)),
    'unable to verify token signature',
  ],
  ['x5c that is no list', token({}, { x5c: leaf64 }), 'malformed x5c header'],
  ['x5c that is empty', token({}, { x5c: [] }), 'malformed x5c header'],
  ['x5c that is no certificate', token({}, { x5c: ['AAAA'] }), 'malformed x5c header'],
  ['x5c without end', token({}, { x5c: Array(500).fill(leaf64) }), 'malformed x5c header'],
  ['jwk of the trusted key', token({}, { kid: undefined, jwk: trusted.publicKey.export({ format: 'jwk' }) }), 'valid'],
  [
    'jwk of another key',
    token({}, { jwk: other.publicKey.export({ format: 'jwk' }) }, es(other.privateKey)),
    'untrusted key in its jwk header',
  ],
  [
    'jwk of another key under the trusted name',
    token(
      {},
      { jwk: { ...other.publicKey.export({ format: 'jwk' }), kid: trusted.ids.libtrust } },
      es(other.privateKey),
    ),
    'unable to verify token signature',
  ],
  ['jwk with x5c', token({}, { jwk: { x5c: [leaf64] } }), 'valid'],
  ['jwk that is no key', token({}, { jwk: { kty: 'XX' } }), 'malformed jwk header'],
  ['jwk null', token({}, { jwk: null }), 'malformed jwk header'],
  ['a critical header', token({}, { crit: ['exp'] }), 'critical header'],
  ['one part', 'abc', 'malformed token'],
  ['three parts that are nothing', 'a.b.c', 'malformed token'],
  ['two parts', token().split('.').slice(0, 2).join('.'), 'malformed token'],
  ['four parts', `${token()}.x`, 'malformed token'],
  ['nothing', '', 'malformed token'],
  ['padding', `${token()}==`, 'malformed token'],
  ['access that is no list', token({ access: {} }), 'malformed token'],
  ['access with a number', token({ access: [1] }), 'malformed token'],
  [
    'actions that are a text',
    token({ access: [{ type: 'repository', name: 'x', actions: 'pull' }] }),
    'malformed token',
  ],
  ['sub that is a number', token({ sub: 1 }), 'malformed token'],
]

describe('a token with', () => {
  test.each(rows)('%s', (_, text, expected) => {
    if (expected === 'valid') expect(reasonOf(verify(text))).toBe('valid')
    else expect(verify(text)).toEqual({ kind: 'invalid_token', reason: expect.stringContaining(expected) })
  })

  test.each([
    ['null for an entry', [null]],
    ['null for access', null],
    ['an empty list', []],
    ['no access', undefined],
  ])('%s is valid and grants nothing', (_, list) => {
    expect(verify(token({ access: list }))).toMatchObject({ kind: 'valid', subject: { name: 'admin', granted: [] } })
  })
})

test('what was granted is what the token says', () => {
  expect(verify(token())).toMatchObject({ kind: 'valid', subject: { name: 'admin', granted: access } })
})

test('a token that was seen is not verified again, until it expires', () => {
  let time = NOW
  const timed = verifier({}, () => time)
  const text = token()
  const first = timed(text)
  expect(timed(text)).toBe(first)
  time = NOW + 960_000
  expect(timed(text)).toBe(first)
  time++
  expect(reasonOf(timed(text))).toStartWith('token not to be used after')
})

test('only the algorithms on the list are taken', () => {
  const strict = createVerify({
    trust: createTrust({ jwks, rootCertBundle: trusted.pem, now }),
    service: 'reg',
    issuer: 'Auth',
    algorithms: ['RS256'],
    now,
  })
  expect(reasonOf(strict(token()))).toContain('"ES256" is not allowed')
  expect(reasonOf(strict(token({}, { alg: 'RS256', kid: 'rsa' }, rs(256))))).toBe('valid')
})

describe('a token that was changed', () => {
  const good = token()
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'

  test('in any one character is never accepted, and never a crash', () => {
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.constantFrom(...alphabet), (at, character) => {
        fc.pre(good[at] !== character)
        expect(verify(good.slice(0, at) + character + good.slice(at + 1)).kind).toBe('invalid_token')
      }),
      { numRuns: 2000, seed: 20_260_101 },
    )
  })

  test('in its last character is never accepted, though the bytes may be the same', () => {
    for (const character of alphabet) {
      if (good.endsWith(character)) continue
      expect(verify(good.slice(0, -1) + character).kind).toBe('invalid_token')
    }
  })

  test('into anything else is never accepted, and never a crash', () => {
    const part = fc.oneof(
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
      fc.constantFrom(...good.split('.')),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
        fc.pre(parts.join('.') !== good)
        expect(verify(parts.join('.')).kind).toBe('invalid_token')
      }),
      { numRuns: 2000, seed: 20_260_101 },
    )
  })

  test('to any claims and headers at all is an answer, if signed by the trusted key', () => {
    fc.assert(
      fc.property(
        fc.object({ key: fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'sub', 'access', 'x'), maxDepth: 3 }),
        (changes) => {
          expect(['valid', 'invalid_token']).toContain(verify(token(changes)).kind)
        },
      ),
      { numRuns: 500, seed: 20_260_101 },
    )
  })
})

test('the ids of both generations are of the same key', () => {
  expect(trusted.ids).toMatchObject({ libtrust: libtrustId(trusted.publicKey), rfc7638: thumbprint(trusted.publicKey) })
})
