import { afterAll, describe, expect, test } from 'bun:test'
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { libtrustId, strippedThumbprint, thumbprint } from './key-id.ts'
import { compatibilityWarning, isSelfSigned, loadSigningKey, parseCertificates } from './keys.ts'
import { makeOwnKey } from './own-key.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-keys-'))
afterAll(() => rm(folder, { recursive: true }))

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
/** RFC 7638 section 3.1. */
const rfcKey = createPublicKey({
  format: 'jwk',
  key: {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
  },
})

describe('the name of a key', () => {
  test('K3: libtrust, elliptic', () => {
    expect(libtrustId(specificationKey)).toBe('PYYO:TEWU:V7JH:26JV:AQTZ:LJC3:SXVJ:XGHA:34F2:2LAQ:ZRMK:Z7Q6')
  })
  test('K4: libtrust, RSA', () => {
    expect(libtrustId(rfcKey)).toBe('VUZD:EDHW:YWLN:RBFQ:KOA3:UVZ2:XKG5:2V2J:WTPI:6SRD:U6PZ:VCO5')
  })
  test('K4: RFC 7638, RSA', () => {
    expect(thumbprint(rfcKey)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  })
  // On purpose not docker_auth's, which is the same for every P-256 key.
  test('K5: RFC 7638, elliptic', () => {
    expect(thumbprint(specificationKey)).toBe('8qjioA3ZA7ti2JIE7c-U8smBFuZolQZvhSHDPU3hhB8')
    expect(strippedThumbprint(specificationKey)).toBe(thumbprint(specificationKey))
  })
  test('RFC 8037 appendix A.3: Ed25519', () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
    const key = createPublicKey({ format: 'jwk', key: jwk })
    expect(thumbprint(key)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
    expect(strippedThumbprint(key)).toBe(thumbprint(key))
    expect(libtrustId(key)).toMatch(/^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/)
  })
  test('with a coordinate that begins with zero has a second form, as registry 3 computes it', () => {
    let key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
    for (let i = 0; i < 20_000 && !String(key.export({ format: 'jwk' }).x).startsWith('AA'); i++) {
      key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
      if (Buffer.from(String(key.export({ format: 'jwk' }).x), 'base64url')[0] === 0) break
    }
    expect(strippedThumbprint(key)).not.toBe(thumbprint(key))
  })
})

function pair(kind: 'rsa' | 'P-256' | 'P-384' | 'P-521' | 'P-224' | 'ed25519') {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: kind })
}

const p256 = pair('P-256')
function certificateFor({ publicKey, privateKey }: ReturnType<typeof pair>, commonName = 'x'): string {
  const notBefore = new Date('2020-01-01T00:00:00Z')
  const notAfter = new Date('2051-06-01T00:00:00Z')
  // P-224 signs no certificates here; these tests read the key alone.
  const signer = privateKey.asymmetricKeyDetails?.namedCurve === 'secp224r1' ? p256.privateKey : privateKey
  const serial = Uint8Array.of(0x80, 1)
  return toPem(
    'CERTIFICATE',
    selfSignedCertificate({ publicKey, privateKey: signer, commonName, serial, notBefore, notAfter }),
  )
}
const keyPem = ({ privateKey }: ReturnType<typeof pair>) =>
  privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

