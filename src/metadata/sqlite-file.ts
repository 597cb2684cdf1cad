import { BadConnection, limited, queryParameters, unescaped } from './connection-parameters.ts'
import type { FileConnection } from './foreign-connection.ts'

/** What go-sqlite3 does with them concerns writing, or types that no query here has. */
const NO_EFFECT = new Set([
  ...['_auto_vacuum', '_vacuum', '_cache_size', '_case_sensitive_like', '_cslike', '_defer_foreign_keys', '_defer_fk'],
  ...['_foreign_keys', '_fk', '_ignore_check_constraints', '_journal_mode', '_journal', '_loc', '_locking_mode'],
  ...['_locking', '_mutex', '_query_only', '_recursive_triggers', '_rt', '_secure_delete', '_synchronous', '_sync'],
  ...['_txlock', '_writable_schema', 'cache', 'immutable', 'psow', 'nolock'],
])

/** Milliseconds that go-sqlite3 waits unless told. */
const BUSY_MS = 5_000

/**
 * A path, or a URI `file:PATH` (https://sqlite.org/uri.html), each with `?name=value` behind it.
 * @throws BadConnection
 */
export function parseSqliteConnection(text: string): FileConnection {
  const [before = '', ...rest] = text.split('?')
  const query = rest.join('?')
  const path = before.startsWith('file:') ? uriPath(before.slice('file:'.length)) : before
  if (path === '' || path === ':memory:') throw new BadConnection('names no file')
  let busyMs = BUSY_MS
  let mayWrite = true
  for (const [name, value] of queryParameters(query)) {
    if (name === '_busy_timeout' || name === '_timeout') {
      if (!/^\d{1,9}$/.test(value)) throw new BadConnection(`${name} is no number of milliseconds`)
      // Here 0 means not to wait.
      busyMs = Number(value) === 0 ? 0 : limited(Number(value), BUSY_MS)
    } else if (name === 'mode') {
      if (!['ro', 'rw', 'rwc'].includes(value)) throw new BadConnection('has a mode other than ro, rw and rwc')
      mayWrite = value !== 'ro'
    } else if (!NO_EFFECT.has(name)) {
      throw new BadConnection(`has the parameter ${name}, which cannot be honoured`)
    }
  }
  return { adapter: 'sqlite', path, mayWrite, busyMs }
}

function uriPath(text: string): string {
  if (text.includes('#')) throw new BadConnection('has a fragment')
  if (!text.startsWith('//')) return unescaped(text)
  const slash = text.indexOf('/', 2)
  const authority = text.slice(2, slash === -1 ? undefined : slash)
  if (slash === -1 || (authority !== '' && authority !== 'localhost')) throw new BadConnection('names a host')
  return unescaped(text.slice(slash))
}
