import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { issuedCertificate, selfSignedCertificate, toPem } from '../src/x509/certificate.ts'
import type { Pair } from './certificates.ts'

const DAY = 86_400_000

export interface Authority {
  /** PEM file of its certificate. */
  file: string
  /** Makes `NAME.crt` and `NAME.key` beside it. */
  issue(name: string, options: IssueOptions): Pair
}

export interface IssueOptions {
  names?: readonly string[]
  purposes?: readonly ('server' | 'client')[]
  /** Days from now; a year ago until tomorrow unless told. */
  from?: number
  until?: number
}

/** An authority of a test's own, `NAME.crt` in the folder. */
export function makeAuthority(folder: string, name: string): Authority {
  mkdirSync(folder, { recursive: true })
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const file = join(folder, `${name}.crt`)
  const own = { ...pair, commonName: name, ...validity(-365, 365) }
  writeFileSync(file, toPem('CERTIFICATE', selfSignedCertificate(own)))
  return {
    file,
    issue(leaf, { names = [], purposes = ['server'], from = -365, until = 1 }) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const issuer = { ...pair, commonName: name }
      const der = issuedCertificate({ issuer, publicKey, commonName: leaf, names, purposes, ...validity(from, until) })
      const made = { certificate: join(folder, `${leaf}.crt`), key: join(folder, `${leaf}.key`) }
      writeFileSync(made.certificate, toPem('CERTIFICATE', der))
      writeFileSync(made.key, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
      return made
    },
  }
}

function validity(from: number, until: number): { serial: Uint8Array; notBefore: Date; notAfter: Date } {
  const serial = Uint8Array.of(1, ...randomBytes(8))
  return { serial, notBefore: new Date(Date.now() + from * DAY), notAfter: new Date(Date.now() + until * DAY) }
}
