import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { readIfThere } from '../files/durable.ts'
import { canonical } from './machine.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

export interface PairFile {
  privateKey: KeyObject
  leaf: X509Certificate
}

/** For a server or an account: ECDSA with P-256, which every client has. */
export async function newPrivateKey(): Promise<KeyObject> {
  return (await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })).privateKey
}

/** SEC 1 (`EC PRIVATE KEY`), as Go's autocert writes and reads it. */
export function keyPem(privateKey: KeyObject): string {
  return privateKey.export({ format: 'pem', type: 'sec1' }).toString()
}

/** What is in a file with a private key and the chain of its certificate; undefined: there is no such file. @throws Error that names it. */
export async function readPairFile(path: string): Promise<PairFile | undefined> {
  const pem = await readIfThere(path)
  if (pem === undefined) return undefined
  try {
    return parsePair(pem)
  } catch (cause) {
    throw new Error(`${path} is damaged (${cause instanceof Error ? cause.message : cause}); remove it to begin anew`, {
      cause,
    })
  }
}

/** @throws Error when the key is not the first certificate's. */
export function parsePair(pem: string): PairFile {
  const privateKey = createPrivateKey(pem)
  const [first] = certificatesIn(pem)
  if (first === undefined) throw new Error('it holds no certificate')
  if (!createPublicKey(privateKey).equals(first.publicKey)) throw new Error('its key belongs to another certificate')
  return { privateKey, leaf: first }
}

export function certificatesIn(pem: string): X509Certificate[] {
  return (pem.match(CERTIFICATE) ?? []).map((block) => new X509Certificate(block))
}

/** Milliseconds since the epoch. */
export const endOf = (certificate: X509Certificate): number => certificate.validToDate.getTime()
export const beginOf = (certificate: X509Certificate): number => certificate.validFromDate.getTime()

/** With a third of its life left it is time for the next, which leaves weeks for what goes wrong. */
export function isDue(certificate: X509Certificate, now: number): boolean {
  const [begin, end] = [beginOf(certificate), endOf(certificate)]
  return end - now < (end - begin) / 3
}

/** Host names and addresses of its subjectAltName. */
export function namesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '').split(', ').flatMap((entry) => {
    const match = /^(?:DNS|IP Address):(.+)$/.exec(entry)
    return match?.[1] === undefined ? [] : [canonical(match[1])]
  })
}
