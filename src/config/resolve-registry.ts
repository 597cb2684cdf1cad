import type { Config, ValidationConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { nodeAt } from './node.ts'
import { regexpFault } from './pattern.ts'
import type { Places } from './places.ts'
import { resolveGc, resolveSpace, resolveTrash } from './resolve-collection.ts'
import { resolveHealth } from './resolve-health.ts'
import { resolveImmutable, resolveQuotas } from './resolve-limits.ts'
import { resolveLog } from './resolve-log.ts'
import { resolveRetention } from './resolve-retention.ts'
import { resolveVerify } from './resolve-verify.ts'
import { refuseUnitless } from './span.ts'

/** distribution's default for a page of the catalog and of a list of tags. */
const PAGE = 1000
const DEFAULT_DIRECTORY = '/var/lib/registry'

/** Entries of the cache in memory, some 300 bytes each: what the original calls unlimited. */
const MOST_CACHED = 1_000_000
const CLASSES = ['image', 'plugin']
/** Middleware of the original that only sends clients elsewhere for a blob. */
const REDIRECTS = ['redirect', 'rewrite', 'cloudfront']

type Rest = Pick<
  Config,
  | 'data'
  | 'delete'
  | 'readOnly'
  | 'validation'
  | 'policy'
  | 'cache'
  | 'catalog'
  | 'tags'
  | 'log'
  | 'uploads'
  | 'gc'
  | 'trash'
  | 'space'
  | 'backup'
  | 'verify'
  | 'immutable'
  | 'retention'
  | 'quotas'
  | 'health'
>

/** Everything of the registry but its listener and who may use it. */
export function resolveRegistry(raw: Distribution, places: Places): Rest {
  checkStorageMiddleware(raw.middleware.storage, places)
  const purging = raw.storage.maintenance.uploadpurging
  refuseUnitless(purging.age, ['storage', 'maintenance', 'uploadpurging', 'age'], places)
  const trash = resolveTrash(raw.trash, places)
  return {
    data: resolveData(raw, places),
    delete: { enabled: raw.storage.delete.enabled },
    readOnly: raw.storage.maintenance.readonly.enabled,
    validation: resolveValidation(raw.validation, places),
    policy: { classes: resolveClasses(raw.policy.repository.classes, places) },
    cache: { blobs: resolveCache(raw.storage.cache, places) },
    catalog: { maxEntries: raw.catalog.maxentries <= 0 ? PAGE : raw.catalog.maxentries },
    tags: { maxTags: resolveMaxTags(raw.tags.maxtags, places) },
    log: resolveLog(raw, places),
    health: resolveHealth(raw.health, places),
    uploads: {
      chunkMinLength: raw.uploads.chunkminlength,
      purging: { enabled: purging.enabled, ageMs: purging.age, intervalMs: purging.interval, dryRun: purging.dryrun },
    },
    gc: resolveGc(raw.gc, places),
    trash,
    space: resolveSpace(raw.space, trash, places),
    backup: raw.backup,
    verify: resolveVerify(raw.verify, places),
    immutable: resolveImmutable(raw.immutable, places),
    retention: resolveRetention(raw.retention, places),
    quotas: resolveQuotas(raw.quotas, places),
  }
}

export function resolveData(raw: Distribution, places: Places): Config['data'] {
  const directory = raw.storage.filesystem.rootdirectory || DEFAULT_DIRECTORY
  const storage = nodeAt(places.root, ['storage'])
  const sections = ['cache', 'redirect', 'tag', 'delete', 'maintenance']
  const types = storage?.kind === 'map' ? [...storage.entries.keys()].filter((key) => !sections.includes(key)) : []
  if (types.length === 0) {
    places.problem(
      ['storage'],
      'no storage configuration provided',
      'Add storage.filesystem.rootdirectory, or say --data DIR.',
    )
  } else if (types.length > 1) {
    places.problem(['storage'], `must provide exactly one storage type. Provided: [${types.join(' ')}]`)
  }
  return { directory, metadata: raw.metadata.path || directory }
}

/** A cache in memory is always there; what asks for another kind, or for none, is told so. */
function resolveCache(raw: Distribution['storage']['cache'], places: Places): number | undefined {
  const key = raw.blobdescriptor ? 'blobdescriptor' : 'layerinfo'
  const kind = raw[key] ?? ''
  if (kind === 'redis') {
    places.warn(['storage', 'cache', key], 'no Redis is used: what is known of blobs is in memory and in the database')
  } else if (kind !== '' && kind !== 'inmemory') {
    const message = `${JSON.stringify(kind)} is no kind of cache; the one in memory is used`
    places.warn(['storage', 'cache', key], message, 'Write inmemory, or remove the key.')
  }
  const size = raw.blobdescriptorsize
  if (size === undefined || kind === 'redis') return undefined
  return size <= 0 ? MOST_CACHED : Math.min(size, MOST_CACHED)
}

function resolveClasses(classes: readonly string[], places: Places): string[] {
  for (const [index, name] of classes.entries()) {
    if (CLASSES.includes(name)) continue
    const message = `no manifest is of the class ${JSON.stringify(name)}`
    places.warn(['policy', 'repository', 'classes', index], message, `Known are ${CLASSES.join(' and ')}.`)
  }
  return [...classes]
}

/** Redirects spare the original work; what they lead to is served here all the same. Other middleware may do anything. */
function checkStorageMiddleware(entries: Distribution['middleware']['storage'], places: Places): void {
  for (const [index, { name = '', disabled }] of entries.entries()) {
    const path = ['middleware', 'storage', index, 'name']
    if (disabled) continue
    if (REDIRECTS.includes(name)) {
      const fix = 'Remove the entry, or put a cache in front of the registry.'
      places.warn(path, `${name} has no effect in Berth, which serves blobs itself`, fix)
    } else {
      const fix = 'Berth cannot load middleware; remove the entry, or disable it.'
      places.problem(path, `storage middleware not registered with name: ${name}`, fix)
    }
  }
}

function resolveMaxTags(tags: number, places: Places): number {
  if (tags < 0) places.problem(['tags', 'maxtags'], 'must not be negative', `Write 0 for the default (${PAGE}).`)
  return tags <= 0 ? PAGE : tags
}

function resolveValidation(raw: Distribution['validation'], places: Places): ValidationConfig {
  if (raw.enabled === false && !raw.disabled) {
    const fix = 'To turn validation off, write disabled: true.'
    places.warn(['validation', 'enabled'], 'has no effect in the original either; manifests are validated', fix)
  }
  const { urls, indexes } = raw.manifests
  for (const kind of ['allow', 'deny'] as const) {
    for (const [index, pattern] of urls[kind].entries()) {
      const fault = regexpFault(pattern)
      if (fault !== undefined)
        places.problem(['validation', 'manifests', 'urls', kind, index], `is no pattern: ${fault}`)
    }
  }
  const list = indexes.platformlist.map(({ architecture = '', os = '' }, index) => {
    if (architecture === '' || os === '') {
      places.problem(['validation', 'manifests', 'indexes', 'platformlist', index], 'must have architecture and os')
    }
    return { architecture, os }
  })
  if (indexes.platforms !== 'list' && list.length > 0) {
    places.warn(['validation', 'manifests', 'indexes', 'platformlist'], 'has no effect unless platforms is list')
  }
  return {
    enabled: !raw.disabled,
    urls,
    indexes: indexes.platforms === 'list' ? { platforms: 'list', list } : { platforms: indexes.platforms },
  }
}
