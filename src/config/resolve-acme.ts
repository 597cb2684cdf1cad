import { join } from 'node:path'
import type { ManagedTls } from './config.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveListen } from './resolve-listen.ts'
import { resolveHosts } from './tls-names.ts'

/** https://letsencrypt.org/docs/acme-protocol-updates/ */
const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory'
/** RFC 8555 section 8.3: the authority asks at no other port. */
const HTTP_ADDRESS = ':80'

/** What the registry's `http.tls.letsencrypt` and docker_auth's `server.letsencrypt` say, in one form. */
export interface AcmeInput {
  folder: string
  email: string | undefined
  hosts: readonly { name: string; path: Path }[]
  directoryurl?: string | undefined
  directoryca?: string | undefined
  httpaddr?: string | undefined
}

/** The certificate of an ACME authority: its file (key and chain), and how to get it. Undefined where there is a problem. */
export function resolveAcme(
  input: AcmeInput,
  at: (key: string) => Path,
  places: Places,
): { file: string; managed: Extract<ManagedTls, { kind: 'acme' }> } | undefined {
  const directoryUrl = input.directoryurl || LETS_ENCRYPT
  if (!URL.canParse(directoryUrl) || new URL(directoryUrl).protocol !== 'https:') {
    places.problem(at('directoryurl'), 'is no https URL', `Write one such as ${LETS_ENCRYPT}.`)
  }
  const email = input.email || undefined
  if (email !== undefined && !/^[^\s@,?]+@[^\s@,?]+$/.test(email)) {
    places.problem(at('email'), `${JSON.stringify(email)} is no address of mail`, 'Write one, or remove the key.')
  }
  const httpAddr = resolveListen('tcp', input.httpaddr || HTTP_ADDRESS, at('httpaddr'), places)
  const [first, ...others] = [...new Set(resolveHosts(input.hosts, places))]
  if (first === undefined) return undefined
  const directoryCa = input.directoryca || undefined
  return {
    // Go's autocert calls it so, too.
    file: join(input.folder, first),
    managed: { kind: 'acme', directoryUrl, directoryCa, email, hosts: [first, ...others], httpAddr },
  }
}
