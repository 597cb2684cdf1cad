import { unmatchable } from '../oci/unmatchable.ts'
import { printable } from './table.ts'

/** Says of patterns that no name there can be matches them: what is made of them does nothing, and would say nothing of it. */
export function warnOfDeadPatterns(
  { error }: { error(text: string): void },
  kind: 'repository' | 'tag',
  patterns: readonly string[] = [],
): void {
  for (const pattern of patterns) {
    const why = unmatchable(pattern, kind)
    if (why !== undefined) error(`warning: ${printable(JSON.stringify(pattern))} ${why}\n`)
  }
}
