import { readRetentionRule } from '../oci/retention-rule.ts'
import type { RetentionConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { warnOfUnmatchable } from './unmatchable.ts'

/** Least time between two runs, milliseconds: each looks at every tag. */
const LEAST_INTERVAL = 60_000
const MAX_RULES = 200

export function resolveRetention(raw: Distribution['retention'], places: Places): RetentionConfig {
  const { enabled, interval, expiry } = raw
  if (interval < LEAST_INTERVAL) {
    places.warn(['retention', 'interval'], 'is less than a minute, which is taken in its place', 'Write 1m or more.')
  }
  for (const [index, name] of expiry.names.entries()) {
    if (/^[\w./-]{1,100}$/.test(name)) continue
    const message = `${JSON.stringify(name)} is no name of an annotation or a label`
    places.problem(['retention', 'expiry', 'names', index], message)
  }
  return {
    enabled,
    intervalMs: Math.max(interval, LEAST_INTERVAL),
    expiry: { enabled: expiry.enabled, names: [...expiry.names] },
    rules: resolveRetentionRules(raw.rules, ['retention', 'rules'], places),
  }
}

/** Rules of a configuration, or of a file that has nothing else. */
export function resolveRetentionRules(
  raw: Distribution['retention']['rules'],
  at: Path,
  places: Places,
): RetentionConfig['rules'] {
  if (raw.length > MAX_RULES) places.problem(at, `there can be at most ${MAX_RULES} rules`)
  const names = new Set<string>()
  return raw.map((written, index) => {
    const name = written.name || `rule-${index + 1}`
    const { rule, problems } = readRetentionRule({ ...written, name })
    for (const { path, message } of problems) {
      const keys = path === '' ? [] : path.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part))
      places.problem([...at, index, ...keys], message)
    }
    if (problems.length === 0) warnOfPatterns(rule, [...at, index], places)
    if (names.has(name))
      places.problem([...at, index, 'name'], `${JSON.stringify(name)} is the name of another rule, too`)
    names.add(name)
    return rule
  })
}

function warnOfPatterns({ repositories, tags }: RetentionConfig['rules'][number], at: Path, places: Places): void {
  for (const [index, pattern] of repositories.entries())
    warnOfUnmatchable(pattern, 'repository', [...at, 'repositories', index], places)
  for (const [index, pattern] of tags.entries()) warnOfUnmatchable(pattern, 'tag', [...at, 'tags', index], places)
}
