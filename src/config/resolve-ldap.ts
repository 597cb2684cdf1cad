import { isIP } from 'node:net'
import type { LdapConfig } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { MAX_TIME_LIMIT, resolveSpan } from './span.ts'

// biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholder stands like this in the file.
const ACCOUNT = '${account}'
const PLAIN_PORT = 389
const TLS_PORT = 636
/** Go's names of ports. */
const SERVICES: Record<string, number> = { ldap: PLAIN_PORT, ldaps: TLS_PORT }

/** Checks at load what docker_auth finds out at the first login, or never. */
export function resolveLdap(raw: NonNullable<DockerAuth['ldap_auth']>, path: Path, places: Places): LdapConfig {
  const at = (...keys: string[]): Path => [...path, ...keys]
  const required = (key: 'addr' | 'base' | 'filter', fix: string): string => {
    const value = raw[key] ?? ''
    if (value.replace(/[\s,]/g, '') === '') places.problem(at(key), `ldap_auth.${key} is required`, fix)
    return value
  }
  const addresses = required('addr', 'Write HOST:PORT, such as ldap.example.org:636.')
  const base = required('base', 'Write where people are found, such as o=example.org.')
  const filter = required('filter', `Write one such as (uid=${ACCOUNT}).`)
  if (filter.trim() !== '' && !filter.includes(ACCOUNT)) {
    const message = `does not hold ${ACCOUNT}, so everyone would be found, whoever logs in`
    places.problem(at('filter'), message, `Write one such as (uid=${ACCOUNT}).`)
  }
  checkBind(raw, at, places)
  const parsed = addresses
    .split(/[\s,]+/)
    .filter((address) => address !== '')
    .flatMap((address) => parseServer(address, at('addr'), places))
  const tls = raw.tls ?? tlsOf(parsed, at('addr'), places)
  const isRead = !raw.initial_bind_as_user && Boolean(raw.bind_dn)
  // Without a prototype: a label called `constructor` is nobody's.
  const labels: LdapConfig['labels'] = Object.create(null)
  for (const [name, label] of Object.entries(raw.labels)) {
    if (!label.attribute) {
      places.problem(at('labels', name, 'attribute'), `ldap_auth.labels.${name}.attribute is required`)
    }
    labels[name] = { attribute: label.attribute ?? '', parseCn: label.parse_cn, lowerCase: label.lower_case }
  }
  return {
    servers: parsed.map(({ host, port }) => ({ host, port: port ?? (tls === 'always' ? TLS_PORT : PLAIN_PORT) })),
    tls,
    insecureTlsSkipVerify: raw.insecure_tls_skip_verify,
    caCertificate: raw.ca_certificate || undefined,
    bindDn: raw.bind_dn ?? '',
    bindPasswordFile: isRead ? raw.bind_password_file || undefined : undefined,
    initialBindAsUser: raw.initial_bind_as_user,
    base,
    filter,
    labels,
    timeoutMs: resolveSpan(raw.timeout, at('timeout'), { most: MAX_TIME_LIMIT }, places),
  }
}

function checkBind(
  { bind_dn = '', bind_password_file, initial_bind_as_user }: NonNullable<DockerAuth['ldap_auth']>,
  at: (key: string) => Path,
  places: Places,
): void {
  const holdsAccount = bind_dn.includes(ACCOUNT)
  if (initial_bind_as_user) {
    if (!holdsAccount) {
      const fix = `Write one such as uid=${ACCOUNT},ou=people,o=example.org.`
      places.problem(at('bind_dn'), `does not hold ${ACCOUNT}, which initial_bind_as_user needs`, fix)
    }
    if (bind_password_file) {
      places.warn(at('bind_password_file'), 'is not read: with initial_bind_as_user the password is that of the login')
    }
    return
  }
  if (holdsAccount) {
    places.problem(at('bind_dn'), `holds ${ACCOUNT}, which is filled in only with initial_bind_as_user: true`)
  } else if (bind_dn !== '' && !bind_password_file) {
    const fix = 'Name a file that holds the password of bind_dn; leave out bind_dn to search without a login.'
    places.problem(at('bind_password_file'), 'ldap_auth.bind_password_file is required', fix)
  } else if (bind_dn === '' && bind_password_file) {
    places.warn(at('bind_password_file'), 'is not read: without bind_dn the search is anonymous')
  }
}

interface Server {
  host: string
  port: number | undefined
}

/** docker_auth: port 636 without a word about TLS means LDAPS. */
function tlsOf(servers: readonly Server[], path: Path, places: Places): LdapConfig['tls'] {
  const secure = servers.filter(({ port }) => port === TLS_PORT)
  if (secure.length === 0) return 'none'
  if (secure.length < servers.length) {
    const message = `only some servers are at port ${TLS_PORT}, so it is not clear whether passwords are to be encrypted`
    places.problem(path, message, 'Say tls: always, starttls or none.')
  }
  return 'always'
}

/** `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT`. The text is not repeated in messages: it may hold a password. */
function parseServer(text: string, path: Path, places: Places): Server[] {
  const refuse = (message: string, fix?: string): Server[] => {
    places.problem(path, message, fix)
    return []
  }
  if (text.includes('://')) return refuse('is a URL, not an address', 'Write HOST:PORT; for ldaps:// add tls: always.')
  if (isIP(text) === 6) return refuse('too many colons in the address', `Write "[${text}]:${PLAIN_PORT}".`)
  const match = /^(?:\[([^[\]]*)\]|([A-Za-z0-9._-]+))(?::([^:]*))?$/.exec(text)
  const [, bracketed, bare, service] = match ?? []
  const host = bracketed ?? bare ?? ''
  if (
    match === null ||
    (bracketed !== undefined && isIP(bracketed) !== 6) ||
    (/^[\d.]+$/.test(host) && isIP(host) !== 4)
  ) {
    return refuse('has an address that is not HOST:PORT', 'Write one such as ldap.example.org:389.')
  }
  if (service === undefined) return [{ host, port: undefined }]
  const port = /^\d{1,5}$/.test(service) ? Number(service) : Object.hasOwn(SERVICES, service) ? SERVICES[service] : 0
  if (port === undefined || port < 1 || port > 65_535) {
    return refuse(`${JSON.stringify(service)} is no port`, 'A port is a number from 1 to 65535.')
  }
  return [{ host, port }]
}
