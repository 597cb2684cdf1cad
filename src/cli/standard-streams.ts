import { fstatSync, writeSync } from 'node:fs'

/** What a server says as it starts, without the runtime's streams: to make one loads the modules of streams and sockets. */

const STDERR = 2

/** Writes to standard error. A reader that went away costs the text, and is no failure of the command. */
export function say(text: string): void {
  const bytes = Buffer.from(text)
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(STDERR, bytes, done)
  } catch {
    // There is nowhere left to say it.
  }
}

/** Whether standard error is a terminal. */
export function isTerminal(): boolean {
  try {
    // Of what is no device the runtime need not be asked.
    return fstatSync(STDERR).isCharacterDevice() && process.stderr.isTTY === true
  } catch {
    return false
  }
}

let isTolerant = false

/**
 * Who reads the output may have seen enough (`berth config schema | head`): no failure of the command, and none of a server. Output
 * that cannot be written (a full disk) ends the command with 1. To be called before anything is written to the runtime's own streams.
 */
export function toleratePipes(): void {
  if (isTolerant) return
  isTolerant = true
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return
    say(`berth: cannot write standard output: ${error.message}\n`)
    process.exit(1)
  })
  // There is nowhere left to say it.
  process.stderr.on('error', () => {})
}
