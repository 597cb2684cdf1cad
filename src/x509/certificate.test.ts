import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeWith, must, run } from '../../test/programs.ts'
import { authorityCertificate, issuedCertificate, selfSignedCertificate, toPem } from './certificate.ts'
import { certificationRequest } from './request.ts'

const NAMES = ['localhost', 'registry.example', '*.team.example', '192.0.2.1', '::1', '2001:db8::5']
const DAY = 86_400_000
const dates = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) }

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-x509-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const keyOf: Record<string, () => KeyObject> = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  'RSA 2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
  Ed25519: () => generateKeyPairSync('ed25519').privateKey,
}

function save(name: string, label: string, der: Buffer): string {
  const path = join(folder, name)
  writeFileSync(path, toPem(label, der))
  return path
}

/** Files of an authority and of a certificate that it signed. */
function issue(privateKey: KeyObject): { authority: string; server: string } {
  const issuer = { commonName: 'An authority', privateKey, publicKey: createPublicKey(privateKey) }
  const authority = authorityCertificate({ ...issuer, serial: Uint8Array.of(9), ...dates })
  const publicKey = createPublicKey(keyOf['P-256']?.() ?? '')
  const purposes = ['server'] as const
  const named = { commonName: 'Berth', names: NAMES, purposes, serial: Uint8Array.of(0x80, 1), ...dates }
  const server = issuedCertificate({ issuer, publicKey, ...named })
  return { authority: save('ca.pem', 'CERTIFICATE', authority), server: save('server.pem', 'CERTIFICATE', server) }
}

test('a key of another kind signs nothing', () => {
  const { privateKey, publicKey } = generateKeyPairSync('x25519')
  const options = { privateKey, publicKey, commonName: 'x', serial: Uint8Array.of(1), ...dates }
  expect(() => selfSignedCertificate(options)).toThrow('a key of this kind signs no certificates here')
})

describeWith(['openssl'], 'by the openssl program', () => {
  test.each(Object.keys(keyOf))('a chain of an authority with %s is accepted in strict reading', async (kind) => {
    const { authority, server } = issue(keyOf[kind]?.() as KeyObject)
    const verify = (...args: string[]) =>
      run(['openssl', 'verify', '-x509_strict', '-CAfile', authority, '-purpose', ...args, server])
    expect(await verify('sslserver')).toMatchObject({ code: 0, stdout: `${server}: OK\n` })
    expect((await verify('sslclient')).code).toBe(2)
    for (const name of ['registry.example', 'other.team.example', 'localhost']) {
      expect(await verify('sslserver', '-verify_hostname', name)).toMatchObject({ code: 0 })
    }
    for (const ip of ['192.0.2.1', '::1', '2001:db8::5']) {
      expect(await verify('sslserver', '-verify_ip', ip)).toMatchObject({ code: 0 })
    }
    expect((await verify('sslserver', '-verify_hostname', 'elsewhere')).stderr).toContain('hostname mismatch')
    expect((await verify('sslserver', '-verify_ip', '192.0.2.2')).stderr).toContain('IP address mismatch')
  })

  test('what stands in them', async () => {
    const { authority, server } = issue(keyOf['P-256']?.() as KeyObject)
    const show = async (file: string) => {
      const text = await must(['openssl', 'x509', '-in', file, '-noout', '-ext', EXTENSIONS])
      return text
        .replace(/([0-9A-F]{2}:){10,}[0-9A-F]{2}/g, 'ID')
        .split('\n')
        .map((line) => line.trim())
        .join('\n')
    }
    expect(await show(authority)).toBe(`X509v3 Basic Constraints: critical
CA:TRUE, pathlen:0
X509v3 Key Usage: critical
Certificate Sign, CRL Sign
X509v3 Extended Key Usage:
TLS Web Server Authentication
X509v3 Subject Key Identifier:
ID
`)
    expect(await show(server)).toBe(`X509v3 Basic Constraints: critical
CA:FALSE
X509v3 Key Usage: critical
Digital Signature
X509v3 Extended Key Usage:
TLS Web Server Authentication
X509v3 Subject Key Identifier:
ID
X509v3 Authority Key Identifier:
ID
X509v3 Subject Alternative Name:
DNS:localhost, DNS:registry.example, DNS:*.team.example, IP Address:192.0.2.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:0:0:5
`)
    const names = await must(['openssl', 'x509', '-in', server, '-noout', '-serial', '-subject', '-issuer'])
    expect(names).toBe('serial=8001\nsubject=CN = Berth\nissuer=CN = An authority\n')
  })

  test('an authority of the same name with another key did not sign it', async () => {
    const { server } = issue(keyOf['P-256']?.() as KeyObject)
    const privateKey = keyOf['P-256']?.() as KeyObject
    const publicKey = createPublicKey(privateKey)
    const der = authorityCertificate({
      privateKey,
      publicKey,
      commonName: 'An authority',
      serial: Uint8Array.of(9),
      ...dates,
    })
    const other = save('other.pem', 'CERTIFICATE', der)
    expect((await run(['openssl', 'verify', '-CAfile', other, server])).code).toBe(2)
  })

  test.each(Object.keys(keyOf))('a request with %s', async (kind) => {
    const privateKey = keyOf[kind]?.() as KeyObject
    const long = `${'a'.repeat(60)}.example`
    const file = save('request.pem', 'CERTIFICATE REQUEST', certificationRequest(privateKey, ['r.example', long]))
    const { code, stdout, stderr } = await run(['openssl', 'req', '-in', file, '-noout', '-verify', '-text'])
    expect({ code, verified: `${stdout}${stderr}`.includes('verify OK') }).toEqual({ code: 0, verified: true })
    expect(stdout).toContain('Subject: CN = r.example\n')
    expect(stdout).toContain(`DNS:r.example, DNS:${long}\n`)
    const nameless = save('long.pem', 'CERTIFICATE REQUEST', certificationRequest(privateKey, [long]))
    expect(await must(['openssl', 'req', '-in', nameless, '-noout', '-text', '-verify'])).toMatch(/Subject: *\n/)
  })
})

const EXTENSIONS =
  'basicConstraints,keyUsage,extendedKeyUsage,subjectKeyIdentifier,authorityKeyIdentifier,subjectAltName'
