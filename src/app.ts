import { resolve } from 'node:path'
import { version } from '../package.json' with { type: 'json' }
import { type AdoptionReport, type AdoptionWishes, adoptTree, guardTree, hasTree } from './app-adoption.ts'
import { auditRowOfPurge } from './app-audit.ts'
import type { Clock } from './app-clock.ts'
import { createClockMemory } from './app-clock-memory.ts'
import { createUpkeep, runsOf, type Upkeep } from './app-collection.ts'
import { createDamageWatch, whileWhole } from './app-damage.ts'
import { openData } from './app-data.ts'
import { bootId } from './app-files.ts'
import { openFoundation } from './app-foundation.ts'
import { createIdentity, DEFAULTS, type Identity } from './app-identity.ts'
import { removeLeftovers } from './app-leftovers.ts'
import { refuseLostBlobs } from './app-lost-database.ts'
import { disksOf, observeApp } from './app-metrics.ts'
import { openNotifications } from './app-notifications.ts'
import { databaseMeter, observedStorage, tracedMetadata } from './app-observed.ts'
import { OPERATOR_CALLER } from './app-operator.ts'
import { policyOf } from './app-policy.ts'
import { openRetention, type Retaining } from './app-retention.ts'
import { openSnapshots, startDailyCopies } from './app-snapshots.ts'
import { createRoom } from './app-space.ts'
import { API_PATH, GRACE } from './app-token.ts'
import { createWatch, startConfiguredChecks, startOwnChecks, type Watch } from './app-watch.ts'
import type { Accounts } from './auth/accounts.ts'
import { ChangeError } from './auth/administration.ts'
import type { Config } from './config/config.ts'
import { createClientAddress } from './http/peer.ts'
import { createProbes } from './http/probes.ts'
import { createRequestLogger } from './http/request-log.ts'
import { createRequestMeter } from './http/request-meter.ts'
import { createRoutes } from './http/routes.ts'
import { createServer, type Fetch } from './http/server.ts'
import { createBlobHandlers } from './http/v2/blobs.ts'
import { createCatalogHandlers } from './http/v2/catalog.ts'
import { createManifestHandlers } from './http/v2/manifests.ts'
import { createOverviewHandlers } from './http/v2/overview.ts'
import { createReferrersHandlers } from './http/v2/referrers.ts'
import { createTagsHandlers } from './http/v2/tags.ts'
import { createTrashHandlers } from './http/v2/trash.ts'
import { createUploadHandlers } from './http/v2/uploads.ts'
import { createWaitingRoom } from './http/waiting-room.ts'
import type { Digest } from './oci/digest.ts'
import { createBlobs } from './registry/blobs.ts'
import { createCatalog } from './registry/catalog.ts'
import { createImmutableTags } from './registry/immutable.ts'
import { createManifests } from './registry/manifests.ts'
import { createTraffic, type Traffic } from './registry/pace.ts'
import { createPullCounts } from './registry/pull-counts.ts'
import { createQuotas } from './registry/quotas.ts'
import { createReferrers } from './registry/referrers.ts'
import { createRepositories } from './registry/repositories.ts'
import { createTags } from './registry/tags.ts'
import { createTrash } from './registry/trash.ts'
import { createTurns } from './registry/turns.ts'
import { createUploads } from './registry/uploads.ts'
import { openFilesystem } from './storage/filesystem.ts'
import type { RequestLog } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'

export const systemClock: Clock = { now: Date.now, newId: () => crypto.randomUUID() }

