import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { checkKey, type KeyCheck } from './key-check.ts'
import { loadSigningKey } from './keys.ts'

const NOW = Date.parse('2026-03-01T00:00:00Z')
const DAY = 86_400_000
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function pemOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }, from: number, to: number) {
  const dates = { notBefore: new Date(NOW + from * DAY), notAfter: new Date(NOW + to * DAY) }
  const serial = Uint8Array.of(1 + Math.abs(from), 1 + Math.abs(to))
  return toPem('CERTIFICATE', selfSignedCertificate({ privateKey, publicKey, commonName: 'tokens', serial, ...dates }))
}

const valid = pemOf(pair, -1, 30)
const renewed = pemOf(pair, -2, 60)
const expired = pemOf(pair, -30, -1)
const foreign = pemOf(stranger, -1, 30)
const keyPem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

function check(certificate: string, options: Partial<Omit<KeyCheck, 'key'>> = {}) {
  const key = loadSigningKey(certificate, keyPem)
  const rest = { keyId: 'libtrust', x5c: 'auto', bundle: undefined, now: NOW, ...options } as const
  return checkKey({ key, ...rest }).map(({ kind, message, fix }) => `${kind}: ${message}${fix ? ` ${fix}` : ''}`)
}

describe('the key of tokens', () => {
  test.each<[string, string, Partial<Omit<KeyCheck, 'key'>>, RegExp[]]>([
    ['is fine by itself', valid, {}, []],
    ['is fine with its own bundle', valid, { bundle: valid }, [/^fine: .* by the certificate that they carry$/]],
    [
      'is fine by its id where no certificate is sent',
      valid,
      { bundle: valid, x5c: 'never' },
      [/^fine: .* by the key id /],
    ],
    [
      'whose certificate has expired is taken by its id alone, which is said',
      expired,
      { bundle: expired },
      [
        /^warning: the token certificate \(CN=tokens\) expired on .*; tokens do not carry it now/,
        /^fine: .* by the key id /,
      ],
    ],
    [
      'whose certificate has expired is refused where every token carries it',
      expired,
      { x5c: 'always' },
      [/^problem: .* expired on .*every token carries it.*Renew the certificate, or set token\.x5c: auto\.$/],
    ],
    [
      'whose certificate was renewed after it expired is refused by a registry with the old bundle',
      renewed,
      { bundle: expired },
      [/^problem: the rootcertbundle has an older certificate of the same key.*or set token\.x5c: never\.$/],
    ],
    [
      'whose certificate was renewed is fine with the old bundle by its id',
      renewed,
      { bundle: expired, x5c: 'never' },
      [/^fine: .* by the key id /],
    ],
    [
      'whose certificate was renewed in time is fine: the old one vouches for the same key and name',
      renewed,
      { bundle: valid },
      [/^fine: .* by the certificate that they carry$/],
    ],
    [
      'of another certificate is refused',
      valid,
      { bundle: foreign },
      [/^problem: the rootcertbundle has neither the token certificate nor the authority.*restart the registry\.$/],
    ],
    [
      'of another certificate is refused by its id, too',
      valid,
      { bundle: foreign, x5c: 'never' },
      [/^problem: .*"token signed by untrusted key with ID".*An authority alone is not enough here\.$/],
    ],
  ])('%s', (_, certificate, options, expected) => {
    const found = check(certificate, options)
    expect(found).toHaveLength(expected.length)
    for (const [index, pattern] of expected.entries()) expect(found[index]).toMatch(pattern)
  })

  test('of a kind that registry:2 does not know is told', () => {
    const ed = generateKeyPairSync('ed25519')
    const key = loadSigningKey(pemOf(ed, -1, 30), ed.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
    const [finding] = checkKey({ key, keyId: 'rfc7638', x5c: 'auto', bundle: undefined, now: NOW })
    expect(finding).toMatchObject({ kind: 'warning', message: expect.stringContaining('Ed25519') })
  })
})
