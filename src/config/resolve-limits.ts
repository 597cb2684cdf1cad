import { selectorProblem } from '../oci/selector.ts'
import type { ImmutableConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

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
    checkPatterns(repositories, [...path, 'repositories'], places)
    checkPatterns(tags, [...path, 'tags'], places)
    return { name, repositories, tags }
  })
}

function checkPatterns(patterns: readonly string[], path: Path, places: Places): void {
  for (const [index, pattern] of patterns.entries()) {
    const problem = selectorProblem(pattern)
    if (problem !== undefined) places.problem([...path, index], problem)
  }
}
