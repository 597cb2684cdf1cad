import { afterAll, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-doctor-'))
afterAll(() => rmSync(folder, { recursive: true }))

const DAY = 86_400_000
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

function certificate(name: string, days: number, serial: number): string {
  const dates = { notBefore: new Date(Date.now() - 100 * DAY), notAfter: new Date(Date.now() + days * DAY) }
  const der = selfSignedCertificate({
    privateKey,
    publicKey,
    commonName: 'tokens',
    serial: Uint8Array.of(serial),
    ...dates,
  })
  return write(name, toPem('CERTIFICATE', der))
}

const key = write('key.pem', privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
const old = certificate('old.pem', -1, 1)
const fresh = certificate('fresh.pem', 100, 2)

async function doctor(tokenCertificate: string, ...more: string[]): Promise<{ code: number; out: string }> {
  const text = `server: {addr: "127.0.0.1:0"}\ntoken: {issuer: I, expiration: 900, certificate: ${tokenCertificate}, key: ${key}}\nusers: {}\nacl: []\n`
  const config = write('auth_config.yml', text)
  const main = join(import.meta.dir, '..', 'main.ts')
  const child = Bun.spawn([process.execPath, main, 'doctor', '--auth-config', config, ...more], {
    stdout: 'pipe',
    stderr: 'ignore',
  })
  const [code, out] = await Promise.all([child.exited, child.stdout.text()])
  return { code, out }
}

test('a renewed certificate with an old bundle is a problem, named with its remedy', async () => {
  const { code, out } = await doctor(fresh, '--bundle', old)
  expect(code).toBe(1)
  expect(out).toContain('PROBLEM: the rootcertbundle has an older certificate of the same key')
  expect(out).toContain('or set token.x5c: never.')
})

test('an expired certificate is a warning', async () => {
  const { code, out } = await doctor(old, '--bundle', old)
  expect(code).toBe(0)
  expect(out).toContain('warning: the token certificate (CN=tokens) expired on ')
  expect(out).toContain('ok: a registry with this rootcertbundle takes the tokens by the key id ')
})

test('a key that is as it should be is ok', async () => {
  expect((await doctor(fresh, '--bundle', fresh)).out).toBe(
    'ok: a registry with this rootcertbundle takes the tokens by the certificate that they carry\n',
  )
})

test('a bundle that is not there is a problem', async () => {
  const { code, out } = await doctor(fresh, '--bundle', join(folder, 'nowhere.pem'))
  expect(code).toBe(1)
  expect(out).toContain('nowhere.pem is not there')
})