/** The parts of a running program, without any listener. */
export interface App {
  fetch: Fetch
  /** The token server, where it has a listener of its own. */
  tokens: Fetch | undefined
  /** The API for whoever may open the control socket. */
  control: (request: Request) => Promise<Response>
  /** What clients do; to be told how many requests are pending. */
  traffic: Traffic
  /** Everything that is counted. */
  metrics: Metrics
  accounts: Accounts
  /** Whether users of the database may log in. */
  hasAccounts: boolean
  upkeep: Upkeep
  /** Carries the rules of retention out if a run is due; it happens by itself, too. */
  retaining: Pick<Retaining, 'retain' | 'look'>
  /** Copies the database if the last copy is a day old; it happens by itself, too. */
  copyDatabase(): Promise<void>
  /** Writes how often what was pulled; it happens by itself every half minute. */
  flushPulls(): Promise<void>
  /** Removes notifications that were delivered or given up long ago; it happens by itself every minute. */
  pruneNotifications(): Promise<void>
  /** Counts what was there before the quotas that are new; it happens by itself, too. */
  countQuotas(): Promise<void>
  /**
   * Puts another configuration in force, except for its data, listeners and log. Requests under way end as they began.
   * @throws Error with a text for the user; the configuration before stays.
   */
  reconfigure(config: Config): Promise<void>
  /** Whether another registry left images that are not adopted yet: until `adopt`, requests are answered with 503. */
  isAdopting(): boolean
  /** Adopts them. Undefined when there are none. @throws Error with a text for the operator. */
  adopt(wishes: AdoptionWishes): Promise<AdoptionReport | undefined>
  /** After a tool has moved the audit file away. */
  reopen(): Promise<void>
  close(): Promise<void>
}

/** One configuration in force. */
interface Front {
  config: Config
  identity: Identity
  fetch: Fetch
}

