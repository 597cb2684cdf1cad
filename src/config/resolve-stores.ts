import type { MongoConfig, SqlConfig } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { MAX_TIME_LIMIT, resolveSpan } from './span.ts'

/** Milliseconds that no `cache_ttl` stands for; docker_auth ends with a panic then. */
const CACHE_TTL = 60_000
/** Milliseconds that the original waits where the file says 0. */
const DIAL_TIMEOUT = 10_000

/** `mongo_auth` or `acl_mongo`: the last word of the path. */
export function resolveMongo(raw: NonNullable<DockerAuth['mongo_auth']>, path: Path, places: Places): MongoConfig {
  const key = String(path.at(-1))
  const at = (...keys: (string | number)[]): Path => [...path, ...keys]
  const { dial_info: dial } = raw
  if (dial.addrs.length === 0) {
    places.problem(at('dial_info', 'addrs'), `At least one element in ${key}.dial_info.addrs is required`)
  }
  for (const [index, address] of dial.addrs.entries()) {
    // It becomes part of a URL. What was written is not repeated: it may hold a password.
    if (/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(address)) continue
    const fix = 'Write one such as mongo.example.org:27017; username and password have keys of their own.'
    places.problem(at('dial_info', 'addrs', index), 'is not HOST:PORT', fix)
  }
  if (!dial.database) places.problem(at('dial_info', 'database'), `${key}.dial_info.database is required`)
  if (!raw.collection) places.problem(at('collection'), `${key}.collection is required`)
  if (dial.password && dial.password_file) {
    places.warn(at('dial_info', 'password'), 'is not used: the file of password_file is')
  }
  if (!dial.username && (dial.password || dial.password_file)) {
    places.problem(
      at('dial_info', 'username'),
      'is missing, but there is a password',
      'Add it, or remove the password.',
    )
  }
  return {
    addrs: dial.addrs,
    database: dial.database ?? '',
    collection: raw.collection ?? '',
    username: dial.username || undefined,
    password: dial.password_file ? undefined : dial.password || undefined,
    passwordFile: dial.password_file || undefined,
    enableTls: dial.enable_tls,
    timeoutMs: resolveSpan(
      dial.timeout,
      at('dial_info', 'timeout'),
      { zero: DIAL_TIMEOUT, most: MAX_TIME_LIMIT },
      places,
    ),
  }
}

const TYPES: readonly SqlConfig['type'][] = ['mysql', 'postgres', 'sqlite3']

/** `xorm_auth` or `acl_xorm`: the last word of the path. */
export function resolveSql(raw: NonNullable<DockerAuth['xorm_auth']>, path: Path, places: Places): SqlConfig {
  const key = String(path.at(-1))
  const type = TYPES.find((one) => one === raw.database_type)
  if (!raw.database_type) places.problem([...path, 'database_type'], `${key}.database_type is required`)
  else if (type === undefined) {
    const message = `${JSON.stringify(raw.database_type)} is no kind of database that Berth reads`
    places.problem([...path, 'database_type'], message, `Write one of ${TYPES.join(', ')}.`)
  }
  if (!raw.conn_string) places.problem([...path, 'conn_string'], `${key}.conn_string is required`)
  return { type: type ?? 'sqlite3', connection: raw.conn_string ?? '' }
}

/** Milliseconds of `cache_ttl`. */
export function resolveCacheTtl(text: string, path: Path, places: Places): number {
  const key = String(path.at(-1))
  const negative = `${key}.cache_ttl is required (e.g. "1m" for 1 minute)`
  return resolveSpan(text, [...path, 'cache_ttl'], { zero: CACHE_TTL, negative }, places)
}
