import { type Fields, type Level, type LogEntry, plain, spelled } from './log.ts'

export interface MailOptions {
  levels: readonly Level[]
  host: string
  port: number
  username: string | undefined
  password: string | undefined
  /** Takes any certificate of the mail server. */
  insecure: boolean
  from: string
  to: readonly string[]
}

export interface Mail {
  from: string
  to: string[]
  subject: string
  text: string
}

export interface MailHook {
  hook: (entry: LogEntry) => void
  /** Sends what waits. Never rejects. */
  close(): Promise<void>
}

/** Lines that come soon after the first go with it; later ones wait for the next mail. Milliseconds. */
const GATHER_MS = 1000
const BETWEEN_MS = 60_000
/** Lines and characters of one mail; more are counted. */
const MOST_LINES = 100
const MOST_CHARACTERS = 64 * 1024
const MOST_OF_A_LINE = 4096
const MOST_OF_A_SUBJECT = 200
/** Milliseconds that a mail server may take for a step. */
const PATIENCE_MS = 15_000

/**
 * Mails about lines of the log (distribution's hook `mail`), one a minute at most, each with all lines that came meanwhile.
 * `failed` hears of mails that could not be sent; `send` is for tests.
 */
export function createMailHook(
  options: MailOptions,
  deps: {
    failed: (error: unknown) => void
    sent?: (lines: number) => void
    send?: (mail: Mail) => Promise<void>
    gatherMs?: number
    betweenMs?: number
  },
): MailHook {
  const { gatherMs = GATHER_MS, betweenMs = BETWEEN_MS, send = (mail) => sendMail(options, mail) } = deps
  const levels = new Set(options.levels)
  let lines: string[] = []
  let characters = 0
  let left = 0
  let subject = ''
  let timer: ReturnType<typeof setTimeout> | undefined
  let last: Promise<void> = Promise.resolve()
  let nextAt = 0

  function take(): Mail {
    const more = left === 0 ? '' : `\n${left} more lines came; the log has them.\n`
    const mail = { from: options.from, to: [...options.to], subject, text: `${lines.join('\n')}${more}` }
    lines = []
    characters = 0
    left = 0
    return mail
  }

  function mail(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    if (lines.length === 0) return last
    nextAt = performance.now() + betweenMs
    const count = lines.length + left
    const next = take()
    last = last.then(async () => {
      try {
        await send(next)
        deps.sent?.(count)
      } catch (error) {
        deps.failed(error)
      }
    })
    return last
  }

  return {
    hook(entry) {
      if (!levels.has(entry.level)) return
      const text = textOf(entry)
      if (lines.length >= MOST_LINES || characters + text.length > MOST_CHARACTERS) {
        left++
        return
      }
      if (lines.length === 0) subject = subjectOf(entry, options.host)
      lines.push(text)
      characters += text.length
      timer ??= setTimeout(() => void mail(), Math.max(gatherMs, nextAt - performance.now()))
      timer.unref()
    },
    async close() {
      await mail()
    },
  }
}

/** distribution's subject; a header holds no line break, and nothing that would hide from its reader. */
function subjectOf({ level, message }: LogEntry, host: string): string {
  return `[${spelled(level)}] ${host}: ${message}`.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').slice(0, MOST_OF_A_SUBJECT)
}

/** distribution's text: the message, and a line for each field. */
function textOf({ time, level, message, fields }: LogEntry): string {
  const rest = Object.keys(fields)
    .sort()
    .filter((key) => fields[key] !== undefined)
    .map((key) => `  ${key}: ${shown(fields, key)}`)
  return `${time} ${spelled(level)}: ${message}\n${rest.join('\n')}\n`.slice(0, MOST_OF_A_LINE)
}

function shown(fields: Fields, key: string): string {
  const value = plain(fields[key])
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** The library is loaded with the first mail. Port 465 speaks TLS from the start; a password is sent over TLS alone. */
async function sendMail(options: MailOptions, mail: Mail): Promise<void> {
  const { createTransport } = await import('nodemailer')
  const { host, port, username, password, insecure } = options
  const transport = createTransport({
    host,
    port,
    secure: port === 465,
    requireTLS: username !== undefined && !isLoopback(host),
    tls: { rejectUnauthorized: !insecure },
    ...(username === undefined ? {} : { auth: { user: username, pass: password ?? '' } }),
    connectionTimeout: PATIENCE_MS,
    greetingTimeout: PATIENCE_MS,
    socketTimeout: PATIENCE_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  try {
    await transport.sendMail(mail)
  } finally {
    transport.close()
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}
