import type { TlsConfig, TokenServerConfig } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import { isGiven, type Path } from './node.ts'
import type { Places } from './places.ts'

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
  const ciphers = isOnly13 ? undefined : resolveCiphers(server.tls_cipher_suites, suites, places)
  const curves = resolveCurves(server.tls_curve_preferences, at('tls_curve_preferences'), places)
  const { certificate = '', key = '' } = server
  if (certificate === '' && key === '') return undefined
  refuseHalf('server', { certificate, key }, at, places)
  return {
    certificate,
    key,
    minVersion,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(curves === undefined ? {} : { curves }),
  }
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

/** A number of 16 bits as Go's strconv reads it, or undefined. */
function uint16(text: string): number | undefined {
  const value = /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN
  return value <= 0xffff ? value : undefined
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

/** Number and name of each suite that the runtime has for TLS 1.2 (IANA registry), and OpenSSL's name. */
const SUITES: readonly (readonly [id: number, name: string, openssl: string])[] = [
  [0x002f, 'TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA'],
  [0x0035, 'TLS_RSA_WITH_AES_256_CBC_SHA', 'AES256-SHA'],
  [0x009c, 'TLS_RSA_WITH_AES_128_GCM_SHA256', 'AES128-GCM-SHA256'],
  [0x009d, 'TLS_RSA_WITH_AES_256_GCM_SHA384', 'AES256-GCM-SHA384'],
  [0xc009, 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  [0xc00a, 'TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  [0xc013, 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  [0xc014, 'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
  [0xc023, 'TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256', 'ECDHE-ECDSA-AES128-SHA256'],
  [0xc027, 'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'ECDHE-RSA-AES128-SHA256'],
  [0xc02b, 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  [0xc02c, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  [0xc02f, 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  [0xc030, 'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  [0xcca8, 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
  [0xcca9, 'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
]
/** Go's older names of two of them. */
const OLD_NAME = /^(TLS_ECDHE_(?:RSA|ECDSA)_WITH_CHACHA20_POLY1305)$/
/** Suites that Go knows and the runtime does not offer to anybody, for they are broken (RC4, 3DES) or weak. */
const NOT_OFFERED: Record<string, number> = {
  TLS_RSA_WITH_RC4_128_SHA: 0x0005,
  TLS_RSA_WITH_3DES_EDE_CBC_SHA: 0x000a,
  TLS_RSA_WITH_AES_128_CBC_SHA256: 0x003c,
  TLS_ECDHE_ECDSA_WITH_RC4_128_SHA: 0xc007,
  TLS_ECDHE_RSA_WITH_RC4_128_SHA: 0xc011,
  TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA: 0xc012,
}
/** Suites of TLS 1.3 (RFC 8446 appendix B.4), which are always offered. */
const SUITES_OF_13: Record<string, number> = {
  TLS_AES_128_GCM_SHA256: 0x1301,
  TLS_AES_256_GCM_SHA384: 0x1302,
  TLS_CHACHA20_POLY1305_SHA256: 0x1303,
}

function resolveCiphers(names: readonly string[], path: Path, places: Places): string | undefined {
  const chosen: string[] = []
  let isWrong = false
  for (const [index, name] of names.entries()) {
    const here = [...path, index]
    const number = uint16(name)
    const isOneOf = (group: Record<string, number>): boolean =>
      Object.hasOwn(group, name) || Object.values(group).some((id) => id === number)
    const full = name.replace(OLD_NAME, '$1_SHA256')
    const suite = SUITES.find(([id, known]) => known === full || id === number)
    if (suite !== undefined) chosen.push(suite[2])
    else if (isOneOf(SUITES_OF_13)) places.warn(here, `${name} belongs to TLS 1.3, whose suites are always offered`)
    else if (isOneOf(NOT_OFFERED) || number !== undefined) places.warn(here, `${name} is not offered any more`)
    else {
      isWrong = true
      places.problem(here, `${JSON.stringify(name)} is no cipher suite`, 'Write a name of Go, or its number.')
    }
  }
  if (names.length > 0 && chosen.length === 0 && !isWrong) {
    const fix = 'Remove the key, or write tls_min_version: TLS13.'
    places.problem(path, 'leaves no suite for TLS 1.2', fix)
  }
  return chosen.length === 0 ? undefined : [...new Set(chosen)].join(':')
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
