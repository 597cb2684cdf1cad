import type { Config, TokenServerConfig } from '../../src/config/config.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { hashOf } from './live-server.ts'

export const SERVICE = 'Berth'

export interface DefendedOptions {
  /** Users of the configuration, each with the password `NAME secret`. */
  users?: readonly string[]
  throttle?: Partial<TokenServerConfig['throttle']>
  trustedProxies?: readonly string[]
  change?: (config: Config, tokenServer: TokenServerConfig) => void
  now?: () => number
  /** A data directory that stays. */
  directory?: string
}

/** A registry with its own token server, users of the configuration, and the administrator `admin` (`admin secret`). */
export async function startDefended(options: DefendedOptions = {}): Promise<TestRegistry> {
  const { users = ['ann', 'bob'], throttle = {}, trustedProxies = [], change, now, directory } = options
  const hashes = await Promise.all(users.map(async (user) => [user, await hashOf(`${user} secret`)] as const))
  const registry = await startRegistry({
    env: { REGISTRY_AUTH: 'token', REGISTRY_AUTH_TOKEN_SERVICE: SERVICE },
    ...(now === undefined ? {} : { now }),
    ...(directory === undefined ? {} : { directory }),
    change(config) {
      const { tokenServer } = config
      if (tokenServer === undefined) throw new Error('there is no token server')
      tokenServer.users = Object.fromEntries(hashes.map(([user, passwordHash]) => [user, { passwordHash, labels: {} }]))
      Object.assign(tokenServer.throttle, throttle)
      config.http.trustedProxies = [...trustedProxies]
      change?.(config, tokenServer)
    },
  })
  await registry.app.accounts.ensureAdmin('admin secret')
  return registry
}
