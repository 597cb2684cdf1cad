import { join } from 'node:path'
import {
  type AuthEntry,
  type CredentialFile,
  changeCredentialFile,
  parseCredentials,
  readCredentialFile,
} from './credential-file.ts'
import { credentialHelper } from './credential-helper.ts'
import { UpstreamError } from './error.ts'
import { DOCKER_HUB, DOCKER_HUB_KEY } from './reference.ts'

/** What lets somebody in, and where it was found. */
export type Credential = { source: string } & (
  | { kind: 'password'; username: string; password: string }
  /** A refresh token, for the token server. */
  | { kind: 'identity-token'; username: string; token: string }
  /** A token that the registry itself takes. */
  | { kind: 'registry-token'; token: string }
)

/** Credentials as docker and podman keep them. Nothing is read before it is asked for. */
export interface Credentials {
  /** For a repository of a registry, or for the registry alone. @throws UpstreamError for a file that cannot be read */
  find(registry: string, repository?: string): Promise<Credential | undefined>
  /** Keeps one as `docker login` does; resolves to where. @throws UpstreamError */
  store(
    registry: string,
    credential: { username: string; password: string } | { username: string; identityToken: string },
  ): Promise<string>
  /** Forgets what `store` keeps; resolves to the places that had one. @throws UpstreamError */
  erase(registry: string): Promise<string[]>
  /** Registries in the file that `store` writes to. @throws UpstreamError */
  registries(): string[]
}

export interface CredentialsOptions {
  env: Readonly<Record<string, string | undefined>>
  /** The user's home. */
  home: string
  /** The one file to use in place of all others: docker's config.json, or podman's auth.json. */
  file?: string | undefined
}

/** What a helper says in place of a name when the secret is a refresh token. */
export const TOKEN_USER = '<token>'

/**
 * In order: `DOCKER_AUTH_CONFIG`, docker's config.json (a helper of the registry, then the store for all, then its own entries), podman's
 * auth.json files. A key may be a registry or a namespace of one; the longest that fits counts (containers-auth.json(5)).
 */
export function createCredentials({ env, home, file }: CredentialsOptions): Credentials {
  const own = file ?? join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json')
  const others = file !== undefined ? [] : podmanFiles(env, home).filter((path) => path !== own)

  /** The last key is the registry's own: helpers know registries, not namespaces. */
  async function lookUp(
    found: CredentialFile,
    keys: readonly string[],
    where: string,
  ): Promise<Credential | undefined> {
    const registry = keys.at(-1)
    for (const key of keys) {
      const helper = found.credHelpers[key] ?? (key === registry ? found.credsStore : undefined)
      const kept = helper === undefined ? undefined : await credentialHelper(helper, env).get(key)
      if (kept !== undefined) {
        const source = `docker-credential-${helper}`
        if (kept.username === TOKEN_USER) return { kind: 'identity-token', username: '', token: kept.secret, source }
        return { kind: 'password', username: kept.username, password: kept.secret, source }
      }
      const entry = entryFor(found.auths, key)
      // docker takes null for an entry without anything.
      const credential = entry ? credentialOf(entry, where) : undefined
      if (credential !== undefined) return credential
    }
    return undefined
  }

  return {
    async find(registry, repository) {
      const keys = keysFor(registry, repository)
      const variable = file === undefined ? env.DOCKER_AUTH_CONFIG : undefined
      if (variable !== undefined && variable !== '') {
        const found = parseCredentials(variable, 'DOCKER_AUTH_CONFIG')
        const credential = await lookUp(
          { ...found, credsStore: undefined, credHelpers: {} },
          keys,
          'DOCKER_AUTH_CONFIG',
        )
        if (credential !== undefined) return credential
      }
      for (const path of [own, ...others]) {
        const found = readCredentialFile(path)
        const credential = found && (await lookUp(found, keys, path))
        if (credential !== undefined) return credential
      }
      return undefined
    },

    async store(registry, credential) {
      const key = keyOf(registry)
      const secret = 'password' in credential ? credential.password : credential.identityToken
      const isToken = 'identityToken' in credential
      const found = readCredentialFile(own)
      const helper = found?.credHelpers[key] ?? found?.credsStore
      if (helper !== undefined) {
        await credentialHelper(helper, env).store(key, isToken ? TOKEN_USER : credential.username, secret)
        changeCredentialFile(own, (auths) => {
          auths[key] = {}
        })
        return `docker-credential-${helper}`
      }
      changeCredentialFile(own, (auths) => {
        // As docker writes it: the name stands in `auth`, with nothing behind it beside a refresh token.
        const auth = Buffer.from(`${credential.username}:${isToken ? '' : secret}`).toString('base64')
        auths[key] = isToken ? { auth, identitytoken: secret } : { auth }
      })
      return own
    },

    async erase(registry) {
      const key = keyOf(registry)
      const found = readCredentialFile(own)
      if (found === undefined) return []
      const places: string[] = []
      const helper = found.credHelpers[key] ?? found.credsStore
      if (helper !== undefined) {
        const program = credentialHelper(helper, env)
        if ((await program.get(key)) !== undefined) places.push(`docker-credential-${helper}`)
        await program.erase(key)
      }
      const kept = Object.keys(found.auths).filter((name) => name === key || hostOf(name) === key)
      if (kept.length > 0) {
        changeCredentialFile(own, (auths) => {
          for (const name of kept) delete auths[name]
        })
        if (helper === undefined) places.push(own)
      }
      return places
    },

    registries: () => Object.keys(readCredentialFile(own)?.auths ?? {}).map(hostOf),
  }
}

