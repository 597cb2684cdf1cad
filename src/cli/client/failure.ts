import { ArchiveError } from '../../archive/error.ts'
import { UpstreamError, type UpstreamFault } from '../../upstream/error.ts'
import { CommandError } from '../error.ts'
import { printable } from '../table.ts'

/** Exit codes of the client's verbs; 0 to 2 as skopeo has them. */
export const EXIT = {
  done: 0,
  failed: 1,
  notFound: 2,
  denied: 3,
  refused: 4,
  network: 5,
  usage: 64,
  interrupted: 130,
} as const

const CODES: Record<UpstreamFault, number> = {
  usage: EXIT.usage,
  'not-found': EXIT.notFound,
  unauthorized: EXIT.denied,
  denied: EXIT.denied,
  conflict: EXIT.refused,
  unsupported: EXIT.refused,
  throttled: EXIT.failed,
  network: EXIT.network,
  tls: EXIT.network,
  invalid: EXIT.failed,
  failed: EXIT.failed,
}

/** What was compared is not the same, which was asked to be an exit code. */
export class Differs extends Error {}

function codeOf(error: UpstreamError | ArchiveError | CommandError): number {
  if (error instanceof UpstreamError) return CODES[error.fault]
  // A verb of the server says 2 for wrong usage, which is "not found" here.
  if (error instanceof CommandError) return error.exitCode === 2 ? EXIT.usage : error.exitCode
  return EXIT.failed
}

const ELSEWHERE: readonly UpstreamFault[] = ['network', 'unauthorized', 'denied', 'not-found']

/** The same error; where Docker Hub was asked and nobody named it, with the reason for that. `args`: the command line. */
export function withHubHint(error: unknown, args: readonly string[]): unknown {
  if (!(error instanceof UpstreamError) || !ELSEWHERE.includes(error.fault)) return error
  const { fault, message, status, code } = error
  const isNamed = args.some((word) => /\bdocker\.io\b/.test(word)) || args.every((word) => word.startsWith('-'))
  if (isNamed || !/\bdocker\.io\b/.test(message)) return error
  const hint = 'a name without a registry is of Docker Hub: for another one write HOST:PORT/NAME'
  return new UpstreamError(fault, message, { status, code, hint, cause: error })
}

/** An error as its user sees it: one line, a second with what to do, and the exit code. */
export function describeFailure(error: unknown): { text: string; code: number } {
  const message = error instanceof Error ? error.message : String(error)
  const text = `berth: ${printable(message)}\n`
  if (!(error instanceof UpstreamError || error instanceof ArchiveError || error instanceof CommandError)) {
    return { text, code: EXIT.failed }
  }
  const hint = error.hint === undefined ? '' : `Hint: ${printable(error.hint)}\n`
  return { text: text + hint, code: codeOf(error) }
}
