import { createInterface } from 'node:readline'
import { CommandError } from './error.ts'

/** Asks on the terminal. @throws CommandError when the question is interrupted */
export async function askLine(question: string, signal: AbortSignal): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const interrupted = () => reject(new CommandError('interrupted; nothing is changed', 130))
  lines.question(question, resolve)
  lines.once('SIGINT', interrupted)
  lines.once('close', interrupted)
  signal.addEventListener('abort', interrupted, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', interrupted)
    lines.off('close', interrupted)
    lines.close()
  }
}
