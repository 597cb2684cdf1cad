import { ANONYMOUS, type Authenticator, type Labels, type Outcome, UnavailableError } from './authenticator.ts'
import { type CommandOptions, createCommand } from './command.ts'
import { isRecord } from './trust.ts'

const BAD_OUTPUT = 'bad output from command: expected nothing or {"labels": {"NAME": ["VALUE"]}}'

/** Milliseconds for which the answer about clients without credentials holds. */
const ANONYMOUS_MS = 1_000

export interface ExternalOptions extends CommandOptions {
  /** In milliseconds; only differences count. Default: the clock of the process. */
  now?: () => number
}

/**
 * A program that knows users (docker_auth's `ext_auth`). It reads `ACCOUNT PASSWORD` without a line end and exits with 0 for
 * yes (then it may write `{"labels": {"NAME": ["VALUE"]}}`), 1 for a wrong password, 2 for an account that it does not know.
 * A client without credentials is one space.
 *
 * Unlike docker_auth it is not asked what it would read as something else: an account with white space or control
 * characters, or a password without an account (a shell's `read` takes its first word for the account), is not known here,
 * and a password with a line break or NUL is wrong. The latter is not "not known", because then a later source could let
 * in an account that this program would have refused.
 *
 * Who asks what is being answered gets that answer, and all clients without credentials get one for a second: what costs
 * a client nothing to ask, again and again, takes no more than one child from the others.
 */
export function createExternalAuthenticator(options: ExternalOptions): Authenticator {
  const { now = () => performance.now() } = options
  const command = createCommand(options)
  const running = new Map<string, Promise<Outcome>>()
  let anonymous: { answer: Promise<Outcome>; until: number } | undefined

  async function ask(question: string, password: string): Promise<Outcome> {
    const { exitCode, stdout } = await command.run(question, password)
    if (exitCode === 0) return { kind: 'yes', labels: labelsOf(stdout) }
    if (exitCode === 1) return 'wrong-password'
    if (exitCode === 2) return 'no-match'
    throw new UnavailableError(`bad return code from command: ${exitCode}`)
  }

  /** An account has no space, so that no two questions read the same. */
  function askOnce(question: string, password: string): Promise<Outcome> {
    const known = running.get(question)
    if (known !== undefined) return known
    const answer = ask(question, password).finally(() => running.delete(question))
    running.set(question, answer)
    return answer
  }

  /** A failure holds as long, or a program that fails at once would be started without pause. */
  function askAnonymous(): Promise<Outcome> {
    if (anonymous !== undefined && anonymous.until > now()) return anonymous.answer
    const asked = { answer: ask(' ', ''), until: Number.POSITIVE_INFINITY }
    const settle = () => {
      asked.until = now() + ANONYMOUS_MS
    }
    asked.answer.then(settle, settle)
    anonymous = asked
    return asked.answer
  }

  return {
    name: 'ext_auth',
    async authenticate(account, password) {
      if (/[\p{White_Space}\p{Cc}]/u.test(account)) return 'no-match'
      if (account === ANONYMOUS) return password === '' ? await askAnonymous() : 'no-match'
      if (/[\0\n\r]/.test(password)) return 'wrong-password'
      return await askOnce(`${account} ${password}`, password)
    },
    async close() {
      anonymous = undefined
      await command.close()
    },
  }
}

/** @throws UnavailableError for anything but labels; it does not repeat the output, which may hold a secret. */
function labelsOf(stdout: string): Labels {
  if (stdout.trim() === '') return {}
  let answer: unknown
  try {
    answer = JSON.parse(stdout)
  } catch {
    // The cause would quote the output.
    throw new UnavailableError(BAD_OUTPUT)
  }
  if (!isRecord(answer)) throw new UnavailableError(BAD_OUTPUT)
  // Other members are none of our business, and Go, which such programs were written for, takes the name in any case.
  const labels = Object.entries(answer).findLast(([name]) => name.toLowerCase() === 'labels')?.[1] ?? {}
  if (!isRecord(labels) || !Object.values(labels).every(isTexts)) throw new UnavailableError(BAD_OUTPUT)
  return labels as Labels
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
