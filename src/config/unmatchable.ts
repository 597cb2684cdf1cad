import { unmatchable } from '../oci/unmatchable.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

/** Of a pattern that is well-formed, and of names that there cannot be: its rule does not do what it looks like. */
export function warnOfUnmatchable(pattern: string, kind: 'repository' | 'tag', path: Path, places: Places): void {
  const why = unmatchable(pattern, kind)
  if (why !== undefined) places.warn(path, `${JSON.stringify(pattern)} ${why}`)
}
