import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the real provider is set up with; its people log in by name with any password. */
export interface OidcProviderOptions {
  clientId: string
  /** Undefined: a public client. */
  clientSecret: string | undefined
  /** Default `client_secret_basic`. */
  authMethod?: 'client_secret_basic' | 'client_secret_post' | 'none'
  redirectUris: readonly string[]
  /** Claims of an account, by the name that it logs in with. */
  people: Readonly<Record<string, Record<string, unknown>>>
  /** Whether the claims stand in the ID token, or (the standard) in the user information alone. */
  inIdToken?: boolean
}

export interface OidcProvider {
  issuer: string
  /** Requests that reached it, oldest first: `POST /token`. */
  requests: string[]
  /** `down`: 503 to everything; `silent`: it takes requests and does not answer. */
  trouble: 'none' | 'down' | 'silent'
  stop(): Promise<void>
}

interface Provider {
  callback(): (request: IncomingMessage, response: ServerResponse) => void
}

/** It has no types of its own. */
type ProviderClass = new (issuer: string, configuration: Record<string, unknown>) => Provider

const LIBRARY: string = 'oidc-provider'

/** The certified provider `oidc-provider` on a free port of this machine, with PKCE demanded of every client. */
export async function startOidcProvider(options: OidcProviderOptions): Promise<OidcProvider> {
  const { default: Provider } = await quietly(async () => (await import(LIBRARY)) as { default: ProviderClass })
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const issuer = `http://127.0.0.1:${port}`
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const named = [...new Set(Object.values(options.people).flatMap((claims) => Object.keys(claims)))]
  const provider = await quietly(
    async () =>
      new Provider(issuer, {
        clients: [
          {
            client_id: options.clientId,
            ...(options.clientSecret === undefined ? {} : { client_secret: options.clientSecret }),
            token_endpoint_auth_method: options.authMethod ?? 'client_secret_basic',
            redirect_uris: options.redirectUris,
            response_types: ['code'],
            grant_types: ['authorization_code'],
            // Plain http is for native clients in its eyes.
            application_type: 'native',
          },
        ],
        pkce: { required: () => true },
        claims: { openid: ['sub', ...named] },
        conformIdTokenClaims: options.inIdToken !== true,
        // Those it would warn about.
        ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
        renderError: (context: { body: unknown }, out: unknown) => {
          context.body = out
        },
        cookies: { keys: ['fixture'] },
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'fixture' }] },
        findAccount: (_: unknown, id: string) => {
          const claims = options.people[id]
          return claims === undefined ? undefined : { accountId: id, claims: () => ({ sub: id, ...claims }) }
        },
      }),
  )
  const handle = provider.callback()
  const fixture: OidcProvider = {
    issuer,
    requests: [],
    trouble: 'none',
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    fixture.requests.push(`${request.method} ${request.url?.split('?', 1)[0]}`)
    if (fixture.trouble === 'down') response.writeHead(503).end('down')
    else if (fixture.trouble === 'none') handle(request, response)
  })
  return fixture
}

/** It warns of every setting that is not for production. */
async function quietly<T>(make: () => Promise<T>): Promise<T> {
  const { info, warn } = console
  console.info = () => {}
  console.warn = () => {}
  try {
    return await make()
  } finally {
    Object.assign(console, { info, warn })
  }
}
