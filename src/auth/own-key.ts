import { createPublicKey, generateKeyPair, type KeyObject, randomBytes, type X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readIfThere, writeDurably } from '../files/durable.ts'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import {
  loadSigningKey,
  parseCertificates,
  parsePrivateKey,
  type SigningAlgorithm,
  type SigningKey,
  sameKey,
} from './keys.ts'

export const OWN_KEY_FILE = 'berth-token.key'
export const OWN_CERTIFICATE_FILE = 'berth-token.crt'

const DAY = 86_400_000
/** A clock a day behind must not refuse the certificate on its first day. */
const BEFORE = DAY
const LIFE = 3650 * DAY
/** As `openssl req -newkey rsa` and the guides for registries make it. */
const RSA_BITS = 2048

/**
 * The signing pair that Berth makes for itself: `berth-token.key` (0600) and `berth-token.crt` (certificates for the
 * `rootcertbundle` of other registries, a self-signed P-256 one at first) in the directory. Made once, synced before it
 * is used, and the same at each later start. The caller owns the directory.
 *
 * @param now milliseconds since the epoch.
 * @throws Error when a file is damaged (it is never replaced) or cannot be written.
 */
export async function makeOwnKey(directory: string, options: { now: () => number }): Promise<SigningKey> {
  await mkdir(directory, { recursive: true })
  const keyPath = join(directory, OWN_KEY_FILE)
  let keyPem = await readIfThere(keyPath)
  if (keyPem === undefined) {
    keyPem = pemOf(await generatePrivateKey('ES256'))
    await writeDurably(directory, OWN_KEY_FILE, keyPem, 0o600)
  }
  let bundle = await readIfThere(join(directory, OWN_CERTIFICATE_FILE))
  if (bundle === undefined) {
    // Also after a crash between the two: the key stays what it is.
    bundle = certify(
      parseOwn(keyPath, () => parsePrivateKey(keyPem)),
      options.now(),
    )
    await writeDurably(directory, OWN_CERTIFICATE_FILE, bundle, 0o644)
  }
  return parseOwn(keyPath, () => loadFrom(bundle, keyPem))
}

/** The file names certificates of other keys of the ring, too; after a crash the key's own may not be the first. */
function loadFrom(bundle: string, keyPem: string): SigningKey {
  const publicKey = createPublicKey(parsePrivateKey(keyPem))
  const own = parseCertificates(bundle).find((certificate) => sameKey(certificate.publicKey, publicKey))
  return loadSigningKey(own === undefined ? bundle : certificatePem(own), keyPem)
}

/** A pair of Berth's own, nowhere stored yet. */
export async function newSigningKey(algorithm: SigningAlgorithm, now: number): Promise<SigningKey> {
  const privateKey = await generatePrivateKey(algorithm)
  return loadSigningKey(certify(privateKey, now), pemOf(privateKey))
}

async function generatePrivateKey(algorithm: SigningAlgorithm): Promise<KeyObject> {
  const generate = promisify(generateKeyPair)
  switch (algorithm) {
    case 'RS256':
      return (await generate('rsa', { modulusLength: RSA_BITS })).privateKey
    case 'EdDSA':
      return (await generate('ed25519')).privateKey
    case 'ES256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey
    case 'ES384':
      return (await generate('ec', { namedCurve: 'P-384' })).privateKey
    case 'ES512':
      return (await generate('ec', { namedCurve: 'P-521' })).privateKey
  }
}

export function pemOf(privateKey: KeyObject): string {
  return privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
}

export function certificatePem(certificate: X509Certificate): string {
  return toPem('CERTIFICATE', certificate.raw)
}

/** @throws Error that names the file. */
export function parseOwn<T>(path: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new Error(`Berth's own token key ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

function certify(privateKey: KeyObject, now: number): string {
  const serial = randomBytes(16)
  // RFC 5280 section 4.1.2.2: positive.
  serial[0] = (serial[0] ?? 0) & 0x7f
  const der = selfSignedCertificate({
    privateKey,
    publicKey: createPublicKey(privateKey),
    commonName: 'Berth token signing',
    serial,
    notBefore: new Date(now - BEFORE),
    notAfter: new Date(now + LIFE),
  })
  return toPem('CERTIFICATE', der)
}
