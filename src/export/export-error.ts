/** An export that cannot be made, with a text for its user. */
export class ExportError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ExportError'
  }
}
