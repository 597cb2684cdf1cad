import { UpstreamError } from '../../upstream/error.ts'
import { CommandError } from '../error.ts'
import { counted, countText } from '../progress.ts'
import { printable } from '../table.ts'
import type { ClientContext } from './context.ts'

/** A part of a list that could not be read. */
export interface Unread {
  name: string
  /** Why, in words that need no name. */
  problem: string
}

const HOPELESS: readonly string[] = ['usage', 'network', 'tls', 'unauthorized', 'throttled']

/** Whether no other image or repository fares better: without network or rights there is no use in going on. */
export function isHopeless(error: unknown): boolean {
  if (!(error instanceof UpstreamError)) return false
  // An answer that began and broke off is about what was asked for.
  return HOPELESS.includes(error.fault) && !(error.fault === 'network' && error.status !== undefined)
}

/**
 * What is wrong with `what` (`HOST/REPOSITORY:TAG`) alone, as `Unread` has it; with something that it names, which. @throws the error,
 * where it is about more than that
 */
export function problemOf(error: unknown, what: string): string {
  if (!(error instanceof UpstreamError) || isHopeless(error)) throw error
  const { message } = error
  for (const start of [`${what}: `, `${what} `]) if (message.startsWith(start)) return message.slice(start.length)
  const repository = what.replace(/[:@][^/]*$/, '')
  return message.replaceAll(`${repository}@`, '')
}

/** Said of a list when all the rest of it was shown: what is wrong, which a narrow table cuts. @throws CommandError where a part is missing */
export function mustBeWhole(
  { error }: ClientContext,
  unread: readonly Unread[],
  of: number,
  [noun, plural = `${noun}s`]: readonly [string, string?],
): void {
  const [first] = unread
  if (first === undefined) return
  const those = `${countText(unread.length)} of ${counted(of, noun, plural)} cannot be read`
  if (unread.length === 1) throw new CommandError(`${those}: ${first.name}: ${first.problem}`)
  for (const { name, problem } of unread.slice(0, TOLD)) error(`${printable(`${name}: ${problem}`)}\n`)
  throw new CommandError(those)
}

/** Parts of which it is told what is wrong with them. */
const TOLD = 20

/** The title of a column that is there where a part could not be read. */
export const PROBLEM_TITLE = 'PROBLEM'
