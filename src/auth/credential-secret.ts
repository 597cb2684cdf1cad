import { randomBytes } from 'node:crypto'
import type { TokenRow } from '../metadata/metadata.ts'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Characters that 256 bits and 32 bits take in base 62. */
const RANDOM_LENGTH = 43
const CHECK_LENGTH = 6

/**
 * What a secret looks like, for scanners of source code: `berth_`, its kind (`p` a personal access token, `r` a refresh
 * token), 256 random bits in base 62, and the CRC-32 of all that in base 62.
 */
export const SECRET_PATTERN = /^berth_[pr][0-9A-Za-z]{49}$/

const LETTERS = { personal: 'p', refresh: 'r' } as const satisfies Record<TokenRow['kind'], string>

export function newSecret(kind: TokenRow['kind'], random: (bytes: number) => Uint8Array = randomBytes): string {
  const number = BigInt(`0x${Buffer.from(random(32)).toString('hex')}`)
  const body = `berth_${LETTERS[kind]}${base62(number, RANDOM_LENGTH)}`
  return body + checkOf(body)
}

/** The kind of a secret that is none by its form or its check digits: undefined, without a look into the database. */
export function secretKind(text: string): TokenRow['kind'] | undefined {
  if (!SECRET_PATTERN.test(text)) return undefined
  const body = text.slice(0, -CHECK_LENGTH)
  if (checkOf(body) !== text.slice(-CHECK_LENGTH)) return undefined
  return text[6] === LETTERS.personal ? 'personal' : 'refresh'
}

/** SHA-256 in hex. No salt and no slow hash: nobody guesses 256 random bits. */
export function secretHash(secret: string): string {
  return new Bun.CryptoHasher('sha256').update(secret).digest('hex')
}

function checkOf(body: string): string {
  return base62(BigInt(Bun.hash.crc32(body)), CHECK_LENGTH)
}

function base62(value: bigint, length: number): string {
  let rest = value
  let text = ''
  for (let i = 0; i < length; i++) {
    text = `${DIGITS[Number(rest % 62n)]}${text}`
    rest /= 62n
  }
  return text
}
