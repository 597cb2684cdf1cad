import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { type Authenticator, UnavailableError } from '../../auth/authenticator.ts'
import { selfSignedCertificate, toPem } from '../../auth/certificate.ts'
import { createChain } from '../../auth/chain.ts'
import { loadSigningKey } from '../../auth/keys.ts'
import { createTrust } from '../../auth/trust.ts'
import { createVerify } from '../../auth/verify.ts'
import { as, dates, key, now, passwords, pem, privateKey, setup, summary } from './token.samples.ts'

describe('the token server', () => {
  test('without rules lets users push, and an administrator do everything', async () => {
    const authenticator: Authenticator = {
      name: 'a',
      authenticate: async (account) => ({ kind: 'yes', labels: {}, admin: account === 'root' }),
    }
    const { tokenServer } = setup({ server: { acl: undefined, authenticator } })
    const ask = async (account: string) =>
      (
        await tokenServer.issue({
          account,
          password: 'x',
          service: '',
          address: undefined,
          scopes: [{ type: 'repository', name: 'x', actions: ['delete', 'pull', 'push'] }],
        })
      ).access[0]?.actions
    expect(await ask('root')).toEqual(['delete', 'pull', 'push'])
    expect(await ask('ann')).toEqual(['pull', 'push'])
  })

  test('C4: says 503 and which source does not answer, and does not show an unexpected error', async () => {
    const failing = (error: Error): Authenticator =>
      createChain([{ name: 'x', authenticate: () => Promise.reject(error) }], passwords)
    const known = setup({
      server: { authenticator: failing(new UnavailableError('the user database does not answer')) },
    })
    const response = await known.call('/auth', as('a:b'))
    expect(response.headers.get('retry-after')).toBe('5')
    expect(await summary(response)).toBe(
      '503 Authentication failed (authn #1 returned error: the user database does not answer)\n',
    )
    const unknown = setup({ server: { authenticator: failing(new Error('secret')) } })
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
    const jwks = JSON.stringify(tokenServer.jwks())
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
    expect(tokenServer.jwks().keys).toContainEqual(
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
    const { tokenServer } = setup({ server: { key: rsaKey } })
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
