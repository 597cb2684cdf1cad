import { CommandError } from './error.ts'
import { textOfInput } from './input-text.ts'

/** Bytes that a line of standard input may have. */
const MAX_INPUT = 4096

export interface PasswordQuestion {
  /** Whether a terminal asks again, so that a mistyped one is not stored. */
  twice: boolean
  /** Standard input, whatever else could be asked (`--password-stdin`). */
  stdin?: boolean | undefined
  /** Ends the question. */
  signal?: AbortSignal | undefined
}

/**
 * A password: from BERTH_PASSWORD, from a terminal (not shown), or the first line of standard input.
 * @throws CommandError
 */
export async function readPassword(prompt: string, question: PasswordQuestion = { twice: true }): Promise<string> {
  const { twice, stdin = false, signal } = question
  const given = stdin ? undefined : process.env.BERTH_PASSWORD
  if (given !== undefined) return given
  if (stdin || !process.stdin.isTTY) {
    const line = await readLine()
    if (line === '') throw new CommandError('no password on standard input')
    return line
  }
  const first = await hidden(prompt, signal)
  if (twice && first !== (await hidden('Again: ', signal)))
    throw new CommandError('the two passwords differ; nothing is changed')
  return first
}

async function readLine(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    size += bytes.byteLength
    if (size > MAX_INPUT || bytes.includes('\n')) break
  }
  const input = Buffer.concat(chunks)
  const end = input.indexOf('\n')
  const line = end === -1 ? input : input.subarray(0, end)
  if (line.byteLength > MAX_INPUT)
    throw new CommandError(`the first line of standard input has more than ${MAX_INPUT} bytes`)
  return end === -1 ? textOfInput(line) : textOfInput(line).replace(/\r$/, '')
}

function hidden(prompt: string, signal: AbortSignal | undefined): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const { stdin, stderr } = process
  let typed = ''
  // Before the question: whoever answers it at once must not be seen typing, nor be a signal.
  stdin.setRawMode(true)
  stderr.write(prompt)
  stdin.resume()
  const onData = (chunk: Buffer) => {
    for (const key of chunk.toString('utf8')) {
      if (key === '\u0003') return interrupted()
      if (key === '\u0004' && typed === '') return onEnd()
      if (key === '\r' || key === '\n' || key === '\u0004') return end(() => resolve(typed))
      typed = key === '\u007f' || key === '\b' ? [...typed].slice(0, -1).join('') : typed + key
    }
  }
  // Ctrl-D, also before the terminal was told to hand on every key; or the terminal is gone.
  const onEnd = () => end(() => reject(new CommandError('no password was typed; nothing is changed')))
  const interrupted = () => end(() => reject(new CommandError('interrupted; nothing is changed', 130)))
  function end(settle: () => void): void {
    signal?.removeEventListener('abort', interrupted)
    stdin.off('data', onData)
    stdin.off('end', onEnd)
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
    settle()
  }
  stdin.on('data', onData)
  stdin.on('end', onEnd)
  if (signal?.aborted) interrupted()
  else signal?.addEventListener('abort', interrupted, { once: true })
  return promise
}

/** The first administrator's password from the environment, which then holds it no more: programs that we start inherit that. */
export function takePassword(): string | undefined {
  const password = process.env.BERTH_ADMIN_PASSWORD
  delete process.env.BERTH_ADMIN_PASSWORD
  return password
}
