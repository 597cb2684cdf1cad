/** Ends a command with a text for its user and an exit code. */
export class CommandError extends Error {
  readonly exitCode: number
  /** What to do about it, as one line. */
  readonly hint: string | undefined
  /** The rule of immutable tags that forbids it. */
  readonly immutable: string | undefined

  constructor(
    message: string,
    exitCode = 1,
    { hint, immutable }: { hint?: string | undefined; immutable?: string | undefined } = {},
  ) {
    super(message)
    this.name = 'CommandError'
    this.exitCode = exitCode
    this.hint = hint
    this.immutable = immutable
  }
}

/** The same error with a hint that it leads to; undefined: none. */
export function withHintOf(error: unknown, hintOf: (error: CommandError) => string | undefined): unknown {
  if (!(error instanceof CommandError) || error.hint !== undefined) return error
  const hint = hintOf(error)
  if (hint === undefined) return error
  return new CommandError(error.message, error.exitCode, { hint, immutable: error.immutable })
}

/** The same error with a hint, where it is one whose words match. */
export function withHint(error: unknown, words: RegExp, hint: string): unknown {
  return withHintOf(error, ({ message }) => (words.test(message) ? hint : undefined))
}
