import { afterAll, expect, test } from 'bun:test'
import { createHash, verify } from 'node:crypto'
import { A, ISSUER, NOW, openPlace, type Pair, type Sent, type Variant } from './token-app.ts'

const place = openPlace()
afterAll(place.close)

const admin: Sent = { basic: 'admin:badmin' }
const LINE = 'GET /auth?service=reg&scope=repository:foo:push,pull&scope=registry:catalog:*'

interface Parts {
  header: string
  claims: string
  signature: Buffer
  isSignedBy(pair: Pair, hash: string): boolean
}

async function tokenOf(variant: Variant, line = LINE): Promise<Parts> {
  const { token } = (await (await (await place.start(variant)).send(line, admin)).json()) as { token: string }
  const [header = '', claims = '', signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  return {
    header: Buffer.from(header, 'base64url').toString(),
    claims: Buffer.from(claims, 'base64url').toString(),
    signature: bytes,
    isSignedBy({ publicKey: key }, hash) {
      return verify(hash, Buffer.from(`${header}.${claims}`), { key, dsaEncoding: 'ieee-p1363' }, bytes)
    },
  }
}

/** libtrust's name of a key, as docker_auth computes it. */
function libtrust({ publicKey }: Pair): string {
  const digest = createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest()
  const bits = [...digest.subarray(0, 30)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const letters = (bits.match(/.{5}/g) ?? []).map(
    (five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)],
  )
  return (letters.join('').match(/.{4}/g) ?? []).join(':')
}

test('K1: claims stand in their order, with the times that they should have', async () => {
  const { claims } = await tokenOf({})
  const iat = Math.floor(NOW / 1000)
  const { jti } = JSON.parse(claims) as { jti: string }
  expect(jti).toMatch(/^[0-9]{1,19}$/)
  const access =
    '[{"type":"repository","name":"foo","actions":["pull","push"]},{"type":"registry","name":"catalog","actions":["*"]}]'
  expect(claims).toBe(
    `{"iss":"${ISSUER}","sub":"admin","aud":"reg","exp":${iat + 900},"nbf":${iat - 10},"iat":${iat},"jti":"${jti}","access":${access}}`,
  )
  const { claims: again } = await tokenOf({})
  expect((JSON.parse(again) as { jti: string }).jti).not.toBe(jti)
})

test('K2: RSA signs RS256, under the name that registry 2 knows', async () => {
  const { header, isSignedBy } = await tokenOf({ token: 'x5c: never' })
  expect(header).toBe(`{"typ":"JWT","alg":"RS256","kid":"${libtrust(place.pair)}"}`)
  expect(isSignedBy(place.pair, 'sha256')).toBe(true)
})

test.each([
  ['P-256', 'ES256', 'sha256', 64],
  ['P-384', 'ES384', 'sha384', 96],
  ['P-521', 'ES512', 'sha512', 132],
])('K2: %s signs %s', async (curve, algorithm, hash, size) => {
  const pair = place.makePair(curve)
  const { header, signature, isSignedBy } = await tokenOf({ pair, token: 'x5c: never' })
  expect(header).toBe(`{"typ":"JWT","alg":"${algorithm}","kid":"${libtrust(pair)}"}`)
  expect(signature).toHaveLength(size)
  expect(isSignedBy(pair, hash)).toBe(true)
})

test.each([
  ['K4: RSA', 'rsa', ['e', 'kty', 'n']],
  // On purpose: docker_auth has one constant for all keys of a curve, which no registry accepts.
  ['K5: elliptic', 'P-256', ['crv', 'kty', 'x', 'y']],
])('%s has the name that registry 3 knows with disable_legacy_key_id', async (_, kind, members) => {
  const pair = place.makePair(kind)
  const { header } = await tokenOf({ pair, token: 'x5c: never, disable_legacy_key_id: true' })
  const jwk = { ...pair.publicKey.export({ format: 'jwk' }) } as Record<string, unknown>
  const canonical = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))
  expect(JSON.parse(header)).toMatchObject({ kid: createHash('sha256').update(canonical).digest('base64url') })
})

test('K7: the pair of the server signs where no other is named', async () => {
  const { isSignedBy } = await tokenOf({ pairIn: 'server' })
  expect(isSignedBy(place.pair, 'sha256')).toBe(true)
})

// On purpose: docker_auth refuses to start.
test('V14: without any pair a key of its own signs', async () => {
  const { header } = await tokenOf({ pairIn: 'none', data: place.pathOf('data') })
  expect(JSON.parse(header)).toMatchObject({ typ: 'JWT', alg: 'ES256' })
})

// Besides docker_auth's header, on purpose: registries of every version then find the key in the certificate.
test('the certificate is in the header while it is valid', async () => {
  const header = JSON.parse((await tokenOf({})).header) as Record<string, unknown>
  expect(Object.keys(header)).toEqual(['typ', 'alg', 'kid', 'x5c'])
  expect(header.x5c).toHaveLength(1)
})

test('a file that names a pair which is not there is refused before a port is open', async () => {
  const pair = { ...place.pair, key: place.pathOf('missing.key') }
  const { problems, config } = place.load({ pair, body: A })
  expect(problems).toEqual([])
  const error = await place.start({ pair }).catch((cause: unknown) => cause)
  expect(config).toBeDefined()
  expect(String(error)).toContain('token.key: ')
})
