import { type Access, covers, formatScope } from '../oci/scope.ts'
import type { ClientFacts, Grant } from './client-facts.ts'
import { type Finding, fault, fine, note, warning } from './finding.ts'
import type { Ruling } from './ruling.ts'
import { change, type Settings, shellText, textAt, whereIs } from './settings.ts'

const DATA = ['storage', 'filesystem', 'rootdirectory']

/** Who decided over a scope, where that can be found out. */
export type FindRuling = (asked: readonly Access[]) => Ruling | undefined

/** What a token grants of what was asked for, and by which rule. */
export function checkRights(facts: ClientFacts, settings: Settings | undefined, ruling: FindRuling): Finding[] {
  const rights = facts.grants.slice(1).flatMap((grant) => checkGrant(facts, grant, settings, ruling(grant.asked)))
  return [...rights, ...checkImage(facts)]
}

function checkGrant(
  facts: ClientFacts,
  { asked, outcome, verdict }: Grant,
  settings: Settings | undefined,
  ruling: Ruling | undefined,
): Finding[] {
  const scope = formatScope(asked)
  if (outcome.kind === 'refused' || outcome.kind === 'failed') return [note('rights', scope, outcome.message)]
  const who = whoOf(facts)
  const isCatalog = asked.some(({ type }) => type === 'registry')
  if (outcome.kind === 'none') {
    if (isCatalog && verdict !== undefined && verdict.status >= 400)
      return [catalogDenied(facts, who, settings, ruling)]
    return [fine('rights', scope, 'no token is needed, so nothing is refused by one')]
  }
  if (outcome.token === undefined) return [note('rights', scope, 'the token is no JWT: what it grants cannot be seen')]
  const access = outcome.token.access
  const missing = asked.filter((one) => !covers(access, one))
  if (isCatalog) {
    const isDenied = missing.length > 0 || (verdict !== undefined && verdict.status >= 400)
    return [isDenied ? catalogDenied(facts, who, settings, ruling) : fine('rights', scope, `is granted to ${who}`)]
  }
  if (missing.length === 0) return [fine('rights', scope, `is granted to ${who}`)]
  const granted = asked.filter((one) => covers(access, one)).map(({ action }) => action)
  const lacks = missing.map(({ action }) => action)
  if (granted.includes('push') && lacks.includes('pull')) {
    const message = `${who} is granted push without pull${byRule(ruling)}; a push also asks which layers are there, and needs both: \`insufficient_scope\``
    return [fault('push-without-pull', scope, message, ...ruleFixes(facts, settings, ruling, asked))]
  }
  const grants = granted.length === 0 ? 'nothing of it' : `only ${granted.join(', ')}`
  const message = `${who} asked for ${scope} and is granted ${grants}${byRule(ruling)}; without ${lacks.join(', ')} the registry answers 401 with \`insufficient_scope\` (docker: \`denied: requested access to the resource is denied\`)`
  // Who named no wish may well be meant to pull alone.
  const isMeant = facts.wanted === undefined && granted.includes('pull')
  return [
    (isMeant ? warning : fault)('scope-insufficient', scope, message, ...ruleFixes(facts, settings, ruling, asked)),
  ]
}

function catalogDenied(
  facts: ClientFacts,
  who: string,
  settings: Settings | undefined,
  ruling: Ruling | undefined,
): Finding {
  const asked = [{ type: 'registry', name: 'catalog', action: '*' }]
  const message = `${who} may not list repositories: registry:catalog:* is not granted${byRule(ruling)}. Pushes and pulls need it not`
  const isWanted = facts.wanted?.includes('catalog') === true
  return (isWanted ? fault : warning)(
    'catalog-denied',
    'registry:catalog:*',
    message,
    ...ruleFixes(facts, settings, ruling, asked),
  )
}

function whoOf({ credential }: ClientFacts): string {
  if (credential === undefined) return 'whoever shows no credentials'
  return credential.name === '' ? 'the stored token' : credential.name
}

function byRule(ruling: Ruling | undefined): string {
  if (ruling === undefined) return ''
  const comment = ruling.comment === undefined || ruling.comment === '' ? '' : ` (${ruling.comment})`
  return ruling.rule === undefined
    ? ': no rule speaks of it'
    : `: the ${/^rule /.test(ruling.rule) ? '' : 'rule '}${ruling.rule}${comment} decides`
}

function ruleFixes(
  { credential }: ClientFacts,
  settings: Settings | undefined,
  ruling: Ruling | undefined,
  asked: readonly Access[],
): string[] {
  const account = credential?.name ?? ''
  const [first] = asked
  const type = first?.type ?? 'repository'
  const name = first?.name ?? ''
  const actions = asked.map(({ action }) => action)
  const list = JSON.stringify(actions)
  const rule = `- {match: {account: ${JSON.stringify(account)}, type: ${type}, name: ${JSON.stringify(name)}}, actions: ${list}}`
  // Where Berth is not at its usual place it does not find its rules by itself.
  const isPlaced = whereIs(settings, DATA) !== undefined
  const place = `--data ${shellText((isPlaced ? textAt(settings, DATA) : undefined) ?? 'DIR')}`
  const command = `berth acl add --account ${shellText(account)} --type ${type} --name ${shellText(name)} --actions ${shellText(actions.join(','))} ${place}`
  const ask = `berth acl test ${shellText(account)} ${shellText(formatScope(asked))} ${place}`
  if (ruling?.key !== undefined) {
    return [change(settings, [...ruling.key, 'actions'], list), `or before it, at ${ruling.rule}: ${rule}`]
  }
  if (ruling !== undefined)
    return ruling.rule === undefined && settings?.authFile !== undefined
      ? [`${settings.authFile}: at the beginning of acl: ${rule}`]
      : [command]
  return [
    `${ask}  (on the server: says which rule decides; for docker_auth's file: berth doctor … --auth-config auth_config.yml)`,
    `docker_auth, at the beginning of acl: ${rule}`,
    `Berth's own rules: ${command}`,
  ]
}

function checkImage({ image, registry, repository, reference, wanted }: ClientFacts): Finding[] {
  if (image === undefined || reference === undefined) return []
  const name = `${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`
  if ('fault' in image) {
    const isBroken = image.status !== undefined && image.status >= 500
    return [
      isBroken
        ? fault(
            'registry-failing',
            name,
            image.fault,
            "the registry's log has the reason; on its machine: berth doctor --config config.yml",
          )
        : note('image', name, image.fault),
    ]
  }
  if (image.found) return [fine('image', name, 'is there')]
  const message = 'there is no such image: `manifest unknown`'
  const make = wanted === undefined || wanted.includes('pull') ? fault : warning
  return [make('image-missing', name, message, `berth ls ${registry}/${repository}  (shows the tags that there are)`)]
}
