import { writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { untilAborted } from '../../transfer/until-aborted.ts'
import { CommandError } from '../error.ts'
import { textOfInput } from '../input-text.ts'
import { readPassword } from '../password-prompt.ts'
import type { Terminal } from '../progress.ts'
import { askLine } from '../question.ts'
import { createHarmless } from './harmless.ts'

/** What the client's verbs need of the process, as arguments for tests. */
export interface ClientContext {
  env: Readonly<Record<string, string | undefined>>
  home: string
  /** Milliseconds since the epoch. */
  now(): number
  /** Aborted when the user interrupts. */
  signal: AbortSignal
  /** Data, and nothing else. @throws ClosedPipe when nobody reads any more */
  out(data: string | Uint8Array): void
  error(text: string): void
  /** Whether there is somebody to ask: standard input and standard error are a terminal. */
  canAsk: boolean
  /** Whether `out` is shown by a terminal, which obeys some characters. */
  outIsTerminal: boolean
  /** Columns of that terminal; undefined: none, or not known. */
  columns?: number | undefined
  ask(question: string): Promise<string>
  askPassword(question: string): Promise<string>
  /** Standard input to its end. @throws CommandError when it is longer than `limit` bytes */
  readInput(limit: number): Promise<string>
  /** Standard input as it comes. */
  input(): AsyncIterable<Uint8Array>
  /** Where bars are drawn. */
  terminal: Terminal
}

/** Whoever read our output went away (`berth ls … | head -1`): no fault of anybody's. */
export class ClosedPipe extends Error {}

export function contextOfProcess(signal: AbortSignal): ClientContext {
  const { stdin, stdout, stderr } = process
  const harmless = createHarmless()
  const bytesOf = (data: string | Uint8Array) => (typeof data === 'string' ? new TextEncoder().encode(data) : data)
  return {
    env: process.env,
    home: process.env.HOME || homedir(),
    now: Date.now,
    signal,
    out: (data) => writeAll(1, bytesOf(typeof data === 'string' || !stdout.isTTY ? data : harmless(data))),
    error: (text) => void stderr.write(text),
    canAsk: stdin.isTTY === true && stderr.isTTY === true,
    outIsTerminal: stdout.isTTY === true,
    columns: stdout.isTTY === true ? stdout.columns || undefined : undefined,
    ask: (question) => askLine(question, signal),
    askPassword: (question) => readPassword(question, { twice: false, signal }),
    readInput: (limit) => readInput(limit, signal),
    input: () => untilAborted(Bun.stdin.stream(), signal),
    // A bar in the log of a build would be noise, also where that has a terminal.
    terminal: process.env.CI ? { write: () => {} } : stderr,
  }
}

/** Milliseconds before a pipe that is full is tried again. */
const FULL = 5

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) {
    try {
      at += writeSync(file, bytes, at)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      if (code === 'EPIPE') throw new ClosedPipe('nobody reads the output', { cause: error })
      if (code !== 'EAGAIN') {
        const reason = error instanceof Error ? error.message : String(error)
        throw new CommandError(`cannot write standard output: ${reason}`)
      }
      Bun.sleepSync(FULL)
    }
  }
}

async function readInput(limit: number, signal: AbortSignal): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of untilAborted(Bun.stdin.stream(), signal)) {
    size += chunk.byteLength
    if (size > limit) throw new CommandError(`standard input has more than ${limit} bytes`)
    chunks.push(chunk)
  }
  return textOfInput(Buffer.concat(chunks))
}
