import type { MetadataError } from './metadata.ts'

/**
 * Whether a database was found to be damaged. As long as it is, nothing is written to it: what is built on a broken page breaks
 * further, and a push that it acknowledged could be lost with it. Reads go on, for what they still find.
 *
 * SQLite says "corrupt", too, where the disk reports an error while a page is read, which may pass: whoever has looked at the
 * whole database since, and found it well, takes the finding back.
 */
export interface Damage {
  /** What was found first; undefined: nothing, or it is well again. */
  readonly found: MetadataError | undefined
  /** Of all that a database's user meets, `corrupt` is what counts. */
  report(error: MetadataError): void
  /** The whole database was read, and is well. */
  dismiss(): void
}

/** `onFound` is called once for each time that it becomes damaged. */
export function createDamage(onFound: (error: MetadataError) => void = () => {}): Damage {
  let found: MetadataError | undefined
  return {
    get found() {
      return found
    },
    report(error) {
      if (error.fault !== 'corrupt' || found !== undefined) return
      found = error
      onFound(error)
    },
    dismiss() {
      found = undefined
    },
  }
}
