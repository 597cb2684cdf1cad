import { createHmac, createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { libtrustId, thumbprint } from '../../src/auth/key-id.ts'
import { makePair } from '../certificates.ts'

/** A token server of somebody else's: an RSA key, its certificate, and whatever tokens a test wants signed. */
export interface Issuer {
  key: KeyObject
  publicKey: KeyObject
  pem: string
  /** DER, in base64, as `x5c` holds it. */
  certificate: string
  /** As docker_auth names it to registry:2. */
  kid: string
  thumbprint: string
}

export const SERVICE = 'Docker registry'
export const ISSUER = 'Acme auth server'
export const REALM = 'https://localhost:5001/auth'

/** `folder` gets its files. */
export async function createIssuer(folder: string): Promise<Issuer> {
  const pair = await makePair(folder, { commonName: 'auth.example', names: [] })
  const pem = readFileSync(pair.certificate, 'utf8')
  const certificate = new X509Certificate(pem)
  return {
    key: createPrivateKey(readFileSync(pair.key)),
    publicKey: certificate.publicKey,
    pem,
    certificate: certificate.raw.toString('base64'),
    kid: libtrustId(certificate.publicKey),
    thumbprint: thumbprint(certificate.publicKey),
  }
}

/** The environment of a registry that trusts an issuer whose certificate goes into `path`. */
export function trusting(issuer: Issuer, path: string): Record<string, string> {
  writeFileSync(path, issuer.pem)
  return {
    REGISTRY_AUTH: 'token',
    REGISTRY_AUTH_TOKEN_REALM: REALM,
    REGISTRY_AUTH_TOKEN_SERVICE: SERVICE,
    REGISTRY_AUTH_TOKEN_ISSUER: ISSUER,
    REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: path,
  }
}

export interface TokenParts {
  header?: Record<string, unknown>
  claims?: Record<string, unknown>
  key?: KeyObject
}

const HASHES: Record<string, string> = { RS256: 'sha256', RS384: 'sha384', RS512: 'sha512' }

/** A token as docker_auth makes it, with parts replaced; a part that is undefined is left out. */
export function tokenOf(issuer: Issuer, access: unknown, parts: TokenParts = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const header = { typ: 'JWT', alg: 'RS256', kid: issuer.kid, ...parts.header }
  const claims = {
    iss: ISSUER,
    sub: 'admin',
    aud: SERVICE,
    exp: now + 900,
    nbf: now - 10,
    iat: now,
    jti: '1',
    access,
    ...parts.claims,
  }
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${signatureOf(String(header.alg), parts.key ?? issuer.key, input).toString('base64url')}`
}

function signatureOf(algorithm: string, key: KeyObject, input: string): Buffer {
  const hash = HASHES[algorithm]
  if (hash !== undefined) return sign(hash, Buffer.from(input), key)
  if (algorithm === 'PS256') return sign('sha256', Buffer.from(input), { key, padding: 6, saltLength: 32 })
  if (algorithm === 'HS256') return createHmac('sha256', 'secret').update(input).digest()
  return Buffer.alloc(algorithm === 'none' ? 0 : 64)
}

export const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` })

export const repository = (name: string, ...actions: string[]) => ({ type: 'repository', name, actions })
