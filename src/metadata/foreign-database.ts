/** A database of somebody else: a few statements, each of its own, and a time limit for every one. */
export interface ForeignDatabase {
  /**
   * Runs one statement. Nothing of it hangs: what is not answered in time is given up, with its connection.
   * @throws Error when it could not; `isMissingTable` tells one kind.
   */
  query(statement: string, values?: readonly string[]): Promise<Record<string, unknown>[]>
  isMissingTable(error: unknown): boolean
  /** Whether a value has characters that the column's character set has not, so that no row can be equal to it. */
  isForeignText(error: unknown): boolean
  /** Runs one statement that makes a table. @throws Error when that is not allowed. */
  define(statement: string): Promise<void>
  close(): Promise<void>
}
