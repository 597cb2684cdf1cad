import type { HttpConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { type Path, sourceAt } from './node.ts'
import type { Places } from './places.ts'
import { resolveDebug } from './resolve-debug.ts'
import { resolveHttpTls } from './resolve-http-tls.ts'
import { resolveListen } from './resolve-listen.ts'
import { resolveTrustedProxies } from './trusted-proxies.ts'

/** `directory`: the data directory, where Berth keeps what it makes for TLS. */
export function resolveHttp(http: Distribution['http'], directory: string, places: Places): HttpConfig {
  if (http.net === 'unix' && sourceAt(places.root, ['http', 'addr']).kind === 'default') {
    places.problem(['http', 'net'], 'is unix, but http.addr does not name the socket', 'Set http.addr to its path.')
  }
  const listen = resolveListen(http.net, http.addr || ':5000', ['http', 'addr'], places)
  const host = resolveHost(http.host ?? '', places)
  return {
    listen,
    prefix: resolvePrefix(http.prefix ?? '', places),
    host,
    relativeUrls: http.relativeurls,
    headers: resolveHeaders(http.headers, ['http', 'headers'], places),
    tls: resolveHttpTls(http.tls, { directory, listen, host }, places),
    drainTimeoutMs: http.draintimeout,
    trustedProxies: resolveTrustedProxies(http.trustedproxies, ['http', 'trustedproxies'], places),
    debug: resolveDebug(http.debug, places),
  }
}

/** With slashes at both ends, which the original demands and does not check. */
function resolvePrefix(prefix: string, places: Places): string {
  const normal = `/${prefix}/`.replace(/\/{2,}/g, '/')
  if (!/^\/([A-Za-z0-9._~-]+\/)*$/.test(normal) || /\/\.{1,2}\//.test(normal)) {
    places.problem(['http', 'prefix'], `${JSON.stringify(prefix)} is no path prefix`, 'Write one such as /registry/.')
  }
  return normal
}

function resolveHost(host: string, places: Places): string | undefined {
  if (host === '') return undefined
  const url = URL.canParse(host) ? new URL(host) : undefined
  const plain = url !== undefined && url.search === '' && url.hash === '' && url.username === '' && url.password === ''
  if (!plain || !/^https?:\/\//i.test(host)) {
    places.problem(
      ['http', 'host'],
      'is no base URL',
      'Write the URL that clients use, such as https://registry.example.',
    )
  }
  return host.replace(/\/+$/, '')
}

export function resolveHeaders(headers: Record<string, string[]>, at: Path, places: Places): Record<string, string[]> {
  const resolved: Record<string, string[]> = {}
  for (const [name, values] of Object.entries(headers)) {
    const path = [...at, name]
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) places.problem(path, 'is no header name')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what a header must not carry.
    if (values.some((value) => /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]/.test(value))) {
      places.problem(path, 'has a value with characters that no header may carry')
    }
    resolved[name] = values
  }
  return resolved
}
