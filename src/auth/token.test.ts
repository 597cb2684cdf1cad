import { describe, expect, test } from 'bun:test'
import { createPublicKey } from 'node:crypto'
import { verifyingKey } from './keys.ts'
import { claims, leaf64, makeKey, NOW, now, reasonOf, token, trusted } from './token.samples.ts'
import { createSigner, randomTokenId } from './token.ts'
import { createTrust } from './trust.ts'
import { createVerify } from './verify.ts'

describe('Berth’s own key', () => {
  const own = makeKey()
  const trust = createTrust({ own, now })
  const check = createVerify({ trust, service: 'reg', issuer: 'Auth', ownIssuer: 'Own', now })

  test.each(['libtrust', 'rfc7638'] as const)('is trusted with kid as %s, with and without x5c', async (keyId) => {
    for (const x5c of ['always', 'never', 'auto'] as const) {
      const text = await createSigner({ key: own, keyId, x5c, now })(claims)
      expect(reasonOf(check(text))).toBe('valid')
    }
  })

  test('may use its own issuer, and nobody else may', async () => {
    const text = await createSigner({ key: own, keyId: 'libtrust', x5c: 'never', now })({ ...claims, iss: 'Own' })
    expect(reasonOf(check(text))).toBe('valid')
    const both = createVerify({
      trust: createTrust({ own, rootCertBundle: trusted.pem, now }),
      service: 'reg',
      issuer: 'Auth',
      ownIssuer: 'Own',
      now,
    })
    expect(reasonOf(both(token({ iss: 'Own' })))).toStartWith('token from untrusted issuer')
  })
})

/** The key of distribution's "Docker Registry v2 Bearer token specification". */
const specificationKey = createPublicKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    crv: 'P-256',
    x: 'm7zUpx3b-zmVE5cymSs64POG9QcyEpJaYCD82-549_Q',
    y: 'dU3biz8sZ_8GPB-odm8Wxz3lNDr1xcAQQPQaOcr1fmc',
  },
})

describe('a signer', () => {
  const headerOf = async (text: string | Promise<string>) =>
    JSON.parse(Buffer.from((await text).split('.')[0] ?? '', 'base64url').toString())

  test('K1: writes the header and the claims in their order', async () => {
    const text = await createSigner({ key: trusted, keyId: 'libtrust', x5c: 'never', now })(claims)
    const [head, body, tail] = text.split('.').map((part) => Buffer.from(part, 'base64url'))
    expect(head?.toString()).toBe(`{"typ":"JWT","alg":"ES256","kid":"${trusted.ids.libtrust}"}`)
    expect(Object.keys(JSON.parse(body?.toString() ?? ''))).toEqual([
      'iss',
      'sub',
      'aud',
      'exp',
      'nbf',
      'iat',
      'jti',
      'access',
    ])
    expect(tail?.length).toBe(64)
  })

  test('K3: writes the header of the specification’s example, byte for byte', async () => {
    const example = verifyingKey([], specificationKey)
    const key = { ...trusted, algorithm: example.algorithm, ids: example.ids }
    const text = await createSigner({ key, keyId: 'libtrust', x5c: 'never', now })(claims)
    expect(text.split('.')[0]).toBe(
      'eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiIsImtpZCI6IlBZWU86VEVXVTpWN0pIOjI2SlY6QVFUWjpMSkMzOlNYVko6WEdIQTozNEYyOjJMQVE6WlJNSzpaN1E2In0',
    )
  })

  test('carries a self-signed certificate as its own leaf while it is valid, and not after', async () => {
    let time = NOW
    const make = createSigner({ key: trusted, keyId: 'libtrust', x5c: 'auto', now: () => time })
    expect((await headerOf(make(claims))).x5c).toEqual([leaf64])
    time = NOW + 86_400_001
    expect((await headerOf(make(claims))).x5c).toBeUndefined()
    time = NOW - 86_400_001
    expect((await headerOf(make(claims))).x5c).toBeUndefined()
  })

  test('K1: ids are decimal and differ', () => {
    const ids = Array.from({ length: 2000 }, randomTokenId)
    expect(ids.every((id) => /^[0-9]{1,19}$/.test(id))).toBe(true)
    expect(new Set(ids).size).toBe(2000)
  })
})
