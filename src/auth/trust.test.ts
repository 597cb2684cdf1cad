import { afterAll, describe, expect, test } from 'bun:test'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSignedCertificate } from '../x509/certificate.ts'
import { loadSigningKey, type VerifyingKey } from './keys.ts'
import {
  claims,
  es,
  leaf64,
  NOW,
  now,
  other,
  otherLeaf64,
  reasonOf,
  token,
  trusted,
  verifier,
} from './token.samples.ts'
import { createSigner } from './token.ts'
import { createTrust } from './trust.ts'

test('certificates that all sign each other are no chain, and are each tried once', () => {
  const { privateKey, publicKey } = trusted
  const dates = { notBefore: new Date(NOW - 1000), notAfter: new Date(NOW + 1000) }
  const thicket = Array.from({ length: 10 }, (_, i) =>
    selfSignedCertificate({ privateKey, publicKey, commonName: 'ring', serial: Uint8Array.of(i + 1), ...dates }),
  )
  const x5c = thicket.map((der) => der.toString('base64'))
  expect(reasonOf(verifier({ rootCertBundle: other.pem })(token({}, { x5c })))).toContain('no valid chain')
})

describe('texts that are wrong at the start', () => {
  test.each([
    ['no key at all', {}, 'token auth requires at least one token signing key'],
    ['a bundle without a certificate', { rootCertBundle: 'x' }, 'the rootcertbundle holds no'],
    ['a JWKS file that is no JSON', { jwks: '{' }, 'the JWKS file is not JSON'],
    ['a JWKS file without keys', { jwks: '{}' }, 'the JWKS file has no list "keys"'],
    ['an empty JWKS file', { jwks: '{"keys":[]}' }, 'token auth requires at least one'],
    ['a key that is none', { jwks: '{"keys":[{"kty":"RSA"}]}' }, 'key 1 of the JWKS file cannot be used'],
    ['a secret that is short', { jwks: '{"keys":[{"kty":"oct","k":"AAAA","kid":"x"}]}' }, 'at least 32 bytes'],
  ])('%s', (_, options, message) => {
    expect(() => createTrust({ ...options, now })).toThrow(message)
  })
})

