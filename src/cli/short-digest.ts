import type { Answer } from './control.ts'
import { CommandError } from './error.ts'

const SHORT = /^(?:sha(?:256|512):)?[0-9a-f]{6,127}$/
const WHOLE = /^sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128})$/

/**
 * The digest that begins so, for lists on a terminal show 12 digits; what is no beginning of a digest is left as it is. `page`: asks for a
 * page of rows, from a place on. @throws CommandError where none begins so, or several do
 */
export async function wholeDigest<T>(
  text: string,
  page: (before: string | undefined) => Promise<Answer<T>>,
  digestsOf: (json: T) => readonly (string | null)[],
): Promise<string> {
  if (WHOLE.test(text) || !SHORT.test(text)) return text
  const wanted = text.includes(':') ? text : `sha256:${text}`
  const found = new Set<string>()
  let before: string | undefined
  do {
    const answer = await page(before)
    for (const digest of digestsOf(answer.json)) if (digest?.startsWith(wanted)) found.add(digest)
    before = answer.next?.get('before') ?? undefined
  } while (before !== undefined)
  const [only, ...others] = found
  if (only === undefined) throw new CommandError(`nothing here has a digest that begins with ${wanted}`)
  if (others.length > 0) throw new CommandError(`${found.size} digests begin with ${wanted}: ${[...found].join(', ')}`)
  return only
}