/** podman and skopeo, in the order in which they look (containers-auth.json(5)). */
function podmanFiles(env: CredentialsOptions['env'], home: string): string[] {
  const runtime = env.XDG_RUNTIME_DIR
  return [
    ...(env.REGISTRY_AUTH_FILE ? [env.REGISTRY_AUTH_FILE] : []),
    ...(runtime ? [join(runtime, 'containers', 'auth.json')] : []),
    join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers', 'auth.json'),
    join(home, '.docker', 'config.json'),
  ]
}

/** `host/team/app`, `host/team`, `host`. */
function keysFor(registry: string, repository: string | undefined): string[] {
  const key = keyOf(registry)
  if (repository === undefined) return [key]
  const parts = repository.split('/')
  const namespaces = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`)
  return [...namespaces, key]
}

function keyOf(registry: string): string {
  return registry === DOCKER_HUB ? DOCKER_HUB_KEY : registry
}

function entryFor(auths: Record<string, AuthEntry>, key: string): AuthEntry | undefined {
  if (Object.hasOwn(auths, key)) return auths[key]
  if (key === DOCKER_HUB_KEY) return entryFor(auths, DOCKER_HUB)
  // Old versions of docker kept whole URLs.
  const name = Object.keys(auths).find((one) => one.includes('://') && hostOf(one) === key)
  return name === undefined ? undefined : auths[name]
}

/** `https://host:5000/v1/` → `host:5000`, as docker converts old keys. */
function hostOf(key: string): string {
  if (key === DOCKER_HUB_KEY) return DOCKER_HUB
  return key.includes('://') ? key.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '') : key
}

function credentialOf(entry: AuthEntry, source: string): Credential | undefined {
  // What the file has is whatever somebody wrote there.
  if (typeof entry !== 'object' || Object.values(entry).some((value) => value !== null && typeof value !== 'string')) {
    throw new UpstreamError('failed', `${source} has an entry of auths that is none`, {
      hint: 'log in again to replace it',
    })
  }
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken, source }
  const decoded = !entry.auth ? '' : Buffer.from(entry.auth, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (entry.identitytoken) {
    return {
      kind: 'identity-token',
      username: colon === -1 ? '' : decoded.slice(0, colon),
      token: entry.identitytoken,
      source,
    }
  }
  if (!entry.auth) return undefined
  if (colon < 1) {
    throw new UpstreamError('failed', `${source} has an auth that is not base64 of NAME:PASSWORD`, {
      hint: 'log in again to replace it',
    })
  }
  // docker cuts what old versions padded with.
  return {
    kind: 'password',
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ''),
    source,
  }
}
