import { describe, expect, test } from 'bun:test'
import { createLocalJWKSet, decodeProtectedHeader, importX509, jwtVerify } from 'jose'
import { jwksOf } from './jwks.ts'
import type { SigningAlgorithm, SigningKey } from './keys.ts'
import { certificatePem, newSigningKey } from './own-key.ts'
import { claims, makeKey, NOW, now, reasonOf } from './token.samples.ts'
import { createSigner } from './token.ts'
import { createTrust } from './trust.ts'
import { createVerify } from './verify.ts'

const ALGORITHMS = ['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const satisfies SigningAlgorithm[]
const keys = new Map<string, SigningKey>()
for (const algorithm of ALGORITHMS) keys.set(algorithm, await newSigningKey(algorithm, NOW))
const keyOf = (algorithm: string) => {
  const key = keys.get(algorithm)
  if (key === undefined) throw new Error('no such key')
  return key
}
const DAY = 86_400_000

describe.each(ALGORITHMS)('a token signed with %s', (algorithm) => {
  const key = keyOf(algorithm)
  const all = jwksOf([...keys.values()], NOW)

  test.each(['libtrust', 'rfc7638'] as const)('is one that jose takes, by the JWKS, its kid as %s', async (keyId) => {
    const token = await createSigner({ key, keyId, x5c: 'auto', now })(claims)
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: algorithm, kid: key.ids[keyId], typ: 'JWT' })
    const { payload } = await jwtVerify(token, createLocalJWKSet(all), {
      currentDate: new Date(NOW),
      issuer: 'Auth',
      audience: 'reg',
      algorithms: [algorithm],
    })
    expect(payload).toEqual({ ...claims })
  })

  test('is one that jose takes by the certificate that it carries', async () => {
    const token = await createSigner({ key, keyId: 'rfc7638', x5c: 'always', now })(claims)
    const [leaf] = decodeProtectedHeader(token).x5c ?? []
    const pem = `-----BEGIN CERTIFICATE-----\n${leaf}\n-----END CERTIFICATE-----`
    const { payload } = await jwtVerify(token, await importX509(pem, algorithm), { currentDate: new Date(NOW) })
    expect(payload.sub).toBe('admin')
  })

  test('is one that Berth takes, whichever way it knows the key', async () => {
    const pem = key.certificates.map(certificatePem).join('')
    const nameless = all.keys.map(({ kid, ...jwk }) => jwk)
    for (const trust of [
      { own: key },
      { own: () => [key] },
      { jwks: JSON.stringify(all) },
      { jwks: JSON.stringify({ keys: nameless }) },
      { rootCertBundle: pem },
    ]) {
      for (const [x5c, keyId] of [
        ['never', 'libtrust'],
        ['never', 'rfc7638'],
        ...('jwks' in trust ? [] : [['always', 'libtrust'] as const]),
      ] as const) {
        const text = await createSigner({ key, keyId, x5c, now })(claims)
        const verify = createVerify({
          trust: createTrust({ ...trust, now }),
          service: 'reg',
          issuer: 'Auth',
          now,
        })
        expect(reasonOf(verify(text))).toBe('valid')
        const head = text.slice(0, text.lastIndexOf('.'))
        const other = await createSigner({ key: await newSigningKey(algorithm, NOW), keyId, x5c, now })(claims)
        expect(verify(head + other.slice(other.lastIndexOf('.'))).kind).toBe('invalid_token')
      }
    }
  })
})

describe('a JWKS', () => {
  test('has no private part, and each name once', () => {
    const renewed = { ...keyOf('ES256'), certificates: makeKey().certificates }
    const { keys: list } = jwksOf([...keys.values(), renewed], NOW)
    expect(list.some((jwk) => 'd' in jwk || 'p' in jwk || 'k' in jwk)).toBe(false)
    const names = list.map(({ kid }) => kid)
    expect(new Set(names).size).toBe(names.length)
    for (const { ids } of keys.values()) expect(names).toEqual(expect.arrayContaining(Object.values(ids)))
    expect(list.every(({ use }) => use === 'sig')).toBe(true)
    const leaf = keyOf('ES256').certificates[0]?.raw.toString('base64') ?? ''
    expect(list.filter(({ x5c }) => Array.isArray(x5c) && x5c[0] === leaf).length).toBeGreaterThan(0)
  })

  test('names certificates only while they are valid', () => {
    const key = makeKey()
    expect(jwksOf([key], NOW).keys[0]?.x5c).toEqual(key.certificates.map(({ raw }) => raw.toString('base64')))
    expect(jwksOf([key], NOW + DAY + 1).keys[0]?.x5c).toBeUndefined()
    expect(jwksOf([key], NOW - DAY - 1).keys[0]?.x5c).toBeUndefined()
  })

  test('leaves out a key that is trusted no more', () => {
    const retired = { ...makeKey(), until: NOW }
    expect(jwksOf([retired], NOW).keys.length).toBeGreaterThan(0)
    expect(jwksOf([retired], NOW + 1).keys).toEqual([])
  })
})
