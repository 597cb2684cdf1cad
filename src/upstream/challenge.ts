/** One challenge of a WWW-Authenticate header: its scheme in lower case, its parameters by name in lower case. */
export interface Challenge {
  scheme: string
  parameters: ReadonlyMap<string, string>
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const SPACE = /[ \t]*/y
/** A value in quotes; a backslash makes any character its own (RFC 9110 section 5.6.4). */
const QUOTED = /"((?:[^"\\]|\\[\s\S])*)"/y
/** What Basic's and Negotiate's credentials look like: no parameter. */
const TOKEN68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y

/** RFC 9110 section 11.6.1. What cannot be read ends the list: challenges before it count. */
export function parseChallenges(header: string | null): Challenge[] {
  const text = header ?? ''
  const challenges: Challenge[] = []
  let at = 0
  let current: Map<string, string> | undefined

  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(text)
    if (match === null) return undefined
    at = pattern.lastIndex
    return match[1] ?? match[0]
  }

  while (at < text.length) {
    take(SPACE)
    if (text[at] === ',') {
      at++
      continue
    }
    const word = take(TOKEN)
    if (word === undefined) break
    take(SPACE)
    if (text[at] === '=' && current !== undefined) {
      at++
      take(SPACE)
      const value = text[at] === '"' ? take(QUOTED)?.replace(/\\([\s\S])/g, '$1') : take(TOKEN)
      if (value === undefined) break
      current.set(word.toLowerCase(), value)
      continue
    }
    current = new Map()
    challenges.push({ scheme: word.toLowerCase(), parameters: current })
    // `Negotiate abcd==`: nothing that we could answer.
    take(TOKEN68)
  }
  return challenges
}
