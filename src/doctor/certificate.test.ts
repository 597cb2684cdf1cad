import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { issuedCertificate, selfSignedCertificate } from '../x509/certificate.ts'
import { covers, judgeDates, judgeNames, leadsTo } from './certificate.ts'

const NOW = Date.parse('2026-03-01T00:00:00Z')
const DAY = 86_400_000
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const dates = { notBefore: new Date(NOW - DAY), notAfter: new Date(NOW + 100 * DAY) }

function authority(commonName: string) {
  const keys = pair()
  const der = selfSignedCertificate({ ...keys, ...dates, commonName, serial: Uint8Array.of(1) })
  return { ...keys, commonName, certificate: new X509Certificate(der) }
}
const root = authority('root')
const other = authority('other')
const leafOf = (issuer: typeof root, names: readonly string[], until = 100) => {
  const { publicKey } = pair()
  const validity = { ...dates, notAfter: new Date(NOW + until * DAY) }
  const der = issuedCertificate({
    ...validity,
    issuer,
    publicKey,
    names,
    commonName: 'leaf',
    serial: Uint8Array.of(2),
    purposes: ['server'],
  })
  return new X509Certificate(der)
}

describe('the names of a certificate', () => {
  const leaf = leafOf(root, ['registry.example', '*.team.example', '192.0.2.7', '2001:db8::7'])
  test.each<[string, boolean]>([
    ['registry.example', true],
    ['REGISTRY.example', true],
    ['registry.example.org', false],
    ['a.team.example', true],
    ['a.b.team.example', false],
    ['team.example', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['2001:db8::7', true],
    ['[2001:db8::7]', true],
    ['2001:db8::8', false],
    // The Common Name is not looked at.
    ['leaf', false],
  ])('cover %s: %p', (name, covered) => {
    expect(covers(leaf, name)).toBe(covered)
    expect(judgeNames(leaf, name, { about: 'x' })).toHaveLength(covered ? 0 : 1)
  })

  test.each<[string, string, string | undefined, RegExp]>([
    [
      'a Common Name that is the host',
      'CN=leaf',
      'leaf',
      /has a Common Name alone \(CN=leaf\) and does not name leaf, .*legacy Common Name/,
    ],
    [
      'a Common Name that is another',
      'CN=leaf',
      'other',
      /a Common Name alone .*`x509: certificate is not valid for any names, but wanted to match other`/,
    ],
    [
      'a Common Name, for hosts that are not known',
      'CN=leaf',
      undefined,
      /has a Common Name alone \(CN=leaf\), so clients .*legacy/,
    ],
    [
      'no Common Name',
      'C=AU\nO=Acme',
      'leaf',
      /has no name at all \(C=AU, O=Acme\) and does not name leaf, .*not valid for any names/,
    ],
    [
      'no Common Name, for hosts that are not known',
      'C=AU\nO=Acme',
      undefined,
      /has no name at all \(C=AU, O=Acme\), so clients .*not valid for any names/,
    ],
  ])('are missed in a certificate with %s', (_, subject, host, expected) => {
    const bare = new Proxy(leafOf(root, []), {
      get: (target, key) => {
        if (key === 'subject') return subject
        const value = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    expect(judgeNames(bare, host, { about: 'x' }).map(({ message }) => message)).toEqual([
      expect.stringMatching(expected),
    ])
  })

  test('are none where it has a Common Name alone', () => {
    expect(covers(leafOf(root, []), 'leaf')).toBe(false)
    const [found] = judgeNames(leafOf(root, []), 'leaf', { about: 'x' })
    expect(found?.message).toContain('`x509: certificate relies on legacy Common Name field, use SANs instead`')
  })
})

test('the end of a certificate is spoken of two weeks before', () => {
  const severities = [100, 15, 13, 1, -0.5].map((until) =>
    judgeDates(leafOf(root, ['x'], until), NOW, { about: 'x' }).map(({ severity }) => severity),
  )
  expect(severities).toEqual([[], [], ['warning'], ['warning'], ['fault']])
})

test('a chain leads to a root by signatures, through what was sent besides, and not by names alone', () => {
  const leaf = leafOf(root, ['x'])
  const impostor = authority('root').certificate
  expect(leadsTo(leaf, [], [root.certificate])).toBe(true)
  expect(leadsTo(leaf, [], [other.certificate, impostor])).toBe(false)
  expect(leadsTo(leaf, [], [])).toBe(false)
  expect(leadsTo(leaf, [], [leaf])).toBe(true)
  expect(leadsTo(leaf, [root.certificate], [root.certificate])).toBe(true)
  // What was sent proves nothing by itself.
  expect(leadsTo(leaf, [root.certificate], [])).toBe(false)
  const { publicKey } = other
  const middle = { ...other, commonName: 'middle' }
  const signedMiddle = new X509Certificate(
    selfSignedCertificate({
      privateKey: root.privateKey,
      publicKey,
      ...dates,
      commonName: 'root',
      serial: Uint8Array.of(3),
    }),
  )
  expect(leadsTo(leafOf(middle, ['x']), [signedMiddle], [root.certificate])).toBe(false)
})