describe('a signing pair', () => {
  test.each([
    ['RSA signs RS256', 'rsa', 'RS256'],
    ['P-256 signs ES256', 'P-256', 'ES256'],
    ['P-384 signs ES384', 'P-384', 'ES384'],
    ['P-521 signs ES512', 'P-521', 'ES512'],
    // docker_auth refuses such a key (K6).
    ['Ed25519 signs EdDSA', 'ed25519', 'EdDSA'],
  ] as const)('K2: %s', (_, kind, algorithm) => {
    const made = pair(kind)
    const key = loadSigningKey(certificateFor(made), keyPem(made))
    expect(key.algorithm).toBe(algorithm)
    expect(key.certificates.map(isSelfSigned)).toEqual([true])
  })

  test('of another kind is refused, and the message says what is possible', () => {
    const made = pair('P-224')
    expect(() => loadSigningKey(certificateFor(made), keyPem(made))).toThrow(
      'public key type ec secp224r1 is not supported: use RSA, EC with P-256, P-384 or P-521, or Ed25519',
    )
  })

  test('with Ed25519 is worth a warning, and every other is not', () => {
    const load = (kind: Parameters<typeof pair>[0]) => {
      const made = pair(kind)
      return loadSigningKey(certificateFor(made), keyPem(made))
    }
    expect(compatibilityWarning([load('rsa'), load('P-521')])).toBeUndefined()
    expect(compatibilityWarning([load('P-256'), load('ed25519')])).toContain('registry 2.x and 3.0 cannot')
  })

  test('keys in the older forms are read, parameters before them too', () => {
    const sec1 = p256.privateKey.export({ format: 'pem', type: 'sec1' }).toString()
    const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
    expect(loadSigningKey(certificateFor(p256), parameters + sec1).algorithm).toBe('ES256')
    const rsa = pair('rsa')
    const pkcs1 = rsa.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString()
    expect(loadSigningKey(certificateFor(rsa), pkcs1).algorithm).toBe('RS256')
  })

  test.each([
    ['an empty certificate', '', keyPem(p256), 'the token certificate holds no "BEGIN CERTIFICATE" block'],
    [
      'a damaged certificate',
      certificateFor(p256).replace(/MI[\w+/]{20}/, 'AAAA'),
      keyPem(p256),
      'certificate 1 of the PEM text cannot be read',
    ],
    ['an empty key', certificateFor(p256), '', 'the token key holds no "BEGIN ... PRIVATE KEY" block'],
    [
      'somebody else’s key',
      certificateFor(p256),
      keyPem(pair('P-256')),
      'the token key does not belong to the token certificate',
    ],
    [
      'a chain in the wrong order',
      certificateFor(pair('P-256')) + certificateFor(p256),
      keyPem(p256),
      'belongs to certificate 2 of the file',
    ],
    [
      'an encrypted key',
      certificateFor(p256),
      p256.privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }).toString(),
      'the token key is encrypted',
    ],
  ])('with %s is refused, and the message says so', (_, certificate, key, message) => {
    expect(() => loadSigningKey(certificate, key)).toThrow(message)
  })
})

describe('the pair that Berth makes', () => {
  const now = () => Date.parse('2026-03-01T00:00:00Z')

  test('is a P-256 key for the owner alone, with a certificate that signs itself', async () => {
    const directory = join(folder, 'new')
    const key = await makeOwnKey(directory, { now })
    expect(key.algorithm).toBe('ES256')
    expect((await readdir(directory)).sort()).toEqual(['berth-token.crt', 'berth-token.key'])
    expect((await stat(join(directory, 'berth-token.key'))).mode & 0o777).toBe(0o600)
    const certificate = new X509Certificate(await readFile(join(directory, 'berth-token.crt')))
    expect(isSelfSigned(certificate)).toBe(true)
    expect(certificate.ca).toBe(true)
    expect(certificate.subject).toBe('CN=Berth token signing')
    expect([certificate.validFrom, certificate.validTo]).toEqual([
      'Feb 28 00:00:00 2026 GMT',
      'Feb 27 00:00:00 2036 GMT',
    ])
  })

  test('is the same at the next start', async () => {
    const directory = join(folder, 'again')
    const first = await makeOwnKey(directory, { now })
    const second = await makeOwnKey(directory, { now })
    expect(second.ids).toEqual(first.ids)
    expect(second.certificates[0]?.raw.equals(first.certificates[0]?.raw ?? Buffer.alloc(0))).toBe(true)
  })

  test('keeps its key when the certificate is lost', async () => {
    const directory = join(folder, 'lost')
    const first = await makeOwnKey(directory, { now })
    await rm(join(directory, 'berth-token.crt'))
    expect((await makeOwnKey(directory, { now })).ids).toEqual(first.ids)
  })

  test('is not replaced when it is damaged', async () => {
    const directory = join(folder, 'damaged')
    await makeOwnKey(directory, { now })
    await writeFile(join(directory, 'berth-token.key'), 'oops')
    await expect(makeOwnKey(directory, { now })).rejects.toThrow(
      `${join(directory, 'berth-token.key')}: the token key holds no`,
    )
    expect(await readFile(join(directory, 'berth-token.key'), 'utf8')).toBe('oops')
  })

  const openssl = Bun.which('openssl')
  test.skipIf(openssl === null)('is one that OpenSSL reads and verifies (package openssl)', async () => {
    const directory = join(folder, 'openssl')
    await makeOwnKey(directory, { now: Date.now })
    const path = join(directory, 'berth-token.crt')
    const run = Bun.spawnSync([openssl ?? '', 'verify', '-x509_strict', '-CAfile', path, path])
    // Strict asks for key identifiers, which a root may lack; the signature and the dates are what counts.
    const plain = Bun.spawnSync([openssl ?? '', 'verify', '-CAfile', path, path])
    expect([plain.exitCode, plain.stdout.toString()]).toEqual([0, `${path}: OK\n`])
    expect(run.stderr.toString()).not.toContain('unable to load')
  })
})

test('a certificate past 2049 and with a high serial number is read back as it was made', () => {
  const [certificate] = parseCertificates(certificateFor(p256, 'Ünïcode'))
  expect(certificate?.validTo).toBe('Jun  1 00:00:00 2051 GMT')
  expect(certificate?.serialNumber.toUpperCase()).toBe('8001')
})
