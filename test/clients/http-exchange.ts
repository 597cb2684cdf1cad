import { createHash } from 'node:crypto'

/** What `curl -v` or `curl -D -` showed of an answer. */
export interface Exchange {
  statusLine: string
  /** Names in lower case; Date is checked to be there and left out. */
  headers: Record<string, string>
}

/** A line of `curl -v`; where an answer took a second, the progress of the transfer stands before it. */
const SHOWN = /^[\s\d.:kMGTP-]*< (.*?)\r?$/gm

/** Reads the answer from the stderr of `curl -v` (`< Name: value`) or from a plain head (`curl -D -`). */
export function readHead(text: string): Exchange {
  const verbose = [...text.matchAll(SHOWN)].map(([, line]) => line ?? '')
  const lines = verbose.length > 0 ? verbose : text.split(/\r?\n/)
  const [statusLine = '', ...rest] = lines.filter((line) => line.trim() !== '')
  const headers = Object.fromEntries(
    rest.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  const { date, ...others } = headers
  if (date === undefined || Number.isNaN(Date.parse(date))) throw new Error(`no Date in:\n${text}`)
  return { statusLine: statusLine.trim(), headers: others }
}

/** Head and body of an answer, whether curl wrote its head to stderr (`-v`) or before the body (`-D -`). */
export function readExchange({ stdout, stderr }: { stdout: string; stderr: string }): { head: Exchange; body: string } {
  if (stderr.match(SHOWN) !== null) return { head: readHead(stderr), body: stdout }
  const end = stdout.indexOf('\r\n\r\n')
  return { head: readHead(stdout.slice(0, end)), body: stdout.slice(end + 4) }
}

/** The head of a refusal as the documents show it, Date aside. */
export function refusalHead(realm: string, scope: string, bodyLength: number): Exchange {
  return {
    statusLine: 'HTTP/1.1 401 Unauthorized',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'docker-distribution-api-version': 'registry/2.0',
      'www-authenticate': `Bearer realm="${realm}",service="Docker registry",scope="${scope}"`,
      'x-content-type-options': 'nosniff',
      'content-length': String(bodyLength),
    },
  }
}

export function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
