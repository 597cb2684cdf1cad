import type { Clock } from './app-clock.ts'
import { openData } from './app-data.ts'
import { openFoundation } from './app-foundation.ts'
import { createTokenIdentity } from './app-identity.ts'
import { OPERATOR_CALLER } from './app-operator.ts'
import type { Config, TokenServerConfig } from './config/config.ts'
import { withHsts } from './http/hsts.ts'
import { createClientAddress } from './http/peer.ts'
import type { Fetch } from './http/server.ts'
import { splitUrl } from './http/url.ts'
import type { Log } from './telemetry/log.ts'

export interface TokenApp {
  fetch: Fetch
  /** The API for whoever may open the control socket; undefined without a data directory. */
  control: ((request: Request) => Promise<Response>) | undefined
  /** Where users of the database may log in: makes the first administrator, as `Accounts.ensureAdmin`. */
  ensureAdmin: ((wanted: string | undefined) => Promise<string | undefined>) | undefined
  /** Puts another configuration in force. @throws Error with a text for the user; the one before stays. */
  reconfigure(config: TokenServerConfig): Promise<void>
  reopen(): Promise<void>
  close(): Promise<void>
}

/** Where the admin API is, behind the prefix of the rest. */
export const API_PATH = '/api/v1'
/** Milliseconds for which the sources of a configuration that was replaced go on serving requests that began with them. */
export const GRACE = 30_000

/** The token server alone. @throws Error with a text for the user */
export async function createTokenApp(
  config: { tokenServer: TokenServerConfig; data: Config['data']; dataGiven: boolean },
  deps: Clock & { log: Log; onPassword?: (name: string) => Promise<void> },
): Promise<TokenApp> {
  let { tokenServer } = config
  const owned = config.dataGiven || needsData(tokenServer) ? await openData(config.data) : undefined
  const closers: (() => Promise<void>)[] = [async () => owned?.close()]
  const close = async () => {
    for (const closer of closers.reverse()) await closer()
  }
  try {
    const foundation = await openFoundation({
      ...deps,
      metadata: owned?.metadata,
      directory: config.data.directory,
      keepsData: config.dataGiven,
      lastUse: owned?.lastUse,
      audit: () => tokenServer.audit,
    })
    closers.push(foundation.close)
    let current = await createTokenIdentity(tokenServer, foundation.deps)
    closers.push(() => current.close())
    const api = foundation.api(() => current)
    return {
      fetch(request, connection) {
        const { path } = splitUrl(request.url)
        const basePath = `${tokenServer.pathPrefix}${API_PATH}`
        if (api === undefined || !path.startsWith(`${basePath}/`)) return current.standalone(request, connection)
        const address = createClientAddress(tokenServer.trustedProxies)(
          connection.peer(),
          request.headers.get('x-forwarded-for'),
        )
        const { hsts } = tokenServer
        return api(request, { address, basePath }).then((response) => (hsts ? withHsts(response) : response))
      },
      control: api && ((request) => api(request, { caller: OPERATOR_CALLER })),
      ensureAdmin: tokenServer.databaseUsers ? foundation.services?.accounts.ensureAdmin : undefined,
      async reconfigure(next) {
        if (owned === undefined && needsData(next)) {
          throw new Error('what the configuration asks for now needs a data directory; restart to open it')
        }
        const before = current
        current = await createTokenIdentity(next, foundation.deps)
        tokenServer = next
        setTimeout(() => void before.close(), GRACE).unref()
      },
      reopen: foundation.reopen,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What cannot be without a database or a key of its own. */
function needsData({ databaseUsers, key, signIn, refreshTokens }: TokenServerConfig): boolean {
  return databaseUsers || key === undefined || signIn.length > 0 || refreshTokens.issue === 'always'
}
