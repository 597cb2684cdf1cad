import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** A file of JSON lines that is there as a whole, or not at all. */
export interface ReportFile {
  line(value: unknown): void
  /** Writes it out, synced, under its name; lines that come later are lost. */
  finish(): void
  /** Leaves nothing behind, unless it is finished. */
  discard(): void
}

/** Characters that wait for others. */
const BATCH = 64 * 1024

/**
 * `path` is replaced when it is finished; until then the lines are in `part`, which one that was interrupted leaves behind for
 * the next. @throws Error when it cannot be made.
 */
export function createReportFile(path: string, part = `${path}.part`): ReportFile {
  let file: number | undefined = openSync(part, 'w', 0o600)
  let waiting = ''

  function flush(): void {
    if (file !== undefined && waiting !== '') writeSync(file, waiting)
    waiting = ''
  }

  return {
    line(value) {
      waiting += `${JSON.stringify(value)}\n`
      if (waiting.length >= BATCH) flush()
    },
    finish() {
      if (file === undefined) return
      flush()
      fsyncSync(file)
      closeSync(file)
      file = undefined
      renameSync(part, path)
    },
    discard() {
      if (file === undefined) return
      closeSync(file)
      file = undefined
      rmSync(part, { force: true })
    },
  }
}
