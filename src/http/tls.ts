import { createPrivateKey, X509Certificate } from 'node:crypto'

/** PEM files of a server's certificate and key (which may be one file), and what it asks of clients. */
export interface Tls {
  certificate: string
  key: string
  minVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Suites of TLS 1.2 and curves, in OpenSSL's names, separated by colons; not there: every safe one. */
  ciphers?: string
  curves?: string
  clients?: {
    /** PEM files of the authorities whose certificates clients may show. */
    authorities: readonly string[]
    /** `require`: a valid certificate, or no connection. `request`: asked for, and not looked at. */
    mode: 'require' | 'request'
  }
}

/** The runtime takes the numbers of the protocol (RFC 8446 section 4.2.1), not their names. */
const MIN_VERSION = { 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const

/** What the runtime's listener takes. @throws Error with a text for the user when a file cannot be used. */
export async function tlsOptions(tls: Tls) {
  const cert = await read('certificate', tls.certificate)
  // One file with both is replaced at once: read twice, it might be two.
  const key = tls.key === tls.certificate ? cert : await read('key', tls.key)
  return {
    cert: checked('certificate', tls.certificate, cert, (pem) => new X509Certificate(pem)),
    key: checked('key', tls.key, key, (pem) => createPrivateKey(pem)),
    minVersion: MIN_VERSION[tls.minVersion],
    ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
    ...(tls.curves === undefined ? {} : { ecdhCurve: tls.curves }),
    ...(tls.clients === undefined ? {} : await clientOptions(tls.clients)),
  }
}

/**
 * With `rejectUnauthorized` the runtime ends the connection of a client without a valid certificate (of these authorities
 * alone, for client authentication, now valid) before any request of it is handled; without, it looks at none.
 */
async function clientOptions({ authorities, mode }: NonNullable<Tls['clients']>) {
  const ca = await Promise.all(authorities.map(readAuthorities))
  if (mode === 'require') refuseLoneIntermediates(ca.flat())
  return {
    // One alone would have to be a text: an empty list would mean the authorities of the system.
    ...(ca.length === 0 ? {} : { ca: ca.flat().map(({ pem }) => pem) }),
    requestCert: true,
    rejectUnauthorized: mode === 'require',
  }
}

interface Authority {
  path: string
  pem: string
  certificate: X509Certificate
}

async function readAuthorities(path: string): Promise<Authority[]> {
  const text = await read('client authority', path)
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  if (blocks.length === 0) throw new Error(`the TLS client authority ${path} holds no certificate in PEM`)
  return blocks.map((pem) => {
    checked('client authority', path, pem, (block) => new X509Certificate(block))
    return { path, pem: `${pem}\n`, certificate: new X509Certificate(pem) }
  })
}

/** OpenSSL follows a chain to its root: with an intermediate alone nobody could connect, and only a log of clients would say so. */
function refuseLoneIntermediates(authorities: readonly Authority[]): void {
  for (const { path, certificate } of authorities) {
    const isComplete = authorities.some((other) => certificate.checkIssued(other.certificate))
    if (isComplete) continue
    throw new Error(
      `the TLS client authority ${path} holds ${nameOf(certificate)}, which is no root: add the certificate of its issuer to http.tls.clientcas, or clients could not be verified`,
    )
  }
}

function nameOf({ subject }: X509Certificate): string {
  return JSON.stringify(subject.replaceAll('\n', ', '))
}

async function read(what: string, path: string): Promise<string> {
  try {
    return await Bun.file(path).text()
  } catch (cause) {
    throw new Error(`cannot read the TLS ${what} ${path}: ${cause instanceof Error ? cause.message : cause}`)
  }
}

function checked(what: string, path: string, pem: string, parse: (pem: string) => unknown): string {
  try {
    parse(pem)
    return pem
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`cannot use the TLS ${what} ${path}: ${reason}`, { cause })
  }
}
