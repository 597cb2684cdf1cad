// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the placeholders of rules
import { afterEach, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { selfSignedCertificate, toPem } from '../x509/certificate.ts'
import { compileAcl } from './acl.ts'
import { createAclAuthorizer } from './acl-authorizer.ts'
import type { Labels, Yes } from './authenticator.ts'
import type { Authorizer } from './authorizer.ts'
import { loadSigningKey } from './keys.ts'
import { createTokenServer, TokenError, type TokenServer } from './token-server.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const dates = { notBefore: new Date(NOW), notAfter: new Date(NOW + 86_400_000) }
const certificate = selfSignedCertificate({ ...pair, commonName: 'x', serial: Uint8Array.of(1), ...dates })
const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
const key = loadSigningKey(toPem('CERTIFICATE', certificate), pem)

function serverWith(labels: Labels, authorizers: readonly Authorizer[]): TokenServer {
  const user: Yes = { kind: 'yes', labels }
  return createTokenServer({
    issuer: 'i',
    expiration: 900,
    key: () => key,
    keyId: 'libtrust',
    x5c: 'never',
    login: async () => user,
    chain: { find: async () => undefined, redeem: async () => undefined },
    authorizers,
    mode: 'first-match',
    adminsMayAll: false,
    anonymous: 'none',
    now: () => NOW,
    newId: () => 'id',
  })
}

const ask = (server: TokenServer, names: readonly string[]) =>
  server.issue({
    account: 'ann',
    password: 'p',
    service: 's',
    address: undefined,
    scopes: names.map((name) => ({ type: 'repository', name, actions: ['pull'] })),
  })

/** A source of rules that sees which turn of the event loop it is asked in. */
function watch() {
  let turn = 0
  let timer = setImmediate(function next() {
    turn++
    timer = setImmediate(next)
  })
  const turns: number[] = []
  const authorizer: Authorizer = {
    name: 'watch',
    authorize: (request) => {
      turns.push(turn)
      if (request.name === 'dear' && request.effort !== undefined) request.effort.left -= 200_000
      return { actions: request.actions, rule: 'all' }
    },
  }
  return { authorizer, turns, stop: () => clearImmediate(timer) }
}

describe('while scopes are decided', () => {
  let watching = watch()
  afterEach(() => watching.stop())
  const turnsOf = async (names: readonly string[]): Promise<number> => {
    watching.stop()
    watching = watch()
    const { access } = await ask(serverWith({}, [watching.authorizer]), names)
    expect(access.map(({ name }) => name)).toEqual([...names])
    return new Set(watching.turns).size
  }

  test('few of them wait for nobody', async () => {
    expect(await turnsOf(['a', 'b', 'c'])).toBe(1)
  })

  test('others have their turn between many', async () => {
    expect(await turnsOf(Array.from({ length: 40 }, (_, i) => `n${i}`))).toBeGreaterThan(30)
  })

  test('and behind a dear one', async () => {
    expect(await turnsOf(['dear', 'b', 'c'])).toBe(2)
  })
})

describe('one request', () => {
  const many = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
  const labels = { g: many('g', 80), p: many('p', 80) }
  const rule = { actions: ['pull'], comment: undefined, where: 'a.yml:1' }
  const server = (name: string) => {
    const acl = compileAcl([{ ...rule, match: { name } }])
    return serverWith(labels, [createAclAuthorizer('acl', () => acl)])
  }

  test('has one effort for all its scopes: what some may ask for, more may not', async () => {
    // Holds every value, so that each combination is tried.
    const name = `${[...labels.g, ...labels.p].join('/')}/`
    const dear = server('${labels:g}+${labels:p}')
    expect((await ask(dear, [`${name}1`])).access).toMatchObject([{ actions: [] }])
    const refused = await ask(dear, many(name, 8)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(TokenError)
    expect(refused).toMatchObject({
      kind: 'unavailable',
      message: 'Authorization failed (authz #1 returned error: too many combinations of labels)',
    })
    // The next request has its own.
    expect((await ask(dear, [`${name}1`])).access).toMatchObject([{ actions: [] }])
  })

  test('of somebody with many labels is answered for as many scopes as there may be', async () => {
    for (const name of ['${labels:g}/${labels:p}', '/^${labels:g}\\/${labels:p}(\\/.*)?$/']) {
      const names = ['g79/p79', ...many('nope/', 499)]
      const { access } = await ask(server(name), names)
      expect(access.filter(({ actions }) => actions.length > 0).map((one) => one.name)).toEqual(['g79/p79'])
    }
  })
})

describe('a token without rights', () => {
  const claimsOf = async (labels: Labels, names: readonly string[]) => {
    const { token } = await ask(serverWith(labels, []), names)
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  }

  test('names the groups of its owner; one with rights does not, nor one of somebody without groups', async () => {
    const labels = { groups: ['dev', 'ops'], team: ['a'] }
    expect(await claimsOf(labels, [])).toMatchObject({ sub: 'ann', access: [], groups: ['dev', 'ops'] })
    expect(await claimsOf(labels, ['app'])).not.toHaveProperty('groups')
    expect(await claimsOf({ team: ['a'] }, [])).not.toHaveProperty('groups')
  })

  test('stays short', async () => {
    const groups = Array.from({ length: 1000 }, (_, index) => `group-${index}`)
    expect((await claimsOf({ groups }, [])).groups).toEqual(groups.slice(0, 50))
  })
})
