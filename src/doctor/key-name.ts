import { X509Certificate } from 'node:crypto'
import { type KeyIdForm, keyIds } from '../auth/keys.ts'

/** Twelve groups of four are libtrust's fingerprint, 43 characters an RFC 7638 thumbprint. */
export function formOf(kid: string): KeyIdForm | undefined {
  if (/^([A-Z2-7]{4}:){11}[A-Z2-7]{4}$/.test(kid)) return 'libtrust'
  return /^[\w-]{43}$/.test(kid) ? 'rfc7638' : undefined
}

/** By which registries know the key of a certificate in their bundle. */
export function idOf({ publicKey }: X509Certificate, form: KeyIdForm): string {
  try {
    return keyIds(publicKey)[form]
  } catch {
    return 'a key that signs no tokens'
  }
}

/** Those of a token's `x5c`; what is none is left out. */
export function certificatesOf(x5c: readonly string[]): X509Certificate[] {
  return x5c.flatMap((base64) => {
    try {
      return [new X509Certificate(Buffer.from(base64, 'base64'))]
    } catch {
      return []
    }
  })
}