/** The composition root: the only place that names concrete adapters. @throws Error with a text for the user. */
export async function createApp(
  config: Config,
  deps: Clock & {
    log: RequestLog
    onPassword: (name: string) => Promise<void>
    /** Of a server, whose health is then checked. */
    watch?: Watch
    /** False: a command's own program, in which nothing happens by itself, and nobody is notified. */
    background?: boolean
  },
): Promise<App> {
  const { log, now, newId, watch = createWatch({ log }) } = deps
  const { metrics, health, lifecycle, tracer } = watch
  const disks = () => disksOf([...new Set([config.data.directory, config.data.metadata])])
  let settings = config
  const room = createRoom({ data: config.data, config: () => settings, log, metrics })
  const { space } = room
  const damaged = createDamageWatch({ data: config.data, log })
  const { damage } = damaged
  const owned = await openData(config.data, {
    ...{ meter: databaseMeter(watch), onNoSpace: room.relieve, onOwned: room.relieveIfFull, damage },
  })
  try {
    const metadata = tracedMetadata(owned.metadata, watch)
    await refuseLostBlobs(resolve(config.data.directory), metadata)
    const storage = observedStorage(await openFilesystem({ directory: config.data.directory }), watch)
    owned.closers.push(() => storage.close())

    let front: Front | undefined
    const told = await openNotifications({
      ...{ metadata, metrics, log, now, newId },
      config: () => front?.config ?? config,
      delivers: deps.background ?? true,
    })
    owned.closers.push(told.close)
    const { events } = told

    let policy = policyOf(config)
    const turns = createTurns()
    const traffic = createTraffic()
    const delay = () => settings.gc.delayMs
    const caches = { manifest: { requests: 0, hits: 0 }, blob: { requests: 0, hits: 0 } }
    const { blobs: remembered } = config.cache
    const blobs = createBlobs({ metadata, storage, now, turns, delay, remembered, counts: caches.blob, events })
    const onBlob = blobs.forget
    const onQuota = (error: unknown) => log.warn('what a quota is over could not be counted', { error })
    const quotas = createQuotas({ metadata, now, onFailure: onQuota })
    owned.closers.push(quotas.stop)
    const uploads = createUploads({
      ...{ metadata, storage, now, newId, bootId: bootId(), turns, onBlob, events, space, quotas },
    })
    const onFreed = (digests: readonly Digest[]) => digests.forEach(blobs.forget)
    const counts = caches.manifest
    const immutable = createImmutableTags({ rules: metadata.immutable, configured: () => settings.immutable, now })
    const pulls = createPullCounts({ pulls: metadata.pulls, now, log })
    owned.closers.push(pulls.close)
    const manifests = createManifests({
      metadata,
      now,
      policy: () => policy,
      onFreed,
      onMissing: onFreed,
      counts,
      pulls,
      events,
      space,
      immutable,
    })
    let isAdopting = hasTree(config)
    const clockMemory = createClockMemory(config.data.directory)
    const snapshots = openSnapshots(config.data, { log, now, newId, damage, background: deps.background ?? true })
    owned.closers.push(() => snapshots.stop())
    const copying = startDailyCopies({
      ...{ data: config.data, config: () => settings, background: deps.background ?? true, damage, log, now },
    })
    owned.closers.push(() => copying.stop())
    const repositories = createRepositories({
      ...{ metadata, manifests, blobs, uploads, pulls, immutable, events, onFreed, now, newId },
      onRenamed: () => void quotas.tend(),
    })
    const startUpkeep = () =>
      createUpkeep({
        ...{ metadata, storage, blobs, manifests, uploads, repositories, quotas, watch, traffic, log, now, newId },
        policy: () => policy,
        config: () => settings,
        // Nothing may be collected of what is not wholly adopted.
        background: (deps.background ?? true) && !isAdopting,
        ...{ lastUse: owned.lastUse, clockMemory },
        isHeld: snapshots.isHolding,
      })
    let upkeep = startUpkeep()
    owned.closers.push(() => upkeep.stop())
    const retaining = openRetention({
      ...{ metadata, storage, manifests, immutable, events, onFreed, traffic, log, now, newId },
      config: () => settings,
      flushPulls: pulls.flush,
      isAdopting: () => isAdopting,
      background: deps.background ?? true,
      ...{ lastUse: owned.lastUse, clockMemory },
    })
    owned.closers.push(retaining.stop)
    const tags = createTags({ metadata })
    const referrers = createReferrers({ metadata })
    const catalog = createCatalog({ metadata })

    let answer: Fetch = notThere
    const show = (next: Front): void => {
      front = next
      answer = isAdopting ? createWaitingRoom(next.fetch, next.config.http.prefix) : next.fetch
    }
    const current = (): Front => {
      if (front === undefined) throw new Error('nothing is configured yet')
      return front
    }
    const foundation = await openFoundation({
      ...deps,
      metrics,
      metadata,
      directory: config.data.directory,
      keepsData: true,
      ...{ lastUse: owned.lastUse, clockMemory },
      audit: () => front?.config.tokenServer?.audit ?? config.tokenServer?.audit ?? DEFAULTS.audit,
    })
    owned.closers.push(foundation.close)
    const { services } = foundation
    if (services === undefined) throw new Error('a registry has a database')

    const meter = watch.metered ? createRequestMeter(metrics) : undefined
    const probes = createProbes({ health, lifecycle, telling: false })
    const api = foundation.api(() => current().identity, {
      notifications: told.notifications,
      snapshots: () => (isAdopting ? undefined : snapshots),
      collection: whileWhole(
        runsOf(() => {
          if (isAdopting)
            throw new ChangeError('conflict', 'images are still being adopted; try again when that has ended')
          return upkeep.runs
        }),
        ['status', 'why'],
        damaged,
      ),
      verifyRate: () => settings.verify.rate,
      verification: () => (isAdopting ? undefined : upkeep.verification.runs),
      trash: whileWhole(createTrash({ metadata, manifests, immutable, now }), ['list', 'history'], damaged),
      repositories: () => (isAdopting ? undefined : repositories),
      immutable,
      retention: retaining.retention,
      quotas: whileWhole(quotas, ['list', 'show'], damaged),
      trashWindow: () => settings.trash.windowMs,
    })

    async function open(next: Config): Promise<Front> {
      const identity = await createIdentity(next, foundation.deps)
      const { prefix, host, trustedProxies, relativeUrls, headers } = next.http
      const clientAddress = createClientAddress(trustedProxies)
      const basePath = `${prefix.slice(0, -1)}${API_PATH}`
      const routes = createRoutes({
        blobs: createBlobHandlers({ blobs }),
        manifests: createManifestHandlers({ manifests }),
        uploads: createUploadHandlers({ uploads, blobs, chunkMinLength: next.uploads.chunkMinLength }),
        tags: createTagsHandlers({ tags, maxTags: next.tags.maxTags }),
        referrers: createReferrersHandlers({ referrers }),
        catalog: createCatalogHandlers({ catalog, maxEntries: next.catalog.maxEntries }),
        overview: createOverviewHandlers({ catalog, tags }),
        trash: createTrashHandlers({
          purge: (repository, digest) => upkeep.collector.purgeImage(repository, digest),
          record: (event) => foundation.deps.record(auditRowOfPurge(event, now())),
        }),
      })
      const fetch = createServer({
        routes,
        gate: identity.gate,
        logger: createRequestLogger({ log, every: next.log.requests, clientAddress }),
        meter,
        tracer,
        traffic,
        health,
        probes,
        prefix,
        host: host?.replace(/\/+$/, ''),
        relativeUrls,
        clientAddress,
        headers,
        readOnly: next.readOnly,
        deleteEnabled: next.delete.enabled,
        elsewhere(request, connection, path) {
          if (api === undefined || !path.startsWith(`${basePath}/`)) {
            return identity.embedded(request, connection, path)
          }
          const address = clientAddress(connection.peer(), request.headers.get('x-forwarded-for'))
          return api(request, { address, basePath })
        },
      })
      return { config: next, identity, fetch }
    }

    guardTree(config)
    const first = await open(config)
    show(first)
    observeApp(watch, { version, metadata, disks, caches })
    // A command's own program may know another configuration than the server's.
    const isServer = deps.background ?? true
    if (isServer) await quotas.configure(config.quotas)
    // Not for a command that only has a question.
    const isServing = deps.watch !== undefined
    if (isServing) {
      const own = startOwnChecks(watch, { metadata, room, damaged })
      owned.closers.push(async () => own.stop())
      const keeping = room.start()
      owned.closers.push(() => keeping.stop())
      const checking = damaged.start()
      owned.closers.push(() => checking.stop())
      if (!isAdopting) {
        const leftovers = await removeLeftovers({ metadata, storage, uploads, log })
        owned.closers.push(() => leftovers.done)
      }
    }
    let checks = isServing ? startConfiguredChecks(config.health, watch, storage) : undefined
    owned.closers.push(async () => checks?.stop())
    owned.closers.push(() => current().identity.close())
    return {
      fetch: (request, connection) => answer(request, connection),
      tokens:
        first.identity.standalone === undefined
          ? undefined
          : (request, connection) => (current().identity.standalone ?? notThere)(request, connection),
      control: async (request) => (await api?.(request, { caller: OPERATOR_CALLER })) ?? notThere(),
      traffic,
      metrics,
      accounts: services.accounts,
      hasAccounts: config.tokenServer?.databaseUsers === true,
      get upkeep() {
        return upkeep
      },
      retaining,
      copyDatabase: copying.run,
      flushPulls: pulls.flush,
      pruneNotifications: told.prune,
      countQuotas: quotas.tend,
      async reconfigure(next) {
        const opened = await open(next)
        const before = current()
        policy = policyOf(next)
        settings = next
        if (isServer) await quotas.configure(next.quotas)
        show(opened)
        await told.reconfigure()
        if (isServing && JSON.stringify(before.config.health) !== JSON.stringify(next.health)) {
          checks?.stop()
          checks = startConfiguredChecks(next.health, watch, storage)
        }
        setTimeout(() => void before.identity.close(), GRACE).unref()
      },
      isAdopting: () => isAdopting,
      async adopt(wishes) {
        const report = await adoptTree(config, { metadata, now }, wishes)
        isAdopting = false
        void quotas.tend()
        await upkeep.stop()
        upkeep = startUpkeep()
        show(current())
        return report
      },
      reopen: foundation.reopen,
      close: owned.close,
    }
  } catch (error) {
    await owned.close()
    throw error
  }
}

function notThere(): Response {
  return new Response('Not found\n', { status: 404 })
}
