import type { ClientFacts, RealmFacts } from './client-facts.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import { isLoopbackHost } from './host.ts'
import { change, type Settings } from './settings.ts'

const REALM = ['auth', 'token', 'realm']

/** Whether registry and token server answer, and as what. */
export function checkReach(facts: ClientFacts, settings: Settings | undefined): Finding[] {
  const { registry, probe, entry, base, challenges } = facts
  if (probe.kind === 'unreachable') {
    const around = facts.proxy === undefined ? '' : `. ${facts.proxy} is set: the way through that proxy was not tried`
    const message = `${registry} cannot be reached from here: ${probe.reason}${around}`
    return [
      fault(
        'registry-unreachable',
        registry,
        message,
        `curl -v ${base}/v2/  (from here and from the server's machine: between them is what is in the way)`,
      ),
    ]
  }
  const software = entry?.software === undefined || entry.software === '' ? '' : ` (${entry.software})`
  if (entry === undefined || !entry.isRegistry) {
    const how =
      entry === undefined ? 'with nothing that is HTTP' : `${entry.status} and no sign of a registry${software}`
    const message = `${base}/v2/ answers ${how}; a registry answers 200, or 401 with a WWW-Authenticate`
    return [
      fault(
        'not-a-registry',
        registry,
        message,
        'name HOST:PORT of the registry itself; a proxy before it must pass /v2/ on',
      ),
    ]
  }
  const schemes =
    challenges.length === 0
      ? 'lets everybody in, whatever they want to do'
      : `lets people in by ${challenges.map(({ scheme }) => scheme).join(' or ')}`
  return [fine('reach', registry, `${base}/v2/ answers${software} and ${schemes}`), ...checkRealm(facts, settings)]
}

function checkRealm(
  { registry, hostname, base, realm: facts }: ClientFacts,
  settings: Settings | undefined,
): Finding[] {
  if (facts === undefined) return []
  const { realm, url, probe, answer } = facts
  const example = `https://${hostname.includes(':') ? `[${hostname}]` : hostname}:5001/auth`
  if (url === undefined) {
    const message = `${registry} sends clients to ${JSON.stringify(realm.slice(0, 200))} for tokens, which is no address`
    return [fault('realm-invalid', realm, message, change(settings, REALM, example))]
  }
  const found: Finding[] = []
  if (url.protocol === 'http:' && base.startsWith('https:')) {
    const message = `${registry} has TLS, but sends clients to ${realm} for tokens, without TLS: passwords go there in clear`
    const make = isLoopbackHost(url.hostname) ? warning : fault
    found.push(make('realm-plain-http', realm, message, change(settings, REALM, realm.replace(/^http:/i, 'https:'))))
  }
  if (probe?.kind === 'unreachable') {
    const isHere = isLoopbackHost(url.hostname) && !isLoopbackHost(hostname)
    const why = isHere ? ` (${url.hostname} is this machine itself, and not that of the registry)` : ''
    const message = `${registry} sends clients to ${realm} for tokens, and that cannot be reached from here: ${probe.reason}${why}`
    found.push(
      fault(
        'realm-unreachable',
        realm,
        message,
        change(settings, REALM, isHere ? withHost(url, hostname) : example),
        `or start the token server that is to listen at ${url.host}: berth auth auth_config.yml`,
        `where Berth makes the realm from the request, a proxy that rewrites Host misleads it: http.host: ${base}`,
      ),
    )
    return found
  }
  if (!isTokenServer(answer)) {
    const isAnswer = answer !== undefined && 'status' in answer
    const what = !isAnswer
      ? `with nothing that is HTTP (${answer?.fault ?? 'nothing'})`
      : `${answer.status} (${answer.contentType || 'no type'})`
    const message = `${realm} answers ${what}; a token server answers with a token, or 401`
    found.push(
      fault(
        'realm-invalid',
        realm,
        message,
        change(settings, REALM, example),
        'docker_auth and Berth answer at /auth; docker_auth below server.path_prefix',
      ),
    )
    return found
  }
  return [...found, fine('token-server', realm, 'answers')]
}

/** By what it answers to somebody without credentials. docker_auth's 401 is a plain text. */
export function isTokenServer(answer: RealmFacts['answer']): boolean {
  if (answer === undefined || 'fault' in answer) return false
  const { status, contentType } = answer
  if (status === 200) return contentType.startsWith('application/json')
  return [400, 401, 403, 405, 429, 503].includes(status)
}

function withHost(url: URL, hostname: string): string {
  const other = new URL(url)
  other.hostname = hostname.includes(':') ? `[${hostname}]` : hostname
  return other.href
}
