import { writeSync } from 'node:fs'

export interface LineWriter {
  write(line: string): void
  /** Writes out what waits. */
  flush(): void
}

/** Characters that may wait before they are written at once. */
const BUFFER = 64 * 1024

/**
 * Lines to a file descriptor, gathered for up to `delayMs`: one system call for many requests. A reader that went away
 * (EPIPE) or cannot keep up (EAGAIN) costs lines, never the server.
 */
export function createLineWriter(descriptor: number, delayMs: number): LineWriter {
  let waiting = ''
  let timer: ReturnType<typeof setTimeout> | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const text = waiting
    waiting = ''
    if (text === '') return
    try {
      let bytes = Buffer.from(text)
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(descriptor, bytes))
    } catch {
      // There is nowhere left to say it.
    }
  }

  return {
    flush,
    write(line) {
      waiting += `${line}\n`
      if (waiting.length >= BUFFER || delayMs === 0) flush()
      else timer ??= setTimeout(flush, delayMs)
    },
  }
}
