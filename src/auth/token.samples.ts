import { constants, createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { loadSigningKey, type SigningKey } from './keys.ts'
import { createTrust, type TrustOptions } from './trust.ts'
import { createVerify, type Verification } from './verify.ts'

export const NOW = Date.parse('2026-03-01T00:00:00Z')
export const now = () => NOW
export const iat = NOW / 1000

export function makeKey(): SigningKey & { pem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const notBefore = new Date(NOW - 86_400_000)
  const notAfter = new Date(NOW + 86_400_000)
  const serial = Uint8Array.of(1)
  const der = selfSignedCertificate({ privateKey, publicKey, commonName: 'x', serial, notBefore, notAfter })
  const pem = toPem('CERTIFICATE', der)
  return { ...loadSigningKey(pem, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()), pem }
}

export const trusted = makeKey()
export const other = makeKey()
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const rsaJwk = { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa' }
export const ed = generateKeyPairSync('ed25519')
export const secret = Buffer.alloc(32, 7)
export const jwks = JSON.stringify({
  keys: [
    rsaJwk,
    { ...ed.publicKey.export({ format: 'jwk' }), kid: 'ed' },
    { kty: 'oct', k: secret.toString('base64url'), kid: 'hmac' },
    { ...rsaJwk, kid: 'encryption', use: 'enc' },
    { ...rsaJwk, kid: 'only256', alg: 'RS256' },
  ],
})

export const access = [{ type: 'repository', name: 'x', actions: ['pull'] }]
export const claims = { iss: 'Auth', sub: 'admin', aud: 'reg', exp: iat + 900, nbf: iat - 10, iat, jti: '1', access }

export const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
export type Sign = (input: Buffer) => Buffer
export const es =
  (key: KeyObject): Sign =>
  (input) =>
    sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
export const byTrusted = es(trusted.privateKey)

export function token(changes: object = {}, header: object = {}, signer: Sign = byTrusted): string {
  const input = `${encode({ typ: 'JWT', alg: 'ES256', kid: trusted.ids.libtrust, ...header })}.${encode({ ...claims, ...changes })}`
  return `${input}.${signer(Buffer.from(input)).toString('base64url')}`
}

export function verifier(trust: Partial<TrustOptions> = {}, clock: () => number = now) {
  const options = { rootCertBundle: trusted.pem, jwks, now: clock, ...trust }
  return createVerify({ trust: createTrust(options), service: 'reg', issuer: 'Auth', now: clock })
}
export const verify = verifier()

export function reasonOf(verification: Verification): string {
  return verification.kind === 'valid' ? 'valid' : verification.reason
}

export const leaf64 = trusted.certificates[0]?.raw.toString('base64') ?? ''
export const otherLeaf64 = other.certificates[0]?.raw.toString('base64') ?? ''
export const rs =
  (bits: number): Sign =>
  (input) =>
    sign(`sha${bits}`, input, rsa.privateKey)
export const ps: Sign = (input) =>
  sign('sha256', input, {
    key: rsa.privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  })
export const hs =
  (key: string | Buffer): Sign =>
  (input) =>
    createHmac('sha256', key).update(input).digest()
