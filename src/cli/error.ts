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
