import type { Path } from './node.ts'
import type { Places } from './places.ts'

/** A number of 16 bits as Go's strconv reads it, or undefined. */
export function uint16(text: string): number | undefined {
  const value = /^(0x[0-9a-f]{1,4}|\d{1,5})$/i.test(text) ? Number(text) : Number.NaN
  return value <= 0xffff ? value : undefined
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

/**
 * The suites of TLS 1.2 that a list of Go's names or numbers chooses, as OpenSSL writes them; undefined: every safe one.
 * `only13` is how the file says that TLS 1.2 is not offered.
 */
export function resolveCiphers(
  names: readonly string[],
  path: Path,
  only13: string,
  places: Places,
): string | undefined {
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
    const fix = `Remove the key, or write ${only13}.`
    places.problem(path, 'leaves no suite for TLS 1.2', fix)
  }
  return chosen.length === 0 ? undefined : [...new Set(chosen)].join(':')
}
