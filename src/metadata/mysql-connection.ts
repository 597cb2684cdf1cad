import {
  BadConnection,
  CONNECT_MS,
  durationOf,
  flagOf,
  portOf,
  QUERY_MS,
  queryParameters,
  unescaped,
} from './connection-parameters.ts'
import type { ServerConnection, ServerTls } from './foreign-connection.ts'

/** What tunes go-sql-driver or types that no query here has; text is utf8mb4 always, and names are compared by bytes. */
const NO_EFFECT = new Set([
  ...['allowAllFiles', 'charset', 'checkConnLiveness', 'clientFoundRows', 'collation', 'columnsWithAlias', 'compress'],
  ...['connectionAttributes', 'interpolateParams', 'loc', 'maxAllowedPacket', 'multiStatements', 'parseTime'],
  ...['rejectReadOnly', 'timeTruncate'],
])

/** Ways to log in that this client has not, and the one value of each that asks for nothing. */
const LOGINS: Readonly<Record<string, boolean>> = {
  allowCleartextPasswords: false,
  allowNativePasswords: true,
  allowOldPasswords: false,
}

const DEFAULT_SOCKET = '/tmp/mysql.sock'
const DEFAULT_PORT = 3306

/**
 * `[user[:password]@][protocol[(address)]]/database[?name=value&…]` (go-sql-driver's README, "DSN"). The last slash ends
 * what is before the database and the last `@` before it the password, so that those can hold both.
 * @throws BadConnection
 */
export function parseMysqlConnection(text: string): ServerConnection {
  const slash = text.lastIndexOf('/')
  if (slash === -1) throw new BadConnection('has no slash before the name of the database')
  const [rest, query = ''] = splitAt(text.slice(slash + 1), '?')
  const parameters = queryParameters(query)
  const { connectMs, queryMs, tls } = settings(parameters)

  const before = text.slice(0, slash)
  const at = before.lastIndexOf('@')
  const [username, password = ''] = splitAt(before.slice(0, Math.max(0, at)), ':')
  if (username === '') throw new BadConnection('names no user')
  const database = unescaped(rest)
  if (database === '') throw new BadConnection('names no database')
  return {
    adapter: 'mysql',
    ...address(before.slice(at + 1)),
    ...{ username, password, database, tls, connectMs, queryMs, parameters: {} },
  }
}

function address(text: string): Pick<ServerConnection, 'hostname' | 'port' | 'socket'> {
  const match = /^([^(]*)(?:\((.*)\))?$/s.exec(text)
  if (match === null) throw new BadConnection('has an address without its closing bracket')
  const [, protocol, where = ''] = match
  if (protocol === 'unix') return { hostname: 'localhost', port: DEFAULT_PORT, socket: where || DEFAULT_SOCKET }
  if (protocol !== 'tcp' && protocol !== '') throw new BadConnection('has a protocol other than tcp and unix')
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+))?$/.exec(where) ?? []
  // An IPv6 address may stand without brackets where there is no port.
  const hostname = bracketed ?? plain ?? where
  return {
    hostname: hostname || '127.0.0.1',
    port: port === undefined ? DEFAULT_PORT : portOf(port),
    socket: undefined,
  }
}

function settings(parameters: Map<string, string>): Pick<ServerConnection, 'connectMs' | 'queryMs' | 'tls'> {
  let connectMs = CONNECT_MS
  let queryMs: number | undefined
  let tls: ServerTls = { mode: 'off' }
  for (const [name, value] of parameters) {
    if (name === 'timeout') connectMs = durationOf(name, value, CONNECT_MS)
    else if (name === 'readTimeout' || name === 'writeTimeout') {
      queryMs = Math.min(queryMs ?? Number.POSITIVE_INFINITY, durationOf(name, value, QUERY_MS))
    } else if (name === 'tls') tls = tlsOf(value)
    else if (Object.hasOwn(LOGINS, name)) {
      if (flagOf(name, value) !== LOGINS[name]) throw new BadConnection(`${name}=${value} cannot be honoured`)
    } else if (name !== 'allowFallbackToPlaintext' && !NO_EFFECT.has(name)) {
      throw new BadConnection(`has the parameter ${name}, which cannot be honoured`)
    }
  }
  // It softens `tls=true`, where the operator asked for both at once; with `preferred` it says what that does anyway.
  const fallback = flagOf('allowFallbackToPlaintext', parameters.get('allowFallbackToPlaintext') ?? 'false')
  if (fallback && tls.mode !== 'off' && tls.mode !== 'prefer') {
    throw new BadConnection('allowFallbackToPlaintext cannot be honoured with this tls; write tls=preferred')
  }
  return { connectMs, queryMs: queryMs ?? QUERY_MS, tls }
}

function tlsOf(value: string): ServerTls {
  if (value === 'skip-verify') return { mode: 'require' }
  if (value === 'preferred') return { mode: 'prefer' }
  if (/^(?:0|1|true|false|TRUE|FALSE|True|False)$/.test(value))
    return { mode: flagOf('tls', value) ? 'verify-full' : 'off' }
  throw new BadConnection('has a tls other than true, false, skip-verify and preferred')
}

function splitAt(text: string, mark: string): [string, string | undefined] {
  const index = text.indexOf(mark)
  return index === -1 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)]
}
