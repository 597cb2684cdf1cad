import { resolveCiphers, uint16 } from './cipher-suites.ts'
import type { TlsConfig, TokenServerConfig } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveAcme } from './resolve-acme.ts'

/** TLS of the token server's own listener, in Go's words. */
export function resolveServerTls(
  { server }: DockerAuth,
  at: (key: string) => Path,
  places: Places,
): TlsConfig | undefined {
  const minVersion = resolveMinVersion(server.tls_min_version ?? '', at('tls_min_version'), places)
  const suites = at('tls_cipher_suites')
  const isOnly13 = minVersion === 'TLSv1.3' && isGiven(places.root, suites)
  if (isOnly13) places.problem(suites, 'TLS 1.3 ciphersuites are not configurable', 'Remove the key.')
  const ciphers = isOnly13
    ? undefined
    : resolveCiphers(server.tls_cipher_suites, suites, 'tls_min_version: TLS13', places)
  const curves = resolveCurves(server.tls_curve_preferences, at('tls_curve_preferences'), places)
  const pair = resolveServerPair(server, at, places)
  if (pair === undefined) return undefined
  return {
    ...pair,
    minVersion,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(curves === undefined ? {} : { curves }),
  }
}

function resolveServerPair(
  { certificate = '', key = '', letsencrypt }: DockerAuth['server'],
  at: (key: string) => Path,
  places: Places,
): Pick<TlsConfig, 'certificate' | 'key' | 'managed'> | undefined {
  const isAcme =
    letsencrypt !== undefined && Object.values(letsencrypt).some((value) => value !== undefined && value !== '')
  if (certificate !== '' || key !== '') {
    if (isAcme) places.warn(at('letsencrypt'), 'has no effect beside server.certificate and server.key')
    refuseHalf('server', { certificate, key }, at, places)
    return { certificate, key }
  }
  if (!isAcme) return undefined
  const inside = (name: string): Path => [...at('letsencrypt'), name]
  const { cache_dir: folder = '', host = '', email } = letsencrypt
  if (folder === '') {
    places.problem(inside('cache_dir'), 'server.letsencrypt.cache_dir is required', 'Name a folder that lasts.')
  }
  if (host === '') {
    // autocert takes any name that a client says in its first message, which the runtime does not show.
    places.problem(inside('host'), 'server.letsencrypt.host is required', 'Name the host that the certificate is for.')
    return undefined
  }
  const found = resolveAcme(
    { ...letsencrypt, folder, email, hosts: [{ name: host, path: inside('host') }] },
    inside,
    places,
  )
  return found && { certificate: found.file, key: found.file, managed: found.managed }
}

/** The signing pair: the token's own, else the server's, else none (Berth makes one). */
export function resolvePair(
  { server, token }: DockerAuth,
  at: (key: string) => Path,
  places: Places,
): Pick<TokenServerConfig, 'certificate' | 'key'> {
  const { certificate = '', key = '' } = token
  if (certificate === '' && key === '') {
    return server.certificate && server.key
      ? { certificate: server.certificate, key: server.key }
      : { certificate: undefined, key: undefined }
  }
  refuseHalf('token', { certificate, key }, at, places)
  return { certificate, key }
}

function refuseHalf(
  section: 'server' | 'token',
  { certificate, key }: { certificate: string; key: string },
  at: (key: string) => Path,
  places: Places,
): void {
  if (certificate !== '' && key !== '') return
  const [there, missing] = certificate === '' ? ['key', 'certificate'] : ['certificate', 'key']
  places.problem(
    at(there),
    `failed to load ${section} cert and key: both were not provided`,
    `Add ${section}.${missing}, or remove ${section}.${there}.`,
  )
}

/** Go's names and numbers of TLS versions; Berth's least is TLS 1.2. */
const VERSIONS: Record<string, number> = { SSL30: 0x0300, TLS10: 0x0301, TLS11: 0x0302, TLS12: 0x0303, TLS13: 0x0304 }

function resolveMinVersion(text: string, path: Path, places: Places): TlsConfig['minVersion'] {
  if (text === '') return 'TLSv1.2'
  const version = Object.hasOwn(VERSIONS, text) ? VERSIONS[text] : uint16(text)
  if (version === undefined || version < 0x0300 || version > 0x0304) {
    places.problem(path, `${JSON.stringify(text)} is no version of TLS`, 'Write TLS12 or TLS13.')
  } else if (version < 0x0303) places.warn(path, `${text} is not offered any more; TLS12 is used`)
  return version === 0x0304 ? 'TLSv1.3' : 'TLSv1.2'
}

/** Go's name and number of each curve (RFC 8446 section 4.2.7), and OpenSSL's name. */
const CURVES: readonly (readonly [id: number, name: string, openssl: string])[] = [
  [23, 'P256', 'P-256'],
  [24, 'P384', 'P-384'],
  [25, 'P521', 'P-521'],
  [29, 'X25519', 'X25519'],
]

function resolveCurves(names: readonly string[], path: Path, places: Places): string | undefined {
  const chosen = names.flatMap((name, index) => {
    const number = uint16(name)
    const curve = CURVES.find(([id, known]) => known === name || id === number)
    if (curve !== undefined) return [curve[2]]
    const fix = `Write one of ${CURVES.map(([, known]) => known).join(', ')}.`
    places.problem([...path, index], `${JSON.stringify(name)} is no curve that can be offered`, fix)
    return []
  })
  return chosen.length === 0 ? undefined : [...new Set(chosen)].join(':')
}
