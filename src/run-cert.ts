import type { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { connect } from 'node:tls'
import { renewOwn } from './app-certificates.ts'
import type { Config } from './config/config.ts'
import { OWN_PAIR } from './config/resolve-http-tls.ts'
import { RENEWAL_PATH } from './http/renewal.ts'
import { askServer } from './run-control.ts'
import { AUTHORITY_FILE, readAuthority } from './tls/authority.ts'
import { certificatesIn, namesOf } from './tls/pair-file.ts'

export {
  SYSTEM_STORES,
  systemFile,
  TRUST_NOTES,
  TRUST_TARGETS,
  type TrustFile,
  type TrustTarget,
  trustFiles,
  trustHost,
} from './tls/trust-files.ts'
export { type Installed, installTrust, systemStore } from './tls/trust-install.ts'

/** Certificates of a server, for the command line. */
export interface ServerCertificates {
  /** Where the server's own is, and what it holds; undefined: there is none yet. */
  server: { file: string; certificate: X509Certificate; names: string[] } | undefined
  /** Berth's own authority, where that signed it. */
  authority: { file: string; certificate: X509Certificate } | undefined
}

/** By the configuration; where that says nothing of TLS, what `serve --tls auto` made in the data directory. @throws Error that names a damaged file */
export async function readCertificates(config: Config): Promise<ServerCertificates> {
  const own = ownPair(config)
  const file = config.http.tls?.certificate ?? own
  const authority = file === own ? await readAuthority(dirname(own)) : undefined
  return {
    server: existsSync(file) ? readServer(file) : undefined,
    authority: authority && { file: join(dirname(own), AUTHORITY_FILE), certificate: authority },
  }
}

function readServer(file: string): ServerCertificates['server'] {
  const [certificate] = certificatesIn(readFileSync(file, 'utf8'))
  if (certificate === undefined) throw new Error(`${file} holds no certificate in PEM`)
  return { file, certificate, names: namesOf(certificate) }
}

/** `server`: the one that runs has renewed, and uses it; `here`: it will, when it starts. @throws Error with a text for the user */
export async function renewCertificates(config: Config, options: { authority: boolean }): Promise<'server' | 'here'> {
  if (!options.authority) {
    const answer = await askServer(
      config.data.directory,
      new Request(`http://berth${RENEWAL_PATH}`, { method: 'POST' }),
    )
    if (answer?.ok === true) return 'server'
    if (answer !== undefined) throw new Error(String(((await answer.json()) as { detail?: unknown }).detail))
  }
  if (config.http.tls !== undefined && config.http.tls.managed?.kind !== 'auto') {
    throw new Error(
      config.http.tls.managed === undefined
        ? `Berth did not make ${config.http.tls.certificate}; a server reads it again when it changes`
        : 'the server that runs asks for certificates of an authority; start it first',
    )
  }
  const file = ownPair(config)
  if (!existsSync(join(dirname(file), AUTHORITY_FILE))) {
    throw new Error(
      `there is no authority in ${dirname(file)}; berth serve --tls auto makes one (--data names the data directory)`,
    )
  }
  await renewOwn(resolve(config.data.directory), file, { ...options, now: Date.now })
  return 'here'
}

/** The authority that a server hands out, if its fingerprint is the expected one. @throws Error with a text for the user */
export async function fetchAuthority(url: string, fingerprint: string): Promise<string> {
  const response = await fetch(url, {
    tls: { rejectUnauthorized: false },
    redirect: 'error',
    signal: AbortSignal.timeout(30_000),
  })
  const text = await response.text()
  const [certificate] = response.ok ? certificatesIn(text) : []
  if (certificate === undefined)
    throw new Error(`${url} gives no certificate (status ${response.status}); is it a Berth with TLS of its own?`)
  if (plain(certificate.fingerprint256) !== plain(fingerprint)) {
    if (plain(await servedFingerprint(new URL(url))) === plain(fingerprint)) {
      throw new Error(
        `${fingerprint} is the fingerprint of the server's own certificate, which is renewed; give that of its authority, which berth cert show prints there beside it`,
      )
    }
    throw new Error(
      `the certificate at ${url} has the fingerprint ${certificate.fingerprint256}, which is not the expected one: somebody may be in between; nothing was done`,
    )
  }
  return certificate.toString()
}

/** Of the certificate that a server shows; empty where it shows none. */
async function servedFingerprint({ hostname, port }: URL): Promise<string> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const socket = connect({
    host,
    port: Number(port || 443),
    rejectUnauthorized: false,
    ...(isIP(host) ? {} : { servername: host }),
  })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(30_000) })
    return socket.getPeerCertificate().fingerprint256 ?? ''
  } catch {
    return ''
  } finally {
    socket.destroy()
  }
}

/** The certificates of a PEM text, without keys and remarks. @throws Error with a text for the user when there is none */
export function onlyCertificates(pem: string, path: string): string {
  const found = certificatesIn(pem)
  if (found.length === 0) throw new Error(`${path} holds no certificate in PEM`)
  return found.map((certificate) => certificate.toString()).join('')
}

/** SHA-256 in hexadecimal, with or without colons. */
export function plain(fingerprint: string): string {
  return fingerprint
    .replace(/^sha-?256[:=]/i, '')
    .replaceAll(':', '')
    .toLowerCase()
}

function ownPair({ data }: Config): string {
  return join(resolve(data.directory), OWN_PAIR)
}
