import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'

/** JSON Web Signatures of an account's key (RFC 8555 section 6.2), which is of P-256. */

/** In the order of RFC 7638, so that its JSON is what the thumbprint is of. */
export function publicJwk(privateKey: KeyObject): { crv: string; kty: string; x: string; y: string } {
  const { crv = '', kty = '', x = '', y = '' } = createPublicKey(privateKey).export({ format: 'jwk' })
  return { crv, kty, x, y }
}

export function thumbprint(privateKey: KeyObject): string {
  return createHash('sha256')
    .update(JSON.stringify(publicJwk(privateKey)))
    .digest('base64url')
}

/** The flattened form. An empty payload is that of POST-as-GET (section 6.3). */
export function signedBody(privateKey: KeyObject, header: Record<string, unknown>, payload: unknown): string {
  const head = encode({ alg: 'ES256', ...header })
  const body = payload === undefined ? '' : encode(payload)
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') })
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
