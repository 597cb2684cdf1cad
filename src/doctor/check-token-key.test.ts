import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { keyIds } from '../auth/keys.ts'
import { issuedCertificate, selfSignedCertificate } from '../x509/certificate.ts'
import { checkTokenKey } from './check-token-key.ts'
import type { ClientFacts, TokenFacts } from './client-facts.ts'
import type { ServerFacts } from './server-facts.ts'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const dates = { notBefore: new Date('2026-01-01'), notAfter: new Date('2027-01-01') }
const certificate = new X509Certificate(
  selfSignedCertificate({ privateKey, publicKey, ...dates, commonName: 'tokens', serial: Uint8Array.of(1) }),
)
/** Another certificate of the key, of the same subject, signed by itself. */
const renewed = (names: readonly string[]) =>
  new X509Certificate(
    issuedCertificate({
      issuer: { privateKey, publicKey, commonName: 'tokens' },
      publicKey,
      ...dates,
      names,
      commonName: 'tokens',
      serial: Uint8Array.of(2),
      purposes: ['server'],
    }),
  )
const { libtrust, rfc7638 } = keyIds(publicKey)

/** What a client saw of a refusal: `charset` is how registry 2.x writes its JSON, and 3 does not. */
function found(registry: 2 | 3, token: Pick<TokenFacts, 'kid' | 'x5c'>, bundle?: X509Certificate[]): string[] {
  const contentType = registry === 2 ? 'application/json; charset=utf-8' : 'application/json'
  const facts = { registry: 'registry.example', entry: { contentType }, realm: { realm: 'https://auth.example' } }
  const settings = { root: { kind: 'map', at: { kind: 'default' }, entries: new Map() }, authFile: undefined }
  const server = bundle && { settings, pairs: [], bundle: { path: 'root.pem', key: [], value: bundle } }
  const judged = checkTokenKey(facts as unknown as ClientFacts, token as TokenFacts, server as unknown as ServerFacts)
  return judged.map(({ id, message, fix }) => `${id}: ${message} | ${fix.join(' | ')}`)
}

describe('a refused token without a certificate', () => {
  test.each<[string, 2 | 3, string, X509Certificate[] | undefined, RegExp | undefined]>([
    [
      'with the id of registry 2 at registry 3',
      3,
      libtrust,
      undefined,
      /^kid-generation: .* as registry 2\.x does .* seems to be 3, .* token\.keyid: rfc7638 \| docker_auth: token\.disable_legacy_key_id: true/,
    ],
    [
      'with the id of registry 3 at registry 2',
      2,
      rfc7638,
      undefined,
      /^kid-generation: .* as registry 3 does .* seems to be 2\.x, .* token\.keyid: libtrust \| docker_auth: token\.disable_legacy_key_id: false/,
    ],
    ['with the id of registry 2 at registry 3 that has the key', 3, libtrust, [certificate], /^kid-generation: /],
    ['with the right form of an id', 2, libtrust, undefined, undefined],
    ['with the right id of a key that is there', 3, rfc7638, [certificate], undefined],
    [
      'with the id of another key',
      2,
      libtrust.replace(/^..../, 'AAAA'),
      [certificate],
      /^untrusted-key: .*AAAA:.*root\.pem has /,
    ],
    ['with an id of no known form', 2, 'key-1', [certificate], /^untrusted-key: .*key-1.*root\.pem has /],
  ])('%s', (_, registry, kid, bundle, expected) => {
    const all = found(registry, { kid, x5c: undefined }, bundle)
    if (expected === undefined) expect(all).toEqual([])
    else {
      expect(all).toHaveLength(1)
      expect(all[0]).toMatch(expected)
    }
  })

  test('whose certificate leads to the bundle is no fault of the key, whatever its id', () => {
    const x5c = [certificate.raw.toString('base64')]
    expect(found(3, { kid: libtrust, x5c }, [certificate])).toEqual([])
    expect(found(3, { kid: libtrust, x5c }, [])).toHaveLength(1)
  })

  test.each<[string, X509Certificate, RegExp | undefined]>([
    ['the same, byte for byte, is taken', certificate, undefined],
    [
      'one of the same subject and names is refused',
      renewed([]),
      /^untrusted-key: root\.pem has another certificate of the key .* \(CN=tokens, until 2027-01-01\).*unknown authority` \| cat /,
    ],
    ['one with other names is vouched for as by an authority', renewed(['registry.example']), undefined],
  ])('whose certificate was renewed with its key: %s', (_, carried, expected) => {
    const all = found(2, { kid: libtrust, x5c: [carried.raw.toString('base64')] }, [certificate])
    if (expected === undefined) expect(all).toEqual([])
    else expect(all).toEqual([expect.stringMatching(expected)])
  })
})
