import { performVerb } from '../../src/cli/client/client.ts'
import type { ClientContext } from '../../src/cli/client/context.ts'
import { verbOf } from '../../src/cli/client/verbs.ts'

export interface Shown {
  out: string
  error: string
  code: number
}

export interface VerbShell {
  /** Runs a verb in this process, as the command line does. */
  run(...args: string[]): Promise<Shown>
  /** As `run`, for somebody at a terminal who answers so. */
  runAnswering(answers: readonly string[], ...args: string[]): Promise<Shown>
  /** As `run`, on a terminal so many columns wide. */
  runAt(columns: number, ...args: string[]): Promise<Shown>
  /** As `run`, with this on standard input. */
  runWith(input: string, ...args: string[]): Promise<Shown>
}

/** A user with a home of his own. `flags` stand at the end of every command. */
export function openVerbShell(
  home: string,
  flags: readonly string[] = [],
  env: Record<string, string> = {},
): VerbShell {
  async function perform(args: readonly string[], change: Partial<ClientContext>): Promise<Shown> {
    const shown = { out: '', error: '' }
    const [word = '', ...others] = args
    const context: ClientContext = {
      env: { PATH: process.env.PATH, ...env },
      home,
      now: Date.now,
      signal: new AbortController().signal,
      out: (data) => {
        shown.out += typeof data === 'string' ? data : new TextDecoder().decode(data)
      },
      error: (text) => {
        shown.error += text
      },
      canAsk: false,
      outIsTerminal: false,
      ask: () => Promise.reject(new Error('nobody is there')),
      askPassword: () => Promise.reject(new Error('nobody is there')),
      readInput: () => Promise.reject(new Error('there is no input')),
      input: () => {
        throw new Error('there is no input')
      },
      terminal: { write: () => {} },
      ...change,
    }
    const code = await performVerb(verbOf(word, args[1]) ?? word, [...others, ...flags], context)
    return { ...shown, code }
  }

  return {
    run: (...args) => perform(args, {}),
    runAnswering(answers, ...args) {
      const left = [...answers]
      const ask = async (question: string) => {
        const answer = left.shift()
        if (answer === undefined) throw new Error(`nothing answers ${question}`)
        return answer
      }
      return perform(args, { canAsk: true, ask, askPassword: ask })
    },
    runAt: (columns, ...args) => perform(args, { outIsTerminal: true, columns }),
    runWith: (input, ...args) => perform(args, { readInput: async () => input }),
  }
}
