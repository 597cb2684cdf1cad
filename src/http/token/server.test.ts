import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { type Authenticator, UnavailableError } from '../../auth/authenticator.ts'
import { jwksOf } from '../../auth/jwks.ts'
import { loadSigningKey } from '../../auth/keys.ts'
import { createTrust } from '../../auth/trust.ts'
import { createVerify } from '../../auth/verify.ts'
import { selfSignedCertificate, toPem } from '../../x509/certificate.ts'
import { as, dates, key, NOW, now, pem, privateKey, rule, setup, summary } from './token.samples.ts'

describe('the token server', () => {
  test('lets an administrator do everything where the rules are its own, and only there', async () => {
    const source: Authenticator = {
      name: 'a',
      authenticate: async (account) => ({ kind: 'yes', labels: {}, admin: account === 'root' }),
    }
    const ask = async (account: string, adminsMayAll: boolean) => {
      const { tokenServer } = setup({ sources: [source], acl: [rule({}, ['pull'])], server: { adminsMayAll } })
      const scopes = [{ type: 'repository', name: 'x', actions: ['delete', 'pull', 'push'] }]
      const request = { account, password: 'x', service: '', address: undefined, scopes }
      return (await tokenServer.issue(request)).access[0]?.actions
    }
    expect(await ask('root', true)).toEqual(['delete', 'pull', 'push'])
    expect(await ask('ann', true)).toEqual(['pull'])
    expect(await ask('root', false)).toEqual(['pull'])
  })

  test('C4: says 503 and which source does not answer, and does not show an unexpected error', async () => {
    const failing = (error: Error): Authenticator => ({ name: 'x', authenticate: () => Promise.reject(error) })
    const known = setup({ sources: [failing(new UnavailableError('the user database does not answer'))] })
    const response = await known.call('/auth', as('a:b'))
    expect(response.headers.get('retry-after')).toBe('5')
    expect(await summary(response)).toBe(
      '503 Authentication failed (authn #1 returned error: the user database does not answer)\n',
    )
    const unknown = setup({ sources: [failing(new Error('secret'))] })
    expect(await summary(await unknown.call('/auth', as('a:b')))).toBe(
      '503 Authentication failed (authn #1 returned error: internal error)\n',
    )
  })

  test('records each decision with its rule, and no password', async () => {
    const { call, events } = setup()
    await call('/auth?service=reg&scope=repository:foo:pull,push', as('test:123'))
    await call('/auth?service=reg', as('test:wrong'))
    expect(events).toMatchObject([
      {
        kind: 'issued',
        account: 'test',
        service: 'reg',
        address: '127.0.0.1',
        access: [{ name: 'foo', actions: ['pull'] }],
        rules: ['a.yml: {"account":"test"}'],
      },
      { kind: 'refused', account: 'test', reason: 'Auth failed.' },
    ])
    expect(JSON.stringify(events)).not.toContain('123')
  })

  test('makes tokens that its registry takes, and publishes the key under each name', async () => {
    const { tokenServer } = setup()
    const scopes = [{ type: 'repository', name: 'x', actions: ['pull'] }]
    const { token } = await tokenServer.issue({
      account: 'admin',
      password: 'badmin',
      service: 'reg',
      scopes,
      address: undefined,
    })
    const jwks = JSON.stringify(jwksOf([key], NOW))
    for (const trust of [
      createTrust({ own: key, now }),
      createTrust({ jwks, now }),
      createTrust({ rootCertBundle: pem, now }),
    ]) {
      const verify = createVerify({ trust, service: 'reg', issuer: 'Acme auth server', now })
      expect(verify(token)).toMatchObject({
        kind: 'valid',
        subject: { name: 'admin', granted: [{ type: 'repository', name: 'x', actions: ['pull'] }] },
      })
    }
    expect(jwks).not.toContain('"d"')
    expect(jwksOf([key], NOW).keys).toContainEqual(
      expect.objectContaining({ kid: key.ids.libtrust, alg: 'ES256', use: 'sig' }),
    )
  })

  test('signs with RSA too', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const der = selfSignedCertificate({
      privateKey,
      publicKey: rsa.publicKey,
      commonName: 'x',
      serial: Uint8Array.of(1),
      ...dates,
    })
    const rsaKey = loadSigningKey(
      toPem('CERTIFICATE', der),
      rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    )
    const { tokenServer } = setup({ server: { key: () => rsaKey } })
    const { token } = await tokenServer.issue({
      account: 'admin',
      password: 'badmin',
      service: 'reg',
      scopes: [],
      address: undefined,
    })
    expect(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())).toEqual({
      typ: 'JWT',
      alg: 'RS256',
      kid: rsaKey.ids.libtrust,
    })
    const verify = createVerify({
      trust: createTrust({ own: rsaKey, now }),
      service: 'reg',
      issuer: 'Acme auth server',
      now,
    })
    expect(verify(token).kind).toBe('valid')
  })
})
