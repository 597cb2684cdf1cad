import { join } from 'node:path'
import {
  BadConnection,
  CONNECT_MS,
  limited,
  portOf,
  QUERY_MS,
  queryParameters,
  unescaped,
} from './connection-parameters.ts'
import type { Pem, ServerConnection, ServerTls } from './foreign-connection.ts'

/** What the client would have to do, and this one does not. Everything that is left goes to the server, which knows or refuses it. */
const REFUSED = new Set([
  ...[
    'hostaddr',
    'passfile',
    'service',
    'servicefile',
    'krbspn',
    'krbsrvname',
    'gsslib',
    'gssencmode',
    'gssdelegation',
  ],
  ...['channel_binding', 'require_auth', 'requirepeer', 'requiressl', 'sslcertmode', 'sslcompression', 'sslcrl'],
  ...['sslcrldir', 'sslnegotiation', 'ssl_min_protocol_version', 'ssl_max_protocol_version', 'target_session_attrs'],
  ...['load_balance_hosts', 'replication', 'keepalives', 'keepalives_idle', 'keepalives_interval'],
  ...['keepalives_count', 'tcp_user_timeout', 'min_protocol_version', 'max_protocol_version'],
])

/** How lib/pq encodes what it asks; no query here depends on it. */
const NO_EFFECT = new Set(['binary_parameters', 'disable_prepared_binary_result'])

const OWN = new Set([
  ...['host', 'port', 'user', 'password', 'dbname', 'connect_timeout', 'fallback_application_name', 'client_encoding'],
  ...['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'sslinline', 'sslsni'],
])

/**
 * `host=db user=u password='p w' dbname=d sslmode=verify-full` or `postgres://u:p@db:5432/d?sslmode=disable`, as lib/pq takes
 * them ("Connection String Parameters" of its documentation). As there, TLS is required unless the string says otherwise.
 * Variables of the environment (PGHOST …) are not read.
 * @throws BadConnection
 */
export function parsePostgresConnection(text: string): ServerConnection {
  const values = /^postgres(?:ql)?:\/\//.test(text) ? urlValues(text) : keywordValues(text)
  const host = values.get('host') || 'localhost'
  if (host.includes(',')) throw new BadConnection('names several hosts')
  const port = portOf(values.get('port') || '5432')
  const username = values.get('user') ?? ''
  if (username === '') throw new BadConnection('names no user')
  const isSocket = host.startsWith('/')
  const tls = tlsOf(values)
  const encoding = values.get('client_encoding') ?? 'UTF8'
  if (!/^utf-?8$/i.test(encoding)) throw new BadConnection('has a client_encoding other than UTF8')
  return {
    adapter: 'postgres',
    hostname: isSocket ? 'localhost' : host,
    port,
    socket: isSocket ? join(host, `.s.PGSQL.${port}`) : undefined,
    username,
    password: values.get('password') ?? '',
    database: values.get('dbname') || username,
    // lib/pq does not speak TLS on sockets either.
    tls: isSocket ? { mode: 'off' } : tls,
    connectMs: connectMs(values),
    queryMs: QUERY_MS,
    parameters: runtimeParameters(values),
  }
}

function connectMs(values: Map<string, string>): number {
  const text = values.get('connect_timeout') ?? '0'
  if (!/^\d{1,9}$/.test(text)) throw new BadConnection('has a connect_timeout that is no number of seconds')
  return limited(Number(text) * 1_000, CONNECT_MS)
}

function runtimeParameters(values: Map<string, string>): Record<string, string> {
  const parameters: Record<string, string> = {}
  const name = values.get('fallback_application_name')
  if (name !== undefined) parameters.application_name = name
  for (const [key, value] of values) {
    if (REFUSED.has(key)) throw new BadConnection(`has the parameter ${key}, which cannot be honoured`)
    if (!/^[A-Za-z_][\w.]*$/.test(key)) throw new BadConnection('has a parameter whose name is malformed')
    if (!OWN.has(key) && !NO_EFFECT.has(key)) parameters[key] = value
  }
  return parameters
}

function tlsOf(values: Map<string, string>): ServerTls {
  if ((values.get('sslsni') ?? '1') !== '1') throw new BadConnection('has an sslsni other than 1')
  const inline = values.get('sslinline') === 'true'
  const pem = (key: string): Pem | undefined => {
    const value = values.get(key)
    if (value === undefined || value === '') return undefined
    return inline ? { text: value } : { path: value }
  }
  const [authority, certificate, key] = [pem('sslrootcert'), pem('sslcert'), pem('sslkey')]
  if ((certificate === undefined) !== (key === undefined)) throw new BadConnection('has one of sslcert and sslkey only')
  const passphrase = values.get('sslpassword')
  const files = {
    ...(authority === undefined ? {} : { authority }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  }
  const mode = values.get('sslmode') || 'require'
  if (mode === 'disable') return { mode: 'off' }
  // "require" with an authority is "verify-ca", for lib/pq as for libpq.
  if (mode === 'require') return { mode: authority === undefined ? 'require' : 'verify-ca', ...files }
  if (mode === 'verify-ca' || mode === 'verify-full') return { mode, ...files }
  // With "allow" and "prefer" files would be read for a connection that may turn out to be in clear.
  throw new BadConnection('has an sslmode other than disable, require, verify-ca and verify-full')
}

/** The parts of the URL become keywords; its query can name every other one, as in `?host=/run/postgresql`. */
function urlValues(text: string): Map<string, string> {
  const match = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(text)
  if (match === null) throw new BadConnection('is no URL such as postgres://user:password@host:5432/database')
  const [, login = '', where = '', path = '', query = ''] = match
  const values = new Map<string, string>()
  const colon = login.indexOf(':')
  const [user, password] = colon === -1 ? [login, ''] : [login.slice(0, colon), login.slice(colon + 1)]
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(where) ?? []
  if (bracketed === undefined && plain === undefined) throw new BadConnection('has a malformed host')
  const parts = { user, password, host: bracketed ?? plain ?? '', port, dbname: path }
  for (const [key, value] of Object.entries(parts)) if (value !== '') values.set(key, unescaped(value))
  for (const [key, value] of queryParameters(query)) values.set(key, value)
  return values
}

/** `key = value key='va lue'`; a backslash takes the next character as it is, in and out of quotes. */
function keywordValues(text: string): Map<string, string> {
  const values = new Map<string, string>()
  const pair = /\s*([^\s=']+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'(?=\s|$)|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?(?=\s|$))/suy
  while (!/^\s*$/.test(text.slice(pair.lastIndex))) {
    const match = pair.exec(text)
    if (match === null) throw new BadConnection('is no list of key=value')
    const [, key = '', quoted, plain = ''] = match
    values.set(key, (quoted ?? plain).replace(/\\(.)/gsu, '$1'))
  }
  return values
}
