import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  X509Certificate,
} from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere, writeDurably } from '../files/durable.ts'
import { authorityCertificate, issuedCertificate, toPem } from '../x509/certificate.ts'
import { beginOf, endOf, keyPem, newPrivateKey } from './pair-file.ts'

export const AUTHORITY_FILE = 'ca.crt'
const KEY_FILE = 'ca.key'

const DAY = 86_400_000
/** A clock a day behind must not refuse the certificate on its first day. */
const BEFORE = DAY
/** Before this program was: machines without a clock of their own begin at 1970. */
const EARLIEST = Date.UTC(2026, 0, 1)
const AUTHORITY_LIFE = 3650 * DAY
/** Some clients take no more than 398 days; renewal is nobody's work here, so shorter is better. */
const SERVER_LIFE = 90 * DAY

/** Berth's own certificate authority, whose only use is to sign the certificate of this server. */
export interface Authority {
  certificate: X509Certificate
  /** For clients, to trust. */
  pem: string
  /** A new key and a certificate for these names, as PEM. @throws Error when the authority has ended. */
  issue(names: readonly string[], now: number): Promise<string>
}

/**
 * The authority of a folder (0700), which is made where there is none: `ca.key` (0600) and `ca.crt`. Its names are not
 * constrained, because a machine's names and addresses change and every client would have to trust anew; but it signs for
 * servers alone, and no further authority.
 * @throws Error with a text for the operator when a file is damaged (it is never replaced) or cannot be written.
 */
export async function openAuthority(directory: string, now: number): Promise<Authority> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const keyPath = join(directory, KEY_FILE)
  const path = join(directory, AUTHORITY_FILE)
  const [keyText, text] = [await readIfThere(keyPath), await readIfThere(path)]
  if (keyText === undefined && text !== undefined) {
    throw new Error(`${keyPath} is gone, but ${path} is there: restore it, or remove ${path} to begin anew`)
  }
  if (keyText !== undefined) {
    const privateKey = parse(keyPath, () => createPrivateKey(keyText))
    if (text !== undefined) return authorityOf(directory, privateKey, text)
    // A crash came between the two: the key stays what it is.
    return authorityOf(directory, privateKey, await certify(directory, privateKey, now))
  }
  return await makeAuthority(directory, now)
}

/** A new authority in place of what is there; clients must trust it anew. */
export async function makeAuthority(directory: string, now: number): Promise<Authority> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const privateKey = await newPrivateKey()
  refuseWrongClock(now)
  await writeDurably(directory, KEY_FILE, keyPem(privateKey), 0o600)
  return authorityOf(directory, privateKey, await certify(directory, privateKey, now))
}

/** The certificate of a folder's authority; undefined: none was made yet. @throws Error that names a damaged file. */
export async function readAuthority(directory: string): Promise<X509Certificate | undefined> {
  const path = join(directory, AUTHORITY_FILE)
  const text = await readIfThere(path)
  return text === undefined ? undefined : parse(path, () => new X509Certificate(text))
}

function authorityOf(directory: string, privateKey: KeyObject, text: string): Authority {
  const path = join(directory, AUTHORITY_FILE)
  const certificate = parse(path, () => new X509Certificate(text))
  const publicKey = createPublicKey(privateKey)
  const commonName = commonNameOf(publicKey)
  if (!publicKey.equals(certificate.publicKey) || certificate.subject !== `CN=${commonName}`) {
    throw new Error(
      `${path} does not belong to ${KEY_FILE} beside it, or Berth did not make it: restore the right one, or remove it to have one made for the key`,
    )
  }
  return {
    certificate,
    pem: certificate.toString(),
    async issue(names, now) {
      const notAfter = Math.min(now + SERVER_LIFE, endOf(certificate))
      if (now >= notAfter) {
        throw new Error(`the authority ${path} has ended; berth cert renew --authority makes a new one`)
      }
      const serverKey = await newPrivateKey()
      const der = issuedCertificate({
        issuer: { commonName, privateKey, publicKey },
        publicKey: createPublicKey(serverKey),
        commonName: 'Berth',
        names,
        purposes: ['server'],
        serial: newSerial(),
        notBefore: new Date(Math.max(now - BEFORE, beginOf(certificate))),
        notAfter: new Date(notAfter),
      })
      return keyPem(serverKey) + toPem('CERTIFICATE', der)
    },
  }
}

async function certify(directory: string, privateKey: KeyObject, now: number): Promise<string> {
  refuseWrongClock(now)
  const publicKey = createPublicKey(privateKey)
  const der = authorityCertificate({
    privateKey,
    publicKey,
    commonName: commonNameOf(publicKey),
    serial: newSerial(),
    notBefore: new Date(now - BEFORE),
    notAfter: new Date(now + AUTHORITY_LIFE),
  })
  const pem = toPem('CERTIFICATE', der)
  await writeDurably(directory, AUTHORITY_FILE, pem, 0o644)
  return pem
}

function refuseWrongClock(now: number): void {
  if (now >= EARLIEST) return
  const year = new Date(now).getUTCFullYear()
  throw new Error(
    `the clock of this machine says ${year}: what is signed by it would have ended when it is right; set it first`,
  )
}

/** Of the key alone, so that two authorities in one store never share a name. */
function commonNameOf(publicKey: KeyObject): string {
  const digest = createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex')
  return `Berth authority ${digest.slice(0, 12)}`
}

function newSerial(): Uint8Array {
  const serial = randomBytes(16)
  // RFC 5280 section 4.1.2.2: positive.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x01
  return serial
}

function parse<T>(path: string, parser: () => T): T {
  try {
    return parser()
  } catch (cause) {
    throw new Error(`${path} is damaged (${cause instanceof Error ? cause.message : cause}); restore it`, { cause })
  }
}
