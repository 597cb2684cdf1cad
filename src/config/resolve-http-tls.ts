import { resolveCiphers } from './cipher-suites.ts'
import type { ClientCertificates, TlsConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'

type RawTls = Distribution['http']['tls']

const at = (...path: string[]): Path => ['http', 'tls', ...path]

/** TLS of the registry's listener; undefined: plain HTTP. */
export function resolveHttpTls(tls: RawTls, places: Places): TlsConfig | undefined {
  const { certificate = '', key = '' } = tls
  const clients = resolveClients(tls, places)
  if (certificate === '' && key === '') {
    refuseWithoutCertificate(clients, places)
    return undefined
  }
  const missing = certificate === '' ? 'certificate' : key === '' ? 'key' : undefined
  if (missing !== undefined) {
    const given = missing === 'key' ? 'certificate' : 'key'
    const message = `http.tls.${given} is given, but not http.tls.${missing}`
    places.problem(at(given), message, `Give both, or neither to serve plain HTTP.`)
  }
  return { certificate, key, ...resolveParameters(tls, places), ...(clients === undefined ? {} : { clients }) }
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
  places.problem(path, message, 'Give http.tls.certificate and http.tls.key.')
}
