import { isMalformedGlob } from '../oci/glob.ts'
import type { AclEntry } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import { isNull, nodeAt, type Path } from './node.ts'
import { isIpPattern, regexpFault, regexpOf } from './pattern.ts'
import type { Places } from './places.ts'
import { warnOfUnmatchable } from './unmatchable.ts'

type RawEntry = NonNullable<DockerAuth['acl']>[number]
type RawMatch = NonNullable<RawEntry['match']>

const PATTERNS = ['account', 'type', 'name', 'service'] as const

/**
 * Checks the rules as docker_auth does at load, and what it finds out only when a rule is used: an entry without `match`
 * or `actions`, and a glob that can never match.
 * @param path of the list
 */
export function resolveAcl(entries: readonly RawEntry[], path: Path, places: Places): AclEntry[] {
  return entries.map((entry, index) => {
    const here = [...path, index]
    if (entry.match === undefined && !places.findings.refused(places.name([...here, 'match']))) {
      places.problem(here, 'has no match', 'Write "match: {}" for a rule that holds for everyone.')
    }
    if (entry.actions === undefined && !places.findings.refused(places.name([...here, 'actions']))) {
      places.problem([...here, 'actions'], 'is missing', 'Write "actions: []" for a rule that allows nothing.')
    }
    if (entry.match !== undefined) checkMatch(entry.match, index, [...here, 'match'], places)
    return {
      match: matchOf(entry.match ?? {}),
      actions: entry.actions ?? [],
      comment: entry.comment || undefined,
      where: places.where(here),
    }
  })
}

function matchOf({ account, type, name, service, ip, labels }: RawMatch): AclEntry['match'] {
  const own = labels === undefined ? undefined : Object.assign(Object.create(null) as Record<string, string>, labels)
  return { account, type, name, service, ip, labels: own }
}

function checkMatch(match: RawMatch, index: number, path: Path, places: Places): void {
  const invalid = `invalid ACL: entry ${index}, invalid match conditions: `
  const check = (pattern: string, here: Path, named: string): void => {
    const expression = regexpOf(pattern)
    if (expression === undefined) {
      if (!isMalformedGlob(pattern)) return
      places.warn(
        here,
        `${JSON.stringify(pattern)} is a malformed pattern, so the rule never matches`,
        'Escape [ and \\ with \\.',
      )
      return
    }
    const fault = regexpFault(expression)
    if (fault !== undefined) places.problem(here, `${invalid}${named}: invalid regex pattern: ${fault}`)
  }
  for (const key of PATTERNS) {
    const pattern = match[key]
    if (pattern !== undefined) check(pattern, [...path, key], `invalid pattern ${JSON.stringify(pattern)}`)
  }
  const { type = 'repository', name } = match
  if (type === 'repository' && name !== undefined) warnOfUnmatchable(name, 'repository', [...path, 'name'], places)
  for (const [label, pattern] of Object.entries(match.labels ?? {})) {
    const named = `invalid match pattern ${JSON.stringify(pattern)} for label ${label}`
    check(pattern, [...path, 'labels', label], named)
  }
  if (match.ip !== undefined && !isIpPattern(match.ip)) {
    const fix = 'Write an address (192.0.2.1) or a block (192.0.2.0/24).'
    places.problem([...path, 'ip'], `${invalid}invalid IP pattern: invalid CIDR address: ${match.ip}`, fix)
  }
  warnOfNulls(path, places)
}

/** A null condition is no condition to docker_auth, so `account:` without a value matches everyone. */
function warnOfNulls(path: Path, places: Places): void {
  const node = nodeAt(places.root, path)
  if (node?.kind !== 'map') return
  for (const [key, entry] of node.entries) {
    if (!isNull(entry.node)) continue
    const fix =
      key === 'account' ? 'Write account: "" for clients without a login.' : 'Give a pattern, or remove the key.'
    places.warn([...path, key], 'has no value, so the rule does not depend on it', fix)
  }
}
