import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readGiven } from './app-files.ts'
import { checkKey, type KeyFinding } from './auth/key-check.ts'
import { loadSigningKey, type SigningKey } from './auth/keys.ts'
import { OWN_CERTIFICATE_FILE, OWN_KEY_FILE } from './auth/own-key.ts'
import type { Config, TokenServerConfig } from './config/config.ts'

export type Finding = KeyFinding

/**
 * Looks at what makes registries refuse tokens.
 * @param bundle path of the `rootcertbundle` of a registry elsewhere; undefined: that of the configuration, if it has one.
 */
export function examine(
  config: Pick<Config, 'tokenServer' | 'data'> & Partial<Pick<Config, 'auth'>>,
  options: { bundle: string | undefined; now: number },
): Finding[] {
  const { tokenServer, auth, data } = config
  if (tokenServer === undefined) return [{ kind: 'fine', message: 'no token server is configured' }]
  const path = options.bundle ?? (auth?.kind === 'token' ? auth.rootCertBundle : undefined)
  try {
    const key = keyOf(tokenServer, data)
    if (key === undefined) return [{ kind: 'fine', message: 'the token key is made at the first start' }]
    const { keyId, x5c } = tokenServer
    const bundle = readGiven('rootcertbundle', path)
    const found = checkKey({ key, keyId, x5c, bundle, now: options.now })
    return found.length > 0 ? found : [{ kind: 'fine', message: `the token key ${key.ids[keyId]} is fine` }]
  } catch (error) {
    return [{ kind: 'problem', message: error instanceof Error ? error.message : String(error) }]
  }
}

function keyOf(config: TokenServerConfig, data: Config['data']): SigningKey | undefined {
  const own = [join(data.directory, OWN_CERTIFICATE_FILE), join(data.directory, OWN_KEY_FILE)]
  const isOwn = config.certificate === undefined || config.key === undefined
  if (isOwn && !own.every(existsSync)) return undefined
  const certificate = readGiven('token.certificate', isOwn ? own[0] : config.certificate)
  const key = readGiven('token.key', isOwn ? own[1] : config.key)
  return certificate === undefined || key === undefined ? undefined : loadSigningKey(certificate, key)
}
