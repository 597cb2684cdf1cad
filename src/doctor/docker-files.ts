import type { X509Certificate } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readSmallFile } from '../files/read-small-file.ts'
import { certificatesIn } from '../tls/pair-file.ts'

/** What docker's files on this machine say about one registry. */
export interface DockerFacts {
  /** Path of daemon.json, whether or not it is there. */
  settingsFile: string
  /** `insecure-registries`, each with its line; a text says why the file cannot be used. */
  insecure: readonly { value: string; line: number }[] | string
  /** `/etc/docker/certs.d/HOST:PORT`. */
  folder: string
  /** Names of the files there. */
  files: readonly string[]
  /** The authorities there: `*.crt`. */
  authorities: readonly X509Certificate[]
  /** Those of the system. */
  roots: readonly X509Certificate[]
}

/** Where Go looks for the system's authorities (crypto/x509, root_linux.go); the first that is there counts. */
const SYSTEM_FILES = ['etc/ssl/certs/ca-certificates.crt', 'etc/pki/tls/certs/ca-bundle.crt', 'etc/ssl/ca-bundle.pem']

/** `root`: the folder that the machine's files are below, `/` for this one. Never throws. */
export function dockerFiles(registry: string, root: string): DockerFacts {
  const settingsFile = join(root, 'etc/docker/daemon.json')
  const folder = join(root, 'etc/docker/certs.d', registry)
  const files = listed(folder)
  const system = SYSTEM_FILES.map((path) => textOf(join(root, path))).find((text) => text !== undefined)
  const pems = files.filter((name) => name.endsWith('.crt')).map((name) => textOf(join(folder, name)) ?? '')
  return {
    settingsFile,
    insecure: insecureRegistries(textOf(settingsFile)),
    folder,
    files,
    authorities: pems.flatMap(readable),
    roots: readable(system ?? ''),
  }
}

function insecureRegistries(text: string | undefined): DockerFacts['insecure'] {
  if (text === undefined || text.trim() === '') return []
  let settings: unknown
  try {
    settings = JSON.parse(text)
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  if (typeof settings !== 'object' || settings === null || Array.isArray(settings)) return 'it is no JSON object'
  const list = (settings as Record<string, unknown>)['insecure-registries'] ?? []
  if (!Array.isArray(list) || list.some((one) => typeof one !== 'string'))
    return 'insecure-registries is no list of texts'
  const lines = text.split('\n')
  return (list as string[]).map((value) => ({
    // dockerd takes a scheme off, with a warning.
    value: value.replace(/^https?:\/\//i, ''),
    line: lines.findIndex((line) => line.includes(JSON.stringify(value))) + 1,
  }))
}

function readable(pem: string): X509Certificate[] {
  try {
    return certificatesIn(pem)
  } catch {
    return []
  }
}

/** Bytes. */
const LONGEST_FILE = 16 * 1024 * 1024

function textOf(path: string): string | undefined {
  try {
    return readSmallFile(path, LONGEST_FILE).toString('utf8')
  } catch {
    return undefined
  }
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return []
  }
}
