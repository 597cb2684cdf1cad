import { quotaPrefix } from '../oci/quota-prefix.ts'
import { selectorProblem } from '../oci/selector.ts'
import { parseSize } from '../oci/size.ts'
import type { ImmutableConfig, QuotaConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { warnOfUnmatchable } from './unmatchable.ts'

/** As the API takes it. */
const NAME = /^[\w.-]{1,64}$/

export function resolveImmutable(raw: Distribution['immutable'], places: Places): ImmutableConfig[] {
  const names = new Set<string>()
  return raw.map(({ repositories, tags, ...rule }, index) => {
    const path: Path = ['immutable', index]
    const name = rule.name || `immutable-${index + 1}`
    if (!NAME.test(name)) {
      places.problem(
        [...path, 'name'],
        `${JSON.stringify(name)} is no name`,
        'Write 1 to 64 letters, digits, _ . and -.',
      )
    }
    if (names.has(name)) {
      places.problem(
        [...path, 'name'],
        `${JSON.stringify(name)} is the name of another rule, too`,
        'Name each otherwise.',
      )
    }
    names.add(name)
    if (repositories.length + tags.length === 0) {
      places.problem(path, 'names neither repositories nor tags', "Write tags: ['**'] if every tag is to stay.")
    }
    checkPatterns(repositories, 'repository', [...path, 'repositories'], places)
    checkPatterns(tags, 'tag', [...path, 'tags'], places)
    return { name, repositories, tags }
  })
}

export function resolveQuotas(raw: Distribution['quotas'], places: Places): QuotaConfig[] {
  const prefixes = new Set<string>()
  return raw.map((quota, index) => {
    const path: Path = ['quotas', index]
    const { tags, repositories } = quota
    const prefix = quotaPrefix(quota.prefix ?? '')
    if (prefix === undefined) {
      const fix = "Write the name of a repository or of the part before a slash, such as team; '*' for all."
      places.problem([...path, 'prefix'], `${JSON.stringify(quota.prefix ?? '')} is no prefix of repositories`, fix)
    } else if (prefixes.has(prefix)) {
      places.problem([...path, 'prefix'], `${JSON.stringify(quota.prefix)} has a quota already`, 'Put both into one.')
    } else prefixes.add(prefix)
    const bytes = quota.bytes === undefined ? undefined : parseSize(quota.bytes)
    if (quota.bytes !== undefined && bytes === undefined) {
      const message = `${JSON.stringify(quota.bytes)} is no number of bytes`
      places.problem([...path, 'bytes'], message, 'Write one such as 50GiB.')
    }
    if (quota.bytes === undefined && tags === undefined && repositories === undefined) {
      places.problem(path, 'limits nothing', 'Add bytes, tags or repositories.')
    }
    return { prefix: prefix ?? '', limits: { bytes: bytes && Math.floor(bytes), tags, repositories } }
  })
}

function checkPatterns(patterns: readonly string[], kind: 'repository' | 'tag', path: Path, places: Places): void {
  for (const [index, pattern] of patterns.entries()) {
    const problem = selectorProblem(pattern)
    if (problem !== undefined) places.problem([...path, index], problem)
    else warnOfUnmatchable(pattern, kind, [...path, index], places)
  }
}
