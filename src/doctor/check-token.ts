import { subjectOf } from './certificate.ts'
import { checkClocks } from './check-clocks.ts'
import { isTokenServer } from './check-reach.ts'
import { checkTokenKey } from './check-token-key.ts'
import type { ClientFacts, Grant, TokenFacts } from './client-facts.ts'
import { type Finding, fault, fine, note, warning } from './finding.ts'
import { certificatesOf } from './key-name.ts'
import type { ServerFacts } from './server-facts.ts'
import { change, textAt, whereIs } from './settings.ts'

/** Whether the registry takes the tokens of its token server, and if it does not, why, in the order in which registries look. */
export function checkToken(facts: ClientFacts, server: ServerFacts | undefined): Finding[] {
  const { registry, withheld, grants, challenges } = facts
  if (withheld !== undefined) return [note('token', registry, withheld)]
  const [first] = grants
  if (first === undefined) return []
  const { outcome, verdict } = first
  const who = facts.credential === undefined ? 'nobody (no credentials are stored here)' : nameIn(facts)
  if (outcome.kind === 'refused') {
    // Whoever is not logged in, and asked for nothing, is refused rightly.
    const isStranger = facts.credential === undefined && facts.wanted === undefined
    return [
      (isStranger ? warning : fault)(
        'credentials-refused',
        registry,
        `${outcome.message}: \`unauthorized: authentication required\``,
        outcome.hint ?? `berth login ${registry}`,
      ),
    ]
  }
  if (outcome.kind === 'failed') {
    return [failed(facts, outcome)]
  }
  const clocks = checkClocks(facts)
  if (verdict === undefined || verdict.status < 400) {
    const text = challenges.length === 0 ? 'no login is needed' : `the registry takes what ${who} shows`
    const taken = fine('token', registry, text)
    return [...clocks, outcome.kind === 'token' ? { ...taken, tokens: 'taken' } : taken]
  }
  if (outcome.kind === 'none') {
    const message = `${registry} answers ${verdict.status} to ${who}: the name or the password is wrong, or its hash is none that the registry knows`
    return [
      fault(
        'credentials-refused',
        registry,
        message,
        `berth login ${registry}`,
        'on the server: berth doctor --config config.yml looks at the hashes',
      ),
    ]
  }
  if (outcome.token === undefined) {
    return [
      fault(
        'token-refused',
        registry,
        `${registry} refuses the token of its token server, which is no JWT, so nothing more can be said`,
        LOG,
      ),
    ]
  }
  const reasons = [...reasonsOf(facts, outcome.token, server), ...clocks.filter(({ severity }) => severity === 'fault')]
  return reasons.length > 0 ? reasons : [unexplained(facts, outcome.token, first, server)]
}

/** What stands in the way of asking, other checks have said: an address, a certificate, a realm without TLS. */
function failed(
  { registry, realm }: ClientFacts,
  { fault: kind, message, hint }: Extract<Grant['outcome'], { kind: 'failed' }>,
): Finding {
  const isSaid =
    kind === 'tls' ||
    realm === undefined ||
    realm.url === undefined ||
    realm.probe?.kind === 'unreachable' ||
    !isTokenServer(realm.answer)
  if (isSaid) return note('token', registry, `no token could be asked for: ${message}`)
  const fix = hint ?? 'the log of the token server has the reason'
  return fault(
    kind === 'network' ? 'realm-unreachable' : 'realm-invalid',
    realm.realm,
    `no token could be had: ${message}`,
    fix,
  )
}

const LOG = "the registry's log has the reason; berth doctor explain 'TEXT OF THE LOG' says what it means"

function nameIn({ credential }: ClientFacts): string {
  return credential?.name === '' || credential === undefined ? 'the stored token' : credential.name
}

function reasonsOf(facts: ClientFacts, token: TokenFacts, server: ServerFacts | undefined): Finding[] {
  return [...issuer(facts, token, server), ...audience(facts, token, server), ...checkTokenKey(facts, token, server)]
}

function issuer({ realm }: ClientFacts, { issuer: is = '' }: TokenFacts, server: ServerFacts | undefined): Finding[] {
  const path = ['auth', 'token', 'issuer']
  const expected = textAt(server?.settings, path)
  // With the token server's file at hand, the comparison of the files has said it.
  if (
    expected === undefined ||
    expected === is ||
    textAt(server?.settings, ['tokenserver', 'token', 'issuer']) !== undefined
  )
    return []
  const message = `the registry takes tokens of the issuer ${JSON.stringify(expected)} (${whereIs(server?.settings, path)}), and the token server calls itself ${JSON.stringify(is)}: \`token from untrusted issuer: ${JSON.stringify(is)}\``
  return [
    fault(
      'issuer-mismatch',
      realm?.realm ?? 'token',
      message,
      change(server?.settings, path, is),
      `or ${change(undefined, ['tokenserver', 'token', 'issuer'], expected)}`,
    ),
  ]
}

function audience({ realm }: ClientFacts, { audience: is }: TokenFacts, server: ServerFacts | undefined): Finding[] {
  const service = realm?.service ?? ''
  if (is.includes(service)) return []
  const path = ['auth', 'token', 'service']
  const has = is.length === 0 ? 'nobody' : is.map((one) => JSON.stringify(one)).join(', ')
  const message = `the registry calls itself ${JSON.stringify(service)}, and the token server makes tokens out to ${has}: \`token intended for another audience\``
  return [
    fault(
      'audience-mismatch',
      realm?.realm ?? 'token',
      message,
      change(server?.settings, path, is[0] ?? service),
      `or let the token server make tokens out to ${JSON.stringify(service)}`,
    ),
  ]
}

function unexplained(
  { registry, realm }: ClientFacts,
  { kid, issuer: is, x5c }: TokenFacts,
  { verdict }: Grant,
  server: ServerFacts | undefined,
): Finding {
  const isCompared = server?.hasRegistry === true && server.hasTokenServer
  const carried =
    x5c === undefined || x5c.length === 0
      ? 'no certificate'
      : `the certificate of ${certificatesOf(x5c.slice(0, 1)).map(subjectOf).join('')}`
  const message = `${registry} answers ${verdict?.status} (${verdict?.error ?? 'no reason'}) to a token of ${realm?.realm ?? 'its token server'}, with the key ${kid ?? 'unnamed'}, ${carried} and the issuer ${JSON.stringify(is)}: it does not trust that key, or expects another issuer`
  return fault(
    'token-refused',
    registry,
    message,
    // What has been done already is no way out.
    ...(isCompared
      ? ['restart the registry: it reads its rootcertbundle when it starts']
      : ['on the server: berth doctor --config config.yml --auth-config auth_config.yml compares both']),
    ...(server?.bundle === undefined
      ? [`with the registry's rootcertbundle here: berth doctor ${registry} --bundle FILE`]
      : []),
    LOG,
  )
}
