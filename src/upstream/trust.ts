import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { readSmallFile } from '../files/read-small-file.ts'
import { UpstreamError } from './error.ts'

/** What a TLS connection to one registry trusts, and shows of itself; PEM. */
export interface Trust {
  ca: string[] | undefined
  cert: string | undefined
  key: string | undefined
}

export interface TrustOptions {
  caFile?: string | undefined
  certFile?: string | undefined
  keyFile?: string | undefined
  /** Folders with a folder a registry: `*.crt` are authorities, `*.cert` and `*.key` a client's pair (docker, "Verify repository client with certificates"). */
  certDirs: readonly string[]
  /** The system's own authorities, the first that is there. */
  systemFiles?: readonly string[]
}

/** Debian and Alpine, RHEL, SUSE. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
]

/** @throws UpstreamError for a file that cannot be read */
export function createTrust(options: TrustOptions): (registry: string) => Trust {
  const { caFile, certFile, keyFile, certDirs, systemFiles = SYSTEM_FILES } = options
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new UpstreamError('usage', 'a client certificate needs both --cert-file and --key-file')
  }
  const known = new Map<string, Trust>()

  function trustOf(registry: string): Trust {
    const folders = certDirs.map((folder) => join(folder, registry)).filter((folder) => existsSync(folder))
    const files = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    const own = [
      ...(caFile === undefined ? [] : [read(caFile)]),
      ...files.filter((file) => file.endsWith('.crt')).map(read),
    ]
    const pair = pairOf(files)
    return {
      // What is trusted besides must be named again: a list takes the place of the default one.
      ca: own.length === 0 ? system() : [...own, ...(system() ?? rootCertificates)],
      cert: certFile === undefined ? pair?.cert : read(certFile),
      key: keyFile === undefined ? pair?.key : read(keyFile),
    }
  }

  function system(): string[] | undefined {
    const file = systemFiles.find((path) => existsSync(path))
    return file === undefined ? undefined : [read(file)]
  }

  return (registry) => {
    const trust = known.get(registry) ?? trustOf(registry)
    known.set(registry, trust)
    return trust
  }
}

/** The first `NAME.cert` that has its `NAME.key` beside it. */
function pairOf(files: readonly string[]): { cert: string; key: string } | undefined {
  for (const file of files) {
    const key = file.replace(/\.cert$/, '.key')
    if (key !== file && files.includes(key)) return { cert: read(file), key: read(key) }
  }
  return undefined
}

/** Bytes; the authorities of a system have some 250 KiB. */
const LONGEST = 16 * 1024 * 1024

function read(path: string): string {
  try {
    return readSmallFile(path, LONGEST).toString('utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UpstreamError('usage', `cannot read the certificate file ${path}: ${reason}`, { cause: error })
  }
}
