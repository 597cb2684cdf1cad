import { createPrivateKey, createPublicKey } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { selfSignedCertificate, toPem } from '../../src/x509/certificate.ts'
import { makePair, type Pair } from '../certificates.ts'
import { must, program } from '../programs.ts'

/** A pair that signs tokens, and what goes into a registry's `rootcertbundle`; all PEM files. */
export interface TokenPair extends Pair {
  bundle: string
}

/** What `openssl req -newkey` takes. */
export const KEYS = {
  'RSA 2048': { newKey: ['rsa:2048'], algorithm: 'RS256' },
  'EC P-256': { newKey: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], algorithm: 'ES256' },
} as const

export type KeyName = keyof typeof KEYS

/** The bundle is the certificate itself, as docker_auth's users have it. */
export async function selfSigned(folder: string, key: KeyName): Promise<TokenPair> {
  const pair = await makePair(folder, { newKey: KEYS[key].newKey, names: [] })
  return { ...pair, bundle: pair.certificate }
}

/** The same after its end: it was valid for a year, and that is over. */
export async function expired(folder: string, key: KeyName): Promise<TokenPair> {
  const pair = await selfSigned(folder, key)
  const privateKey = createPrivateKey(readFileSync(pair.key))
  const day = 86_400_000
  const der = selfSignedCertificate({
    privateKey,
    publicKey: createPublicKey(privateKey),
    commonName: 'localhost',
    serial: Uint8Array.of(1),
    notBefore: new Date(Date.now() - 400 * day),
    notAfter: new Date(Date.now() - 35 * day),
  })
  writeFileSync(pair.certificate, toPem('CERTIFICATE', der))
  return pair
}

/** The bundle holds only the authority that signed the certificate. */
export async function signedByAuthority(folder: string, key: KeyName): Promise<TokenPair> {
  mkdirSync(folder, { recursive: true })
  const authority = await makePair(join(folder, 'authority'), {
    commonName: 'Example Authority',
    names: [],
    newKey: KEYS[key].newKey,
  })
  const pair = { certificate: join(folder, 'token.pem'), key: join(folder, 'token.key') }
  await must([
    ...[program('openssl'), 'req', '-x509', '-nodes', '-days', '30', '-newkey', ...KEYS[key].newKey],
    ...['-CA', authority.certificate, '-CAkey', authority.key, '-keyout', pair.key, '-out', pair.certificate],
    ...['-subj', '/CN=Example Token Server', '-addext', 'basicConstraints=critical,CA:FALSE'],
  ])
  return { ...pair, bundle: authority.certificate }
}
