import { parseAddress } from './address.ts'
import type { HttpConfig, Listen } from './config.ts'
import type { Distribution } from './distribution.ts'
import { type Path, sourceAt } from './node.ts'
import type { Places } from './places.ts'
import { resolveHttpTls } from './resolve-http-tls.ts'
import { resolveTrustedProxies } from './trusted-proxies.ts'

/** What an unusable address is replaced by while the rest is checked; never served, as there is a problem then. */
const NOWHERE: Listen = { kind: 'tcp', hostname: '127.0.0.1', port: 0 }

export function resolveHttp(http: Distribution['http'], places: Places): HttpConfig {
  if (http.net === 'unix' && sourceAt(places.root, ['http', 'addr']).kind === 'default') {
    places.problem(['http', 'net'], 'is unix, but http.addr does not name the socket', 'Set http.addr to its path.')
  }
  return {
    listen: resolveListen(http.net, http.addr || ':5000', ['http', 'addr'], places),
    prefix: resolvePrefix(http.prefix ?? '', places),
    host: resolveHost(http.host ?? '', places),
    relativeUrls: http.relativeurls,
    headers: resolveHeaders(http.headers, ['http', 'headers'], places),
    tls: resolveHttpTls(http.tls, places),
    drainTimeoutMs: http.draintimeout,
    trustedProxies: resolveTrustedProxies(http.trustedproxies, ['http', 'trustedproxies'], places),
  }
}

export function resolveListen(net: string, address: string, path: Path, places: Places): Listen {
  if (net === 'unix') return { kind: 'unix', path: address }
  const parsed = parseAddress(address)
  if ('listen' in parsed) return parsed.listen
  places.problem(path, parsed.wrong, parsed.fix)
  return NOWHERE
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
