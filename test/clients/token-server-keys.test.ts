import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint, createLocalJWKSet, exportJWK, importX509, type JSONWebKeySet, jwtVerify } from 'jose'
import { freePort } from '../free-port.ts'
import { describeWith } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { fetchToken } from './docker-site.ts'
import { USERS } from './first-document.ts'
import { KEYS, type KeyName, selfSigned, type TokenPair } from './token-certificates.ts'

/**
 * Tokens for a registry of the third generation, which finds keys by their thumbprint (RFC 7638) or in a JWKS: checked by
 * another implementation of both, `jose`.
 */
const SERVICE = 'Docker registry'
const ISSUER = 'Auth Service'

describeWith(['openssl', 'curl'], 'tokens of berth auth for registry 3, by jose', () => {
  let folder = ''
  const berths: Berth[] = []

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-keys-'))
  })

  afterAll(async () => {
    for (const berth of berths) await berth.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  const start = async (pair: TokenPair, option: string) => {
    const authConfig = `
server: {addr: "127.0.0.1:${await freePort()}"}
token: {issuer: "${ISSUER}", expiration: 900, certificate: "${pair.certificate}", key: "${pair.key}"${option}}
users: {"admin": {password: "${USERS.admin.hash}"}}
acl: [{match: {account: "admin"}, actions: ["*"]}]
`
    const berth = await startBerth({ verb: 'auth', authConfig })
    berths.push(berth)
    return berth
  }
  const tokenOf = ({ url }: Berth) =>
    fetchToken(`${url}/auth`, `admin:${USERS.admin.password}`, { service: SERVICE, scope: 'registry:catalog:*' })

  for (const key of Object.keys(KEYS) as KeyName[]) {
    describe(key, () => {
      const { algorithm } = KEYS[key]
      let pair: TokenPair
      let thumbprint = ''

      beforeAll(async () => {
        pair = await selfSigned(join(folder, key), key)
        const publicKey = await importX509(readFileSync(pair.certificate, 'utf8'), algorithm)
        thumbprint = await calculateJwkThumbprint(await exportJWK(publicKey))
      })

      const options = [
        ['disable_legacy_key_id: true', ', disable_legacy_key_id: true', true],
        ['keyid: rfc7638', ', keyid: rfc7638', true],
        ['neither', '', false],
      ] as const
      for (const [title, option, isThumbprint] of options) {
        test(`with ${title} the kid is ${isThumbprint ? '' : 'not '}the thumbprint, and the JWKS has it`, async () => {
          const berth = await start(pair, option)
          const { token, header } = await tokenOf(berth)
          expect(header.kid === thumbprint).toBe(isThumbprint)
          const jwks = (await (await fetch(`${berth.url}/.well-known/jwks.json`)).json()) as JSONWebKeySet
          const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks), {
            issuer: ISSUER,
            audience: SERVICE,
            algorithms: [algorithm],
          })
          expect(protectedHeader.kid).toBe(String(header.kid))
          expect(payload).toMatchObject({
            sub: 'admin',
            access: [{ type: 'registry', name: 'catalog', actions: ['*'] }],
          })
          // Whatever kid its own tokens have: a registry that computes it otherwise finds the key as well.
          expect(jwks.keys.map(({ kid }) => kid)).toContain(thumbprint)
        })
      }
    })
  }
})
