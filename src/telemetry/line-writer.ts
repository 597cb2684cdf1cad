import { writeSync } from 'node:fs'

export interface LineWriter {
  write(line: string): void
  /** Without waiting, and with it what waits. */
  writeNow(line: string): void
  /** Writes out what waits. */
  flush(): void
}

/** Bytes that may wait before they are written at once. */
const BUFFER = 128 * 1024

/**
 * Lines to a file descriptor, gathered for up to `delayMs`: one system call for many requests. A reader that went away
 * (EPIPE) or cannot keep up (EAGAIN) costs lines, never the server.
 */
export function createLineWriter(descriptor: number, delayMs: number): LineWriter {
  const buffer = Buffer.allocUnsafe(BUFFER)
  let used = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function writeOut(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done)
    } catch {
      // There is nowhere left to say it.
    }
  }

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const length = used
    used = 0
    if (length > 0) writeOut(buffer.subarray(0, length))
  }

  return {
    flush,
    write,
    writeNow(line) {
      write(line)
      flush()
    },
  }

  function write(line: string): void {
    // A character of UTF-16 has at most three bytes in UTF-8.
    const most = line.length * 3 + 1
    if (used + most > BUFFER) flush()
    if (most > BUFFER) {
      writeOut(Buffer.from(`${line}\n`))
      return
    }
    used += buffer.write(line, used)
    buffer[used++] = 0x0a
    if (delayMs === 0) flush()
    else timer ??= setTimeout(flush, delayMs)
  }
}
