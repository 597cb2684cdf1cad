import type { Grant } from '../metadata/metadata.ts'
import { ChangeError, type ChangeProblem } from './administration.ts'
import { parseGrant } from './grants.ts'

const MAX_GRANTS = 100
const MAX_LENGTH = 300

/**
 * Rights as an administrator writes them (`repository:team/**:pull,push`), at least one.
 * @param path of the list, for the problems
 * @throws ChangeError with every problem
 */
export function readGrants(texts: readonly string[], path: string): Grant[] {
  const problems: ChangeProblem[] = []
  if (texts.length === 0) problems.push({ path, message: 'there must be at least one right' })
  if (texts.length > MAX_GRANTS) problems.push({ path, message: `there can be at most ${MAX_GRANTS} rights` })
  const grants = texts.slice(0, MAX_GRANTS).map((text, index) => {
    // No name of a resource has white space in it: such a right would hold for nothing, and nobody would notice.
    const grant = text.length > MAX_LENGTH || /[\s\p{Cc}]/u.test(text) ? undefined : parseGrant(text)
    if (grant === undefined) {
      problems.push({ path: `${path}.${index}`, message: 'a right looks like repository:team/**:pull,push' })
    }
    return grant
  })
  if (problems.length > 0) throw new ChangeError('invalid', problems[0]?.message ?? '', problems)
  return grants.filter((grant) => grant !== undefined)
}
