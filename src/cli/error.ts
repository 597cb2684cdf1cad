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

/** The same error with the hint that its words lead to; undefined: none. */
export function withHintOf(error: unknown, hintOf: (message: string) => string | undefined): unknown {
  if (!(error instanceof CommandError) || error.hint !== undefined) return error
  const hint = hintOf(error.message)
  return hint === undefined ? error : new CommandError(error.message, error.exitCode, { hint })
}

/** The same error with a hint, where it is one whose words match. */
export function withHint(error: unknown, words: RegExp, hint: string): unknown {
  return withHintOf(error, (message) => (words.test(message) ? hint : undefined))
}
