import type { KeyObject, X509Certificate } from 'node:crypto'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { OWN_CERTIFICATE_FILE, OWN_KEY_FILE } from '../auth/own-key.ts'
import type { Config, TokenServerConfig } from '../config/config.ts'
import { unreadable } from '../config/files.ts'
import type { Loaded } from '../config/load.ts'
import type { Path } from '../config/node.ts'
import type { Problem } from '../config/problem.ts'
import { readSmallFile } from '../files/read-small-file.ts'
import { certificatesIn } from '../tls/pair-file.ts'
import { type DataFacts, dataFacts } from './data-facts.ts'
import { type PasswordFacts, passwordFacts } from './password-facts.ts'
import { type Settings, textAt } from './settings.ts'

/** What the server's machine has: its configuration, and the files that this names. */
export interface ServerFacts {
  settings: Settings
  problems: readonly Problem[]
  warnings: readonly Problem[]
  /** Undefined where the configuration has problems. */
  tokenServer: TokenServerConfig | undefined
  /** Whether a token server is described, by a file of its own or within the registry's. */
  hasTokenServer: boolean
  /** Whether the registry's own part is at hand, and not the token server's alone. */
  hasRegistry: boolean
  pairs: readonly PairFacts[]
  /** The `rootcertbundle`; undefined: none is named. */
  bundle: FileOf<X509Certificate[]> | undefined
  passwords: readonly PasswordFacts[]
  data: DataFacts | undefined
  /** Free space below which Berth refuses pushes; undefined where the configuration has problems. */
  minFree: Config['space']['minFree'] | undefined
}

/** A file of the configuration: what was read of it, or why it could not be. */
export type FileOf<T> = { key: Path; path: string } & ({ value: T } | { fault: string })

export interface PairFacts {
  use: 'registry' | 'token server' | 'tokens'
  certificate: FileOf<X509Certificate[]>
  key: FileOf<KeyObject>
  /** The key's file may be read by every user. */
  isExposed: boolean
  /** Berth makes it itself. */
  isBerths: boolean
}

export interface ServerInput {
  loaded: Loaded
  config: Partial<Pick<Config, 'tokenServer' | 'data' | 'space'>> | undefined
  authFile: string | undefined
  /** Whether `loaded` is of the token server alone. */
  isTokenServerAlone: boolean
  /** In place of the configuration's rootcertbundle. */
  bundle: string | undefined
}

/** Reads files; never throws. */
export function gatherServer({ loaded, config, authFile, isTokenServerAlone, bundle }: ServerInput): ServerFacts {
  const settings = { root: loaded.effective, authFile }
  const hasTokenServer =
    textAt(settings, ['tokenserver', 'token', 'issuer']) !== undefined || config?.tokenServer !== undefined
  const data = config?.data?.directory ?? textAt(settings, ['storage', 'filesystem', 'rootdirectory'])
  const rootCertBundle = bundle ?? textAt(settings, BUNDLE)
  return {
    settings,
    problems: loaded.problems,
    warnings: loaded.warnings,
    tokenServer: config?.tokenServer,
    hasTokenServer,
    hasRegistry: !isTokenServerAlone,
    pairs: pairsOf(settings, isTokenServerAlone, hasTokenServer, config, data),
    bundle: rootCertBundle === undefined ? undefined : readPem(BUNDLE, rootCertBundle, 'certificate', readCertificates),
    passwords: passwordFacts(settings, config?.tokenServer),
    data: data === undefined || isTokenServerAlone ? undefined : dataFacts(data),
    minFree: config?.space?.minFree,
  }
}

export const BUNDLE: Path = ['auth', 'token', 'rootcertbundle']

const PAIRS: readonly [PairFacts['use'], Path][] = [
  ['registry', ['http', 'tls']],
  ['token server', ['tokenserver', 'server']],
  ['tokens', ['tokenserver', 'token']],
]

function pairsOf(
  settings: Settings,
  isTokenServerAlone: boolean,
  hasTokenServer: boolean,
  config: ServerInput['config'],
  data: string | undefined,
): PairFacts[] {
  const named = PAIRS.flatMap(([use, section]) => {
    if (use === 'registry' && isTokenServerAlone) return []
    const certificate = textAt(settings, [...section, 'certificate'])
    const key = textAt(settings, [...section, 'key'])
    return certificate === undefined || key === undefined ? [] : [pairAt(use, section, certificate, key, false)]
  })
  if (!hasTokenServer || named.some(({ use }) => use === 'tokens')) return named
  // docker_auth signs with the server's pair where it has none of its own, and Berth then with one that it makes.
  const server = named.find(({ use }) => use === 'token server')
  if (server !== undefined) return [...named, { ...server, use: 'tokens' }]
  const own = data === undefined || config?.tokenServer === undefined ? undefined : ownPair(data)
  return own === undefined ? named : [...named, own]
}

function ownPair(data: string): PairFacts | undefined {
  const [certificate, key] = [join(data, OWN_CERTIFICATE_FILE), join(data, OWN_KEY_FILE)]
  if (!existsSync(certificate) || !existsSync(key)) return undefined
  return pairAt('tokens', ['tokenserver', 'token'], certificate, key, true)
}

function pairAt(use: PairFacts['use'], section: Path, certificate: string, key: string, isBerths: boolean): PairFacts {
  return {
    use,
    certificate: readPem([...section, 'certificate'], certificate, 'certificate', readCertificates),
    key: readPem([...section, 'key'], key, 'private key without a passphrase', (pem) => createPrivateKey(pem)),
    isExposed: isReadByAll(key),
    isBerths,
  }
}

function readCertificates(pem: string): X509Certificate[] {
  const found = certificatesIn(pem)
  if (found.length === 0) throw new Error('no certificate')
  return found
}

/** Bytes. */
const LONGEST_PEM = 16 * 1024 * 1024

function readPem<T>(key: Path, path: string, what: string, parse: (pem: string) => T): FileOf<T> {
  const missing = unreadable(path)
  if (missing !== undefined) return { key, path, fault: missing }
  try {
    return { key, path, value: parse(readSmallFile(path, LONGEST_PEM).toString('utf8')) }
  } catch {
    return { key, path, fault: `holds no ${what} in PEM` }
  }
}

function isReadByAll(path: string): boolean {
  try {
    accessSync(path, constants.R_OK)
    return (statSync(path).mode & 0o004) !== 0
  } catch {
    return false
  }
}

export function belongTogether(certificate: X509Certificate, key: KeyObject): boolean {
  return createPublicKey(key).equals(certificate.publicKey)
}
