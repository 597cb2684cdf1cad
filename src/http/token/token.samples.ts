import { generateKeyPairSync } from 'node:crypto'
import { type AclEntry, compileAcl } from '../../auth/acl.ts'
import { createAclAuthorizer } from '../../auth/acl-authorizer.ts'
import type { Authenticator } from '../../auth/authenticator.ts'
import { createChain } from '../../auth/chain.ts'
import { loadSigningKey } from '../../auth/keys.ts'
import { createLogin } from '../../auth/login.ts'
import { createPasswords } from '../../auth/password.ts'
import { createStaticAuthenticator, type StaticUser } from '../../auth/static.ts'
import type { Throttle } from '../../auth/throttle.ts'
import { createTokenServer, type TokenEvent, type TokenServerOptions } from '../../auth/token-server.ts'
import { selfSignedCertificate, toPem } from '../../x509/certificate.ts'
import { createTokenEndpoint, type TokenEndpointOptions } from './token.ts'

export const NOW = Date.parse('2026-03-01T12:00:00.789Z')
export const now = () => NOW
export const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const dates = { notBefore: new Date(NOW - 1000), notAfter: new Date(NOW + 86_400_000) }
export const pem = toPem(
  'CERTIFICATE',
  selfSignedCertificate({ privateKey, publicKey, commonName: 'x', serial: Uint8Array.of(1), ...dates }),
)
export const key = loadSigningKey(pem, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())

export const BADMIN = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'
export const H123 = '$2y$05$WuwBasGDAgr.QCbGIjKJaep4dhxeai9gNZdmBnQXqpKly57oNutya'
export const user = (passwordHash: string | undefined): StaticUser => ({ passwordHash, labels: {} })
export const rule = (match: AclEntry['match'], actions: string[]): AclEntry => ({
  match,
  actions,
  comment: undefined,
  where: `a.yml: ${JSON.stringify(match)}`,
})

// docker_auth's simple.yml, with an open user and one whose hash is none. A user that is null in YAML is no user.
export const usersA = { admin: user(BADMIN), test: user(H123), open: user(undefined), bad: user('plaintext') }
export const aclA = [
  rule({ account: 'admin' }, ['*']),
  rule({ account: 'test', name: 'test-*' }, ['*']),
  rule({ account: 'test' }, ['pull']),
]
export const usersB = { ...usersA, '': user(undefined) }
export const aclB = [...aclA, rule({ account: '', name: 'hello-world' }, ['pull'])]

export const passwords = createPasswords({ now })

export interface Setup {
  users?: Record<string, StaticUser>
  acl?: readonly AclEntry[]
  /** In place of `users`. */
  sources?: readonly Authenticator[]
  throttle?: Throttle
  server?: Partial<TokenServerOptions>
  endpoint?: Partial<TokenEndpointOptions>
}

export function setup({ users = usersA, acl = aclA, sources, throttle, server = {}, endpoint = {} }: Setup = {}) {
  const compiled = compileAcl(acl)
  const chain = createChain(sources ?? [createStaticAuthenticator({ users, passwords })], passwords)
  const events: TokenEvent[] = []
  let ids = 0
  const tokenServer = createTokenServer({
    issuer: 'Acme auth server',
    expiration: 900,
    key: () => key,
    keyId: 'libtrust',
    x5c: 'never',
    login: createLogin({ chain, passwords, throttle, now }),
    chain,
    authorizers: [createAclAuthorizer('acl', () => compiled)],
    mode: 'first-match',
    adminsMayAll: false,
    anonymous: 'none',
    now,
    newId: () => String(++ids),
    record: (event) => events.push(event),
    ...server,
  })
  const handle = createTokenEndpoint({
    server: tokenServer,
    pathPrefix: '',
    hsts: false,
    realIpHeader: undefined,
    realIpPos: 0,
    ...endpoint,
  })
  const call = async (target: string, init: RequestInit = {}, peer: string | undefined = '127.0.0.1') => {
    const [path = '', query = ''] = target.split(/\?(.*)/s)
    return await handle(new Request('http://localhost/', init), { peer, path, query })
  }
  return { call, events, tokenServer }
}

export const A = setup()
export const B = setup({ users: usersB, acl: aclB })

export const basic = (credentials: string) => ({ authorization: `Basic ${btoa(credentials)}` })
export const as = (credentials: string, init: RequestInit = {}): RequestInit => ({
  ...init,
  headers: { ...basic(credentials), ...(init.headers as object) },
})
export const form = (body: string, method = 'POST'): RequestInit => ({
  method,
  body,
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
})
export const withForm = (credentials: string, body: string): RequestInit => ({
  ...form(body),
  headers: { ...basic(credentials), 'content-type': 'application/x-www-form-urlencoded' },
})

export interface Answer {
  token: string
  error: string
}

/** The JSON of an answer. */
export async function bodyOf(response: Response): Promise<Answer> {
  return (await response.json()) as Answer
}

export function claimsOf(token: string) {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

/** `SUBJECT` of the token for a success, else `STATUS TEXT`. */
export async function summary(response: Response): Promise<string> {
  const text = await response.text()
  if (response.status !== 200) return `${response.status} ${text}`
  return `token ${claimsOf(JSON.parse(text).access_token).sub}`
}
