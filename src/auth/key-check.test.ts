import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { checkKey, type KeyCheck } from './key-check.ts'
import { loadSigningKey } from './keys.ts'

const NOW = Date.parse('2026-03-01T00:00:00Z')
const DAY = 86_400_000
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function pemOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }, from: number, to: number) {
  const dates = { notBefore: new Date(NOW + from * DAY), notAfter: new Date(NOW + to * DAY) }
  const serial = Uint8Array.of(1 + Math.abs(from), 1 + Math.abs(to))
  return toPem('CERTIFICATE', selfSignedCertificate({ privateKey, publicKey, commonName: 'tokens', serial, ...dates }))
}

const valid = pemOf(pair, -1, 30)
const expired = pemOf(pair, -30, -1)
const early = pemOf(pair, 1, 30)
const keyPem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

function check(certificate: string, x5c: KeyCheck['x5c'] = 'auto') {
  const key = loadSigningKey(certificate, keyPem)
  return checkKey({ key, x5c, now: NOW }).map(({ kind, message, fix }) => `${kind}: ${message}${fix ? ` ${fix}` : ''}`)
}

describe('the key of tokens', () => {
  test.each<[string, string, KeyCheck['x5c'], RegExp[]]>([
    ['is fine', valid, 'auto', []],
    [
      'whose certificate has expired is taken by its id alone, which is said',
      expired,
      'auto',
      [/^warning: the token certificate \(CN=tokens\) expired on .*; tokens do not carry it now/],
    ],
    [
      'whose certificate begins tomorrow, too',
      early,
      'auto',
      [/^warning: the token certificate \(CN=tokens\) begins on .*; tokens do not carry it now/],
    ],
    [
      'whose certificate has expired is no trouble where no token carries it',
      expired,
      'never',
      [/^warning: .*; registries that find the key by its id do not look at the dates/],
    ],
    [
      'whose certificate has expired is refused where every token carries it',
      expired,
      'always',
      [/^problem: .* expired on .*every token carries it.*Renew the certificate, or set token\.x5c: auto\.$/],
    ],
  ])('%s', (_, certificate, x5c, expected) => {
    const found = check(certificate, x5c)
    expect(found).toHaveLength(expected.length)
    for (const [index, pattern] of expected.entries()) expect(found[index]).toMatch(pattern)
  })

  test('of a kind that registry:2 does not know is told', () => {
    const ed = generateKeyPairSync('ed25519')
    const key = loadSigningKey(pemOf(ed, -1, 30), ed.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
    const [finding] = checkKey({ key, x5c: 'auto', now: NOW })
    expect(finding).toMatchObject({ kind: 'warning', message: expect.stringContaining('Ed25519') })
  })
})
