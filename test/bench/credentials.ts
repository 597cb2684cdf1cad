import { createHash, createPrivateKey, createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { makePair, type Pair } from '../certificates.ts'

export const SERVICE = 'bench'
export const ISSUER = 'bench issuer'

export interface Credentials {
  tls: Pair
  rsa: Pair
  ec: Pair
  /** Value of an Authorization header that lets its bearer pull and push in `repository`, and list everything. */
  bearer(repository: string): Promise<string>
}

/** Makes the pairs that a run needs; the token's key is RSA-2048, as people's own are. */
export async function makeCredentials(folder: string): Promise<Credentials> {
  const [tls, rsa, ec] = await Promise.all([
    makePair(join(folder, 'tls')),
    makePair(join(folder, 'rsa')),
    makePair(join(folder, 'ec'), { newKey: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] }),
  ])
  const key = createPrivateKey(readFileSync(rsa.key))
  return {
    tls,
    rsa,
    ec,
    bearer: async (repository) => {
      const access = [{ type: 'repository', name: repository, actions: ['pull', 'push'] }]
      const token = await new SignJWT({ access })
        .setProtectedHeader({ typ: 'JWT', alg: 'RS256', kid: libtrustId(rsa) })
        .setIssuer(ISSUER)
        .setSubject('bench')
        .setAudience(SERVICE)
        .setJti('bench')
        .setIssuedAt()
        .setNotBefore('-1 minute')
        .setExpirationTime('1 day')
        .sign(key)
      return `Bearer ${token}`
    },
  }
}

/** The key's name as registry 2 looks for it: 30 bytes of the SHA-256 of its SubjectPublicKeyInfo, base32, in fours. */
function libtrustId(pair: Pair): string {
  const der = createPublicKey(readFileSync(pair.certificate)).export({ type: 'spki', format: 'der' })
  const bytes = createHash('sha256').update(der).digest().subarray(0, 30)
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  const letters = (bits.match(/.{5}/g) ?? []).map((five) => alphabet[Number.parseInt(five, 2)]).join('')
  return (letters.match(/.{4}/g) ?? []).join(':')
}
