import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { selfSignedCertificate, toPem } from './certificate.ts'
import { loadSigningKey, parsePrivateKey, type SigningKey } from './keys.ts'

export const OWN_KEY_FILE = 'berth-token.key'
export const OWN_CERTIFICATE_FILE = 'berth-token.crt'

const DAY = 86_400_000
/** A clock a day behind must not refuse the certificate on its first day. */
const BEFORE = DAY
const LIFE = 3650 * DAY

/**
 * The signing pair that Berth makes for itself: `berth-token.key` (0600) and `berth-token.crt` (a self-signed P-256
 * certificate for the `rootcertbundle` of other registries) in the directory. Made once, synced before it is used, and
 * the same at each later start. The caller owns the directory.
 *
 * @param now milliseconds since the epoch.
 * @throws Error when a file is damaged (it is never replaced) or cannot be written.
 */
export async function makeOwnKey(directory: string, options: { now: () => number }): Promise<SigningKey> {
  await mkdir(directory, { recursive: true })
  const keyPath = join(directory, OWN_KEY_FILE)
  const certificatePath = join(directory, OWN_CERTIFICATE_FILE)
  let keyPem = await readIfThere(keyPath)
  if (keyPem === undefined) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    keyPem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    await writeDurably(directory, OWN_KEY_FILE, keyPem, 0o600)
  }
  let certificatePem = await readIfThere(certificatePath)
  if (certificatePem === undefined) {
    // Also after a crash between the two: the key stays what it is.
    certificatePem = certify(
      parseOwn(keyPath, () => parsePrivateKey(keyPem)),
      options.now(),
    )
    await writeDurably(directory, OWN_CERTIFICATE_FILE, certificatePem, 0o644)
  }
  return parseOwn(keyPath, () => loadSigningKey(certificatePem, keyPem))
}

function parseOwn<T>(path: string, parse: () => T): T {
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

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Bytes first (synced), then the name (synced): a crash leaves the whole file or none. */
async function writeDurably(directory: string, name: string, text: string, mode: number): Promise<void> {
  const temporary = join(directory, `.${name}.new`)
  const file = await open(temporary, 'w', mode)
  try {
    await file.chmod(mode)
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(directory, name))
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
