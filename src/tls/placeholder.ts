import { createPublicKey, randomBytes } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { writeDurably } from '../files/durable.ts'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { keyPem, newPrivateKey } from './pair-file.ts'

const DAY = 86_400_000

/**
 * A self-signed certificate for nobody, with its key: what a server shows until the authority has given it a real one, so
 * that it can be asked whether it lives, and its port is its own.
 */
export async function writePlaceholder(path: string, now: number): Promise<void> {
  const privateKey = await newPrivateKey()
  const der = selfSignedCertificate({
    privateKey,
    publicKey: createPublicKey(privateKey),
    commonName: 'Berth waits for its certificate',
    serial: Uint8Array.of(1, ...randomBytes(8)),
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + 365 * DAY),
  })
  await writeDurably(dirname(path), basename(path), keyPem(privateKey) + toPem('CERTIFICATE', der), 0o600)
}
