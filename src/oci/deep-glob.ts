import { matchGlob } from './glob.ts'

/**
 * Like `matchGlob`, except that a path element `**` stands for any number of elements, none included: `team/**` matches
 * `team/a`, `team/a/b`, and not `team`.
 */
export function matchDeepGlob(pattern: string, text: string): boolean {
  if (!pattern.includes('**')) return matchGlob(pattern, text)
  return matchElements(pattern.split('/'), text.split('/'))
}

function matchElements(patterns: readonly string[], elements: readonly string[]): boolean {
  // reachable[j]: the patterns so far match the first j elements.
  let reachable = elements.map(() => false)
  reachable = [true, ...reachable]
  for (const [index, pattern] of patterns.entries()) {
    const next = reachable.map(() => false)
    if (pattern === '**') {
      // At the end it needs something to stand for, as `*` does.
      const least = index === patterns.length - 1 ? 1 : 0
      let seen = false
      for (let j = 0; j < next.length; j++) {
        if (j >= least && reachable[j - least]) seen = true
        next[j] = seen
      }
    } else {
      for (let j = 1; j < next.length; j++) {
        next[j] = reachable[j - 1] === true && matchGlob(pattern, elements[j - 1] ?? '')
      }
    }
    reachable = next
  }
  return reachable.at(-1) === true
}
