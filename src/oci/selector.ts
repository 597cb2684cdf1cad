import { RE2JS } from 're2js'
import { matchDeepGlob } from './deep-glob.ts'
import { isMalformedGlob } from './glob.ts'

/**
 * Which names (repositories, tags) a policy speaks of: a list of patterns. `a*` and `team/**` are globs for the whole name, as
 * in `matchDeepGlob`, `/expression/` is RE2 and is found anywhere in it, and `!` before either takes names out.
 */
export interface Selector {
  /** As they were written. */
  readonly patterns: readonly string[]
  /**
   * True when one of the patterns without `!` matches, or the list has none of these, and none of those with `!` does. The
   * order of the list means nothing; an empty list matches everything.
   */
  matches(name: string): boolean
}

/** Characters of one pattern. */
const LONGEST = 1000

const EXPRESSION = /^\/(.+)\/$/s

/** @throws RangeError for a pattern that `selectorProblem` has something against */
export function compileSelector(patterns: readonly string[]): Selector {
  const problem = patterns.map(selectorProblem).find((each) => each !== undefined)
  if (problem !== undefined) throw new RangeError(problem)
  const [taken, left] = [patterns.filter((each) => !isNegated(each)), patterns.filter(isNegated)]
  const wanted = taken.map(compile)
  const unwanted = left.map((pattern) => compile(pattern.slice(1)))
  return {
    patterns: [...patterns],
    matches: (name) =>
      (wanted.length === 0 || wanted.some((matches) => matches(name))) && !unwanted.some((matches) => matches(name)),
  }
}

/** What is wrong with one pattern of a list, in words for who wrote it; undefined when nothing is. */
export function selectorProblem(pattern: string): string | undefined {
  if (pattern.length > LONGEST) return `a pattern has at most ${LONGEST} characters`
  const bare = isNegated(pattern) ? pattern.slice(1) : pattern
  if (bare === '') return 'the pattern is empty: write ** for every name'
  if (isNegated(bare)) return `${JSON.stringify(pattern)} is negated twice`
  const expression = expressionOf(bare)
  if (expression !== undefined) {
    const fault = expressionFault(expression)
    return fault === undefined ? undefined : `${JSON.stringify(pattern)} is no expression: ${fault}`
  }
  if (bare.startsWith('/'))
    return `${JSON.stringify(pattern)} matches no name: an expression stands between two slashes`
  if (!isMalformedGlob(bare)) return undefined
  return `${JSON.stringify(pattern)} is no glob, and would match nothing: a [class] is not closed, or the last \\ has nothing to mask`
}

const isNegated = (pattern: string): boolean => pattern.startsWith('!')

const expressionOf = (pattern: string): string | undefined => EXPRESSION.exec(pattern)?.[1]

function expressionFault(expression: string): string | undefined {
  try {
    RE2JS.compile(expression)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function compile(pattern: string): (name: string) => boolean {
  const expression = expressionOf(pattern)
  if (expression !== undefined) {
    const regex = RE2JS.compile(expression)
    return (name) => regex.test(name)
  }
  // Whoever writes a star and nothing else means every name, those with slashes too.
  if (/^\*+$/.test(pattern)) return () => true
  if (!/[*?[\\]/.test(pattern)) return (name) => name === pattern
  return (name) => matchDeepGlob(pattern, name)
}
