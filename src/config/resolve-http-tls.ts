import { join } from 'node:path'
import { resolveCiphers } from './cipher-suites.ts'
import type { ClientCertificates, Listen, TlsConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveAcme } from './resolve-acme.ts'
import { resolveNames } from './tls-names.ts'

type RawTls = Distribution['http']['tls']

const at = (...path: string[]): Path => ['http', 'tls', ...path]

/** Key and certificate of Berth's own making, in the data directory. */
export const OWN_PAIR = 'berth-tls/server.pem'
/** Where ACME's files are kept, if nothing else is said. */
const ACME_FOLDER = 'berth-tls/acme'

/** What else of the configuration a certificate depends on. */
interface Surroundings {
  directory: string
  listen: Listen
  /** External base URL. */
  host: string | undefined
}

/** TLS of the registry's listener; undefined: plain HTTP. */
export function resolveHttpTls(tls: RawTls, around: Surroundings, places: Places): TlsConfig | undefined {
  const clients = resolveClients(tls, places)
  const pair = resolvePair(tls, around, places)
  if (pair === undefined) {
    refuseWithoutCertificate(clients, places)
    return undefined
  }
  return { ...pair, ...resolveParameters(tls, places), ...(clients === undefined ? {} : { clients }) }
}

type Pair = Pick<TlsConfig, 'certificate' | 'key' | 'managed'>

/** The operator's files, an authority by ACME, or Berth's own: one of them, or none. */
function resolvePair(tls: RawTls, around: Surroundings, places: Places): Pair | undefined {
  const { certificate = '', key = '', letsencrypt } = tls
  const isFiles = certificate !== '' || key !== ''
  const isAcme = Object.values(letsencrypt).some((value) => value !== undefined && value.length > 0)
  if (isFiles && isAcme) {
    const message = "cannot specify both certificate and Let's Encrypt"
    places.problem(at('letsencrypt'), message, 'Remove http.tls.certificate and http.tls.key, or this section.')
  }
  if (tls.auto && (isFiles || isAcme)) {
    const other = isFiles ? 'http.tls.certificate' : 'http.tls.letsencrypt'
    places.problem(
      at('auto'),
      `asks for a certificate of Berth's own, and ${other} for another`,
      'Keep one of the two.',
    )
  }
  if (tls.names.length > 0 && !tls.auto) {
    places.problem(at('names'), 'names a certificate that nobody asks for', 'Say http.tls.auto: true (--tls auto).')
  }
  if (isFiles) return filesOf(certificate, key, places)
  if (isAcme) return acmeOf(letsencrypt, around, places)
  return tls.auto ? ownOf(tls.names, around, places) : undefined
}

function filesOf(certificate: string, key: string, places: Places): Pair {
  const missing = certificate === '' ? 'certificate' : key === '' ? 'key' : undefined
  if (missing !== undefined) {
    const given = missing === 'key' ? 'certificate' : 'key'
    const message = `http.tls.${given} is given, but not http.tls.${missing}`
    places.problem(at(given), message, `Give both, or neither to serve plain HTTP.`)
  }
  return { certificate, key }
}

function ownOf(given: readonly string[], { directory, listen, host }: Surroundings, places: Places): Pair {
  const names = resolveNames(given, at('names'), places)
  const asked = [host === undefined ? '' : hostOf(host), listen.kind === 'tcp' ? listen.hostname : '']
  const known = asked.filter((name) => name !== '' && !EVERY_ADDRESS.includes(name))
  const file = join(directory, OWN_PAIR)
  return { certificate: file, key: file, managed: { kind: 'auto', names: [...new Set([...names, ...known])] } }
}

const EVERY_ADDRESS = ['::', '0.0.0.0']

/** Without the brackets of an IPv6 address. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[|\]$/g, '').toLowerCase() : ''
}

function acmeOf(
  letsencrypt: RawTls['letsencrypt'],
  { directory, host }: Surroundings,
  places: Places,
): Pair | undefined {
  const inside = (key: string): Path => at('letsencrypt', key)
  const named = letsencrypt.hosts.flatMap((name, index) =>
    name === '' ? [] : [{ name, path: [...inside('hosts'), index] }],
  )
  const hosts = named.length > 0 || host === undefined ? named : [{ name: hostOf(host), path: ['http', 'host'] }]
  if (hosts.length === 0) {
    const fix = 'Name the host, such as registry.example, in http.tls.letsencrypt.hosts.'
    places.problem(inside('hosts'), 'names no host, and neither does http.host', fix)
  }
  const folder = letsencrypt.cachefile || join(directory, ACME_FOLDER)
  const found = resolveAcme({ ...letsencrypt, folder, email: letsencrypt.email, hosts }, inside, places)
  return found && { certificate: found.file, key: found.file, managed: found.managed }
}

function resolveParameters(tls: RawTls, places: Places): Pick<TlsConfig, 'minVersion' | 'ciphers'> {
  const { minimumtls } = tls
  if (minimumtls === 'tls1.0' || minimumtls === 'tls1.1') {
    places.warn(at('minimumtls'), `${minimumtls} is not offered any more; tls1.2 is used`)
  }
  if (minimumtls === 'tls1.3') {
    if (tls.ciphersuites.length > 0) {
      places.warn(at('ciphersuites'), 'has no effect with minimumtls: tls1.3, whose suites are not configurable')
    }
    return { minVersion: 'TLSv1.3' }
  }
  const ciphers = resolveCiphers(tls.ciphersuites, at('ciphersuites'), 'minimumtls: tls1.3', places)
  return { minVersion: 'TLSv1.2', ...(ciphers === undefined ? {} : { ciphers }) }
}

/** Why the runtime cannot do it: its listener either refuses every client without a valid certificate, or looks at none. */
const IMPOSSIBLE = {
  'require-any-client-cert': 'a certificate that nobody verifies proves nothing, and Berth cannot ask for one',
  'verify-client-cert-if-given': 'Berth either demands a valid certificate of every client, or looks at none',
} as const

function resolveClients({ clientcas, clientauth }: RawTls, places: Places): ClientCertificates | undefined {
  const authorities = clientcas.filter((path) => path !== '')
  if (clientauth === 'require-any-client-cert' || clientauth === 'verify-client-cert-if-given') {
    const fix = 'Write require-and-verify-client-cert, or request-client-cert.'
    places.problem(at('clientauth'), `${clientauth} cannot be done: ${IMPOSSIBLE[clientauth]}`, fix)
    return undefined
  }
  if (authorities.length === 0) {
    if (clientauth === undefined) return undefined
    if (clientauth === 'request-client-cert') return { authorities, mode: 'request' }
    const message = 'demands client certificates, but http.tls.clientcas names no authority'
    places.problem(at('clientauth'), message, 'Name the PEM files of the authorities in http.tls.clientcas.')
    return undefined
  }
  return { authorities, mode: clientauth === 'request-client-cert' ? 'request' : 'require' }
}

/** Whoever asks for client certificates must not be answered with a server that everybody may connect to. */
function refuseWithoutCertificate(clients: ClientCertificates | undefined, places: Places): void {
  if (clients?.mode !== 'require') return
  const path = isGiven(places.root, at('clientcas')) ? at('clientcas') : at('clientauth')
  const message = 'client certificates are asked for, but without http.tls.certificate plain HTTP is served'
  places.problem(path, message, 'Give http.tls.certificate and http.tls.key, or http.tls.auto: true.')
}
