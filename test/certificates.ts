import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { must, program } from './programs.ts'

export interface Pair {
  /** PEM files. */
  certificate: string
  key: string
}

export interface PairOptions {
  commonName?: string
  /** subjectAltName entries (`DNS:localhost`); an empty list leaves the extension out, as a plain `openssl req` does. */
  names?: readonly string[]
  /** What `openssl req -newkey` takes. */
  newKey?: readonly string[]
}

/** Makes a self-signed pair `server.pem` and `server.key` in `folder` through the openssl program: RSA 2048, for localhost. */
export async function makePair(folder: string, options: PairOptions = {}): Promise<Pair> {
  const { commonName = 'localhost', names = ['DNS:localhost', 'IP:127.0.0.1'], newKey = ['rsa:2048'] } = options
  mkdirSync(folder, { recursive: true })
  const pair = { certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') }
  await must([
    ...[program('openssl'), 'req', '-x509', '-nodes', '-days', '365', '-newkey', ...newKey],
    ...['-keyout', pair.key, '-out', pair.certificate, '-subj', `/CN=${commonName}`],
    ...(names.length === 0 ? [] : ['-addext', `subjectAltName=${names.join(',')}`]),
  ])
  return pair
}
