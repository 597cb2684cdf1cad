import { type Challenge, parseChallenges } from '../upstream/challenge.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Answer } from './client-facts.ts'

/** How registries and token servers are asked. */
export interface Line {
  upstream: Upstream
  /** Milliseconds since the epoch. */
  now: () => number
  /** Milliseconds for each answer, its body included: a body may never end. */
  timeoutMs: number
}

/** @throws UpstreamError `network` when it takes longer */
export async function within<T>(timeoutMs: number, work: Promise<T>, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new UpstreamError('network', `${what} begins an answer and does not end it`)),
    timeoutMs,
  )
  try {
    return await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Bytes of a body that are looked at. */
const START = 4096

/** Reads the beginning of the body, and gives up the rest. */
export async function answerOf(
  response: Response,
  at: number,
  timeoutMs: number,
): Promise<{ answer: Answer; challenges: Challenge[]; text: string }> {
  const text = await startOf(response, timeoutMs)
  const challenges = parseChallenges(response.headers.get('www-authenticate'))
  const contentType = response.headers.get('content-type') ?? ''
  const date = Date.parse(response.headers.get('date') ?? '')
  const isApi = response.headers.has('docker-distribution-api-version')
  const isJson = contentType.startsWith('application/json') && /^\s*\{/.test(text)
  const isWelcome = response.status === 200 && (isApi || isJson)
  const software = [response.headers.get('server'), response.headers.get('via')]
    .filter((one) => one !== null)
    .join(', ')
  return {
    challenges,
    text,
    answer: {
      status: response.status,
      contentType,
      isRegistry: isWelcome || (response.status === 401 && challenges.length > 0),
      software,
      date: Number.isNaN(date) ? undefined : date,
      at,
    },
  }
}

/** `invalid_token` or `insufficient_scope` of a challenge (RFC 6750 section 3.1). */
export function errorIn(challenges: readonly Challenge[]): string | undefined {
  return challenges.find(({ parameters }) => parameters.has('error'))?.parameters.get('error')
}

async function startOf(response: Response, timeoutMs: number): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  let text = ''
  const decoder = new TextDecoder()
  const timer = setTimeout(() => reader.cancel().catch(() => {}), timeoutMs)
  try {
    while (text.length < START) {
      const { done, value } = await reader.read()
      if (done) break
      text += decoder.decode(value, { stream: true })
    }
  } catch {
    // What came before it broke off is all that there is.
  }
  clearTimeout(timer)
  await reader.cancel().catch(() => {})
  return text.slice(0, START)
}
