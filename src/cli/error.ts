/** Ends a command with a text for its user and an exit code. */
export class CommandError extends Error {
  readonly exitCode: number
  /** What to do about it, as one line. */
  readonly hint: string | undefined

  constructor(message: string, exitCode = 1, { hint }: { hint?: string | undefined } = {}) {
    super(message)
    this.name = 'CommandError'
    this.exitCode = exitCode
    this.hint = hint
  }
}

/** The same error with a hint, where it is one whose words match. */
export function withHint(error: unknown, words: RegExp, hint: string): unknown {
  const isMeant = error instanceof CommandError && error.hint === undefined && words.test(error.message)
  return isMeant ? new CommandError(error.message, error.exitCode, { hint }) : error
}
