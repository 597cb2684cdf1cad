import { join } from 'node:path'
import { type Authorization, createAuthorization } from './authorization.ts'
import { type Blobs, createBlobs } from './blobs.ts'
import { type Credential, type Credentials, createCredentials } from './credentials.ts'
import { createRegistry, type Registry } from './registry.ts'
import { createSession, type Session } from './session.ts'
import { createTransport, type Transport } from './transport.ts'
import { createTrust } from './trust.ts'
import type { UploadMemory } from './upload.ts'

/** A client of any registry. */
export interface Upstream extends Registry {
  blobs: Blobs
  credentials: Credentials
  authorization: Authorization
  session: Session
  transport: Transport
}

export interface UpstreamOptions {
  env: Readonly<Record<string, string | undefined>>
  home: string
  userAgent: string
  /** Milliseconds since the epoch. */
  now: () => number
  /** The one file of credentials, in place of those that docker and podman have. */
  credentialFile?: string | undefined
  /** Who asks, in place of what is kept. */
  as?: { username: string; password: string } | { username: string; identityToken: string } | undefined
  caFile?: string | undefined
  certFile?: string | undefined
  keyFile?: string | undefined
  certDirs?: readonly string[]
  /** Manifests are fetched to be shown to somebody: Berth does not count that as pulls. */
  looking?: boolean
  insecure?: boolean
  plainHttp?: boolean
  headers?: Readonly<Record<string, string>>
  /** Where a `host:port` is, in place of what its name says. */
  addresses?: ReadonlyMap<string, string>
  retries?: number
  retryDelayMs?: number
  timeoutMs?: number
  signal?: AbortSignal | undefined
  trace?: (line: string) => void
  /** Uploads that ended before they were whole. */
  uploads?: UploadMemory | undefined
}

/** Where docker and podman look for certificates of a registry. */
function certificateFolders(home: string): string[] {
  return [
    '/etc/docker/certs.d',
    '/etc/containers/certs.d',
    join(home, '.config', 'containers', 'certs.d'),
    join(home, '.config', 'docker', 'certs.d'),
  ]
}

function given(as: NonNullable<UpstreamOptions['as']>): Credential {
  const source = 'the command line'
  if ('password' in as) return { kind: 'password', ...as, source }
  return { kind: 'identity-token', username: as.username, token: as.identityToken, source }
}

/** @throws UpstreamError for certificate files that cannot be used */
export function createUpstream(options: UpstreamOptions): Upstream {
  const { env, home, now, insecure = false, as } = options
  const trust = createTrust({
    caFile: options.caFile,
    certFile: options.certFile,
    keyFile: options.keyFile,
    certDirs: options.certDirs ?? certificateFolders(home),
  })
  const transport = createTransport({ ...options, trust })
  const kept = createCredentials({ env, home, file: options.credentialFile })
  const credentials: Credentials = as === undefined ? kept : { ...kept, find: async () => given(as) }
  const authorization = createAuthorization({ transport, credentials, insecure, now })
  const session = createSession({ transport, authorization })
  return {
    ...createRegistry({ session, looking: options.looking ?? false }),
    blobs: createBlobs({ ...options, session }),
    credentials,
    authorization,
    session,
    transport,
  }
}
