import { nodeAt } from '../config/node.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import { hostOf, isLoopbackHost } from './host.ts'
import type { ServerFacts } from './server-facts.ts'
import { change, textAt, whereIs } from './settings.ts'

const REALM = ['auth', 'token', 'realm']
const ISSUER = ['auth', 'token', 'issuer']
const SERVICE = ['auth', 'token', 'service']
const TOKEN_ISSUER = ['tokenserver', 'token', 'issuer']

/** What registry and token server must call by the same name: issuer, service, realm. */
export function checkNames(facts: ServerFacts): Finding[] {
  if (!facts.hasRegistry || nodeAt(facts.settings.root, ['auth', 'token']) === undefined) return []
  return [...checkIssuer(facts), ...checkService(facts), ...checkRealm(facts)]
}

function checkIssuer({ settings }: ServerFacts): Finding[] {
  const [expected, issued] = [textAt(settings, ISSUER), textAt(settings, TOKEN_ISSUER)]
  if (expected === undefined || issued === undefined) return []
  const about = whereIs(settings, ISSUER) ?? 'auth.token.issuer'
  if (expected === issued)
    return [fine('configuration', about, `registry and token server agree on the issuer ${JSON.stringify(issued)}`)]
  const message = `the registry takes tokens of the issuer ${JSON.stringify(expected)}, and the token server calls itself ${JSON.stringify(issued)} (${whereIs(settings, TOKEN_ISSUER)}): \`token from untrusted issuer: ${JSON.stringify(issued)}\``
  return [
    fault(
      'issuer-mismatch',
      about,
      message,
      change(settings, ISSUER, issued),
      `or ${change(settings, TOKEN_ISSUER, expected)}`,
    ),
  ]
}

/** A rule for another service never matches a request of this registry's clients. */
function checkService({ settings, tokenServer }: ServerFacts): Finding[] {
  const service = textAt(settings, SERVICE)
  const rules = tokenServer?.acl ?? []
  if (service === undefined) return []
  const foreign = rules.flatMap(({ match, where }, index) =>
    match.service !== undefined && isLiteral(match.service) && match.service !== service
      ? [{ wanted: match.service, where, index }]
      : [],
  )
  const isNobody = foreign.length === rules.length
  return foreign.map(({ wanted, where, index }) => {
    const message = `this rule is for the service ${JSON.stringify(wanted)}, and the registry is called ${JSON.stringify(service)} (${whereIs(settings, SERVICE)}): it never matches${isNobody ? ', and no other rule does' : ''}`
    const fix = change(settings, ['tokenserver', 'acl', index, 'match', 'service'], service)
    return (isNobody ? fault : warning)(
      'service-mismatch',
      where,
      message,
      fix,
      `or ${change(settings, SERVICE, wanted)}`,
    )
  })
}

/** No glob, and no regular expression between slashes. */
function isLiteral(pattern: string): boolean {
  return !/[*?[\\]|\$\{/.test(pattern) && !(pattern.length > 2 && pattern.startsWith('/') && pattern.endsWith('/'))
}

function checkRealm({ settings }: ServerFacts): Finding[] {
  const realm = textAt(settings, REALM)
  if (realm === undefined) return []
  const about = whereIs(settings, REALM) ?? 'auth.token.realm'
  const url = URL.parse(realm)
  const own = textAt(settings, ['http', 'host'])
  const example = `https://${(own && hostOf(own)) ?? 'HOST'}:5001/auth`
  if (url === null || !/^https?:$/.test(url.protocol)) {
    const message = `clients are sent to ${JSON.stringify(realm)} for tokens, which is no address`
    return [fault('realm-invalid', about, message, change(settings, REALM, example))]
  }
  const isSecure =
    textAt(settings, ['http', 'tls', 'certificate']) !== undefined || own?.startsWith('https://') === true
  const found: Finding[] = []
  if (url.protocol === 'http:' && isSecure) {
    const message = `the registry has TLS, but clients are sent to ${realm} for tokens, without TLS: passwords go there in clear`
    const make = isLoopbackHost(url.hostname) ? warning : fault
    found.push(make('realm-plain-http', about, message, change(settings, REALM, realm.replace(/^http:/i, 'https:'))))
  }
  if (isLoopbackHost(url.hostname) && !isListeningAtHome(settings)) {
    const message = `clients are sent to ${realm} for tokens: on every other machine ${url.hostname} is that machine itself`
    found.push(warning('realm-unreachable', about, message, change(settings, REALM, example)))
  }
  return found.length > 0 ? found : [fine('configuration', about, `clients are sent to ${realm} for tokens`)]
}

function isListeningAtHome(settings: ServerFacts['settings']): boolean {
  const address = textAt(settings, ['http', 'addr']) ?? ''
  return textAt(settings, ['http', 'net']) === 'unix' || isLoopbackHost(address.replace(/:[^:]*$/, ''))
}
