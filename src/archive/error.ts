/** What is wrong with an archive: it is not whole, it is more than one is willing to read, or nothing here can read it. */
export type ArchiveFault = 'damaged' | 'limit' | 'unsupported'

/** An archive that comes from a stranger and is not read any further. The message is one line for a person. */
export class ArchiveError extends Error {
  readonly fault: ArchiveFault
  /** What to do about it, as one line. */
  readonly hint: string | undefined

  constructor(fault: ArchiveFault, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'ArchiveError'
    this.fault = fault
    this.hint = options.hint
  }
}