const openssl = Bun.which('openssl')
describe.skipIf(openssl === null)('a chain to the bundle (made with package openssl)', () => {
  let folder = ''
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function chain() {
    folder = await mkdtemp(join(tmpdir(), 'berth-chain-'))
    const run = (...args: string[]) => {
      const { exitCode, stderr } = Bun.spawnSync([openssl ?? '', ...args], { cwd: folder })
      if (exitCode !== 0) throw new Error(stderr.toString())
    }
    await writeFile(join(folder, 'ca.ext'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n')
    await writeFile(join(folder, 'leaf.ext'), 'basicConstraints=CA:FALSE\n')
    const key = ['-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
    run('req', '-x509', ...key, '-days', '30', '-keyout', 'root.key', '-out', 'root.pem', '-subj', '/CN=root')
    const issue = (name: string, issuer: string, extensions: string) => {
      run('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
      run(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        `${issuer}.pem`,
        '-CAkey',
        `${issuer}.key`,
        '-CAcreateserial',
        '-days',
        '20',
        '-extfile',
        extensions,
        '-out',
        `${name}.pem`,
      )
    }
    issue('middle', 'root', 'ca.ext')
    issue('leaf', 'middle', 'leaf.ext')
    issue('child', 'leaf', 'leaf.ext')
    const read = (name: string) => readFile(join(folder, name), 'utf8')
    const certificate = async (name: string) => new X509Certificate(await read(`${name}.pem`)).raw.toString('base64')
    return { read, certificate }
  }

  test('holds through an authority, ends with its dates, and not through a leaf', async () => {
    const { read, certificate } = await chain()
    const [root, middle, leaf, child] = await Promise.all(['root', 'middle', 'leaf', 'child'].map(certificate))
    const rootPem = await read('root.pem')
    const middlePem = await read('middle.pem')
    const leafPem = await read('leaf.pem')
    let time = Date.now()
    const clock = () => time
    const seconds = Math.floor(time / 1000)
    const times = { exp: seconds + 99 * 86_400, nbf: seconds - 10 }
    const by = async (name: string, x5c: unknown) => {
      const { privateKey } = loadSigningKey(await read(`${name}.pem`), await read(`${name}.key`))
      return token(times, { x5c }, es(privateKey))
    }
    const check = verifier({ rootCertBundle: rootPem }, clock)
    const good = await by('leaf', [leaf, middle])
    expect(reasonOf(check(good))).toBe('valid')
    expect(reasonOf(check(await by('leaf', [leaf, middle, root])))).toBe('valid')
    expect(reasonOf(check(await by('leaf', [leaf])))).toContain('no valid chain')
    expect(reasonOf(check(await by('child', [child, leaf, middle])))).toContain('no valid chain')
    expect(reasonOf(check(await by('child', [child, child, child, middle])))).toContain('no valid chain')
    expect(reasonOf(verifier({ rootCertBundle: middlePem }, clock)(await by('leaf', [leaf])))).toBe('valid')
    expect(reasonOf(verifier({ rootCertBundle: leafPem }, clock)(await by('leaf', [leaf, middle])))).toBe('valid')
    expect(reasonOf(verifier({ rootCertBundle: leafPem }, clock)(await by('child', [child, leaf])))).toContain(
      'no valid chain',
    )
    const middleKey = loadSigningKey(`${leafPem}${middlePem}${rootPem}`, await read('leaf.key'))
    const carried = await createSigner({ key: middleKey, keyId: 'libtrust', x5c: 'always', now: clock })(claims)
    expect(JSON.parse(Buffer.from(carried.split('.')[0] ?? '', 'base64url').toString()).x5c).toEqual([leaf, middle])
    time += 25 * 86_400_000
    expect(reasonOf(check(await by('leaf', [leaf, middle, '']).then((text) => text)))).not.toBe('valid')
    expect(reasonOf(check(token({ ...times, jti: 'new' }, { x5c: [leaf, middle] })))).toContain('no valid chain')
  })
})

describe('keys of Berth’s own that come and go', () => {
  function setup() {
    const clock = { time: NOW }
    let keys: readonly VerifyingKey[] = [trusted]
    const own = () => keys
    const check = verifier({ own, rootCertBundle: undefined, jwks: undefined }, () => clock.time)
    const become = (...list: VerifyingKey[]) => {
      keys = list
    }
    return { clock, check, become }
  }
  const byOther = (changes: object = {}, header: object = {}) =>
    token(changes, { kid: other.ids.rfc7638, ...header }, es(other.privateKey))

  test('are trusted by kid, certificate and jwk from the moment that they are there', () => {
    const { check, become } = setup()
    const jwk = other.publicKey.export({ format: 'jwk' })
    const texts = [byOther(), byOther({}, { x5c: [otherLeaf64] }), byOther({}, { kid: undefined, jwk })]
    expect(texts.map((text) => check(text).kind)).toEqual(Array(3).fill('invalid_token'))
    become(trusted, other)
    expect(texts.map((text) => reasonOf(check(text)))).toEqual(Array(3).fill('valid'))
    expect(reasonOf(check(token()))).toBe('valid')
  })

  test('take what was verified with them along, also what is remembered', () => {
    const { check, become } = setup()
    const text = token({ exp: NOW / 1000 + 999_999 })
    expect(reasonOf(check(text))).toBe('valid')
    become(other)
    expect(reasonOf(check(text))).toContain('untrusted key')
    expect(reasonOf(check(token({}, { x5c: [leaf64] })))).toContain('no valid chain')
    expect(reasonOf(check(byOther()))).toBe('valid')
  })

  test('end at their time, also for what is remembered', () => {
    const { check, become, clock } = setup()
    become(other, { ...trusted, until: NOW + 5000 })
    const texts = [token(), token({}, { x5c: [leaf64] })]
    clock.time = NOW + 5000
    expect(texts.map((text) => reasonOf(check(text)))).toEqual(['valid', 'valid'])
    clock.time++
    expect(texts.map((text) => check(text).kind)).toEqual(['invalid_token', 'invalid_token'])
  })

  test('are in force before an older certificate of the same key', () => {
    const { check, become, clock } = setup()
    become(trusted, { ...trusted, until: NOW - 1 })
    expect(reasonOf(check(token()))).toBe('valid')
    clock.time += 1000
    expect(reasonOf(check(token({}, { x5c: [leaf64] })))).toBe('valid')
  })

  test('may not be named by anybody else’s file', () => {
    const stolen = { ...other.publicKey.export({ format: 'jwk' }), kid: trusted.ids.libtrust }
    const check = verifier({ own: () => [trusted], jwks: JSON.stringify({ keys: [stolen] }) })
    expect(reasonOf(check(token()))).toBe('valid')
    expect(reasonOf(check(byOther({}, { kid: trusted.ids.libtrust })))).toBe('unable to verify token signature')
  })

  test('without any there is nothing to trust', () => {
    expect(() => createTrust({ own: () => [], now })).toThrow('at least one token signing key')
  })
})
