import { randomUUID } from 'node:crypto'
import { openData } from './app-data.ts'
import { bootId } from './app-files.ts'
import { type Clock, createIdentity, endpointOf, tokenServerOf } from './app-identity.ts'
import { policyOf } from './app-policy.ts'
import { type Accounts, createAccounts } from './auth/accounts.ts'
import { createPasswords } from './auth/password.ts'
import type { Config, TokenServerConfig } from './config/config.ts'
import { createControl } from './http/api/control.ts'
import { createClientAddress } from './http/peer.ts'
import { createRoutes } from './http/routes.ts'
import { createServer, type Fetch } from './http/server.ts'
import { createBlobHandlers } from './http/v2/blobs.ts'
import { createCatalogHandlers } from './http/v2/catalog.ts'
import { createManifestHandlers } from './http/v2/manifests.ts'
import { createReferrersHandlers } from './http/v2/referrers.ts'
import { createTagsHandlers } from './http/v2/tags.ts'
import { createUploadHandlers } from './http/v2/uploads.ts'
import { startExpiringUploads } from './jobs/expire-uploads.ts'
import { createBlobs } from './registry/blobs.ts'
import { createCatalog } from './registry/catalog.ts'
import { createManifests } from './registry/manifests.ts'
import { createReferrers } from './registry/referrers.ts'
import { createTags } from './registry/tags.ts'
import { createUploads } from './registry/uploads.ts'
import { openFilesystem } from './storage/filesystem.ts'
import type { Log } from './telemetry/log.ts'

export const systemClock: Clock = { now: Date.now, newId: randomUUID }

/** The parts of a running program, without any listener. */
export interface App {
  fetch: Fetch
  /** The token server, where it has a listener of its own. */
  tokens: Fetch | undefined
  control: (request: Request) => Promise<Response>
  accounts: Accounts
  /** Whether users of the database may log in. */
  hasAccounts: boolean
  /** Ends uploads that nobody went on with; it happens by itself every hour. */
  expireUploads(): Promise<void>
  close(): Promise<void>
}

/** The composition root: the only place that names concrete adapters. @throws Error with a text for the user. */
export async function createApp(
  config: Config,
  deps: Clock & { log: Log; onPassword: (name: string) => Promise<void> },
): Promise<App> {
  const { log, now, newId } = deps
  const owned = await openData(config.data)
  try {
    const { metadata } = owned
    const storage = await openFilesystem({ directory: config.data.directory })
    owned.closers.push(() => storage.close())

    const passwords = createPasswords({ now })
    const identity = await createIdentity(config, { metadata, passwords, log, now, newId })
    const blobs = createBlobs({ metadata, storage, now })
    const uploads = createUploads({ metadata, storage, now, newId, bootId: bootId(), onBlob: blobs.forget })
    const manifests = createManifests({ metadata, now, policy: policyOf(config.validation) })
    const routes = createRoutes({
      blobs: createBlobHandlers({ blobs }),
      manifests: createManifestHandlers({ manifests }),
      uploads: createUploadHandlers({ uploads, blobs, chunkMinLength: config.uploads.chunkMinLength }),
      tags: createTagsHandlers({ tags: createTags({ metadata }), maxTags: config.tags.maxTags }),
      referrers: createReferrersHandlers({ referrers: createReferrers({ metadata }) }),
      catalog: createCatalogHandlers({ catalog: createCatalog({ metadata }), maxEntries: config.catalog.maxEntries }),
    })
    const expiry = startExpiringUploads({ uploads, log, now })
    owned.closers.push(() => expiry.stop())
    const accounts = createAccounts({ metadata, now })
    const onPassword = async (name: string) => {
      passwords.forget()
      await deps.onPassword(name)
    }
    return {
      fetch: createServer({
        routes,
        gate: identity.gate,
        log,
        prefix: config.http.prefix,
        host: config.http.host?.replace(/\/+$/, ''),
        relativeUrls: config.http.relativeUrls,
        headers: config.http.headers,
        readOnly: config.readOnly,
        deleteEnabled: config.delete.enabled,
        elsewhere: identity.embedded,
      }),
      tokens: identity.standalone,
      control: createControl({ accounts, onPassword }),
      accounts,
      hasAccounts: config.tokenServer?.databaseUsers === true,
      expireUploads: expiry.run,
      close: owned.close,
    }
  } catch (error) {
    await owned.close()
    throw error
  }
}

/** The token server alone. */
export async function createTokenApp(
  config: { tokenServer: TokenServerConfig; data: Config['data'] },
  deps: Clock & { log: Log },
): Promise<{ fetch: Fetch; close(): Promise<void> }> {
  const { tokenServer } = config
  const needsData = tokenServer.databaseUsers || tokenServer.key === undefined
  const owned = needsData ? await openData(config.data) : undefined
  try {
    const passwords = createPasswords({ now: deps.now })
    const server = await tokenServerOf(tokenServer, {
      ...deps,
      passwords,
      metadata: owned?.metadata,
      data: config.data,
    })
    const clientAddress = createClientAddress([])
    return { fetch: endpointOf(server.server, { ...tokenServer, clientAddress }), close: async () => owned?.close() }
  } catch (error) {
    await owned?.close()
    throw error
  }
}

/** The data directory of a server that does not run. @throws Error while one runs. */
export async function openAccounts(
  data: Config['data'],
  now: () => number,
): Promise<{ accounts: Accounts; close(): Promise<void> }> {
  const { metadata, close } = await openData(data)
  return { accounts: createAccounts({ metadata, now }), close }
}
