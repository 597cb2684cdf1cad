import type { Config, LogConfig, ValidationConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { nodeAt } from './node.ts'
import { regexpFault } from './pattern.ts'
import type { Places } from './places.ts'

/** distribution's default for a page of the catalog and of a list of tags. */
const PAGE = 1000
const LEVELS = ['error', 'warn', 'info', 'debug'] as const
const DEFAULT_DIRECTORY = '/var/lib/registry'

type Rest = Pick<Config, 'data' | 'delete' | 'readOnly' | 'validation' | 'catalog' | 'tags' | 'log' | 'uploads'>

/** Everything of the registry but its listener and who may use it. */
export function resolveRegistry(raw: Distribution, places: Places): Rest {
  return {
    data: resolveData(raw, places),
    delete: { enabled: raw.storage.delete.enabled },
    readOnly: raw.storage.maintenance.readonly.enabled,
    validation: resolveValidation(raw.validation, places),
    catalog: { maxEntries: raw.catalog.maxentries <= 0 ? PAGE : raw.catalog.maxentries },
    tags: { maxTags: resolveMaxTags(raw.tags.maxtags, places) },
    log: resolveLog(raw, places),
    uploads: { chunkMinLength: raw.uploads.chunkminlength },
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

export function resolveLog(raw: Distribution, places: Places): LogConfig {
  const isOld = !raw.log.level
  const text = raw.log.level || raw.loglevel || 'info'
  const level = LEVELS.find((one) => one === text.toLowerCase())
  if (level === undefined) {
    places.problem(
      isOld ? ['loglevel'] : ['log', 'level'],
      `invalid loglevel ${text}`,
      `Must be one of ${LEVELS.join(', ')}.`,
    )
  }
  return {
    level: level ?? 'info',
    formatter: raw.log.formatter,
    fields: raw.log.fields,
    accessLog: !raw.log.accesslog.disabled,
  }
}
