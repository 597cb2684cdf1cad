import type { Access } from '../oci/scope.ts'
import { UpstreamError } from '../upstream/error.ts'
import { answerOf, errorIn, type Line, within } from './answer.ts'
import { type ClientFacts, type Grant, type Outcome, readToken } from './client-facts.ts'

/**
 * Asks for rights, and the registry what it makes of them.
 * @param url what to ask the registry for with them; undefined: nothing.
 */
export async function askGrant(
  line: Line,
  facts: ClientFacts,
  asked: readonly Access[],
  url: string | undefined,
): Promise<Grant> {
  const { upstream, timeoutMs } = line
  const { registry, repository, challenges } = facts
  const target = { registry, repository, needed: asked }
  const isBearer = challenges.some(({ scheme }) => scheme === 'bearer')
  let outcome: Outcome
  let header: string | undefined
  try {
    header = isBearer
      ? `Bearer ${(await within(timeoutMs, upstream.authorization.token(target), `the token server of ${registry}`)).token}`
      : await upstream.authorization.headerFor(target)
    outcome = isBearer ? { kind: 'token', token: readToken(header?.slice('Bearer '.length) ?? '') } : { kind: 'none' }
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const { fault, message, hint } = error
    const failure: Outcome =
      fault === 'unauthorized' ? { kind: 'refused', message, hint } : { kind: 'failed', fault, message, hint }
    return { asked, outcome: failure, verdict: undefined }
  }
  return { asked, outcome, verdict: url === undefined ? undefined : await verdictOf(line, registry, url, header) }
}

async function verdictOf(
  { upstream, now, timeoutMs }: Line,
  registry: string,
  url: string,
  header: string | undefined,
): Promise<Grant['verdict']> {
  try {
    const headers: Record<string, string> = header === undefined ? {} : { Authorization: header }
    const response = await upstream.transport.send(registry, { method: 'GET', url, headers })
    const { answer, challenges } = await answerOf(response, now(), timeoutMs)
    return { status: answer.status, error: errorIn(challenges), date: answer.date, at: answer.at }
  } catch (error) {
    if (error instanceof UpstreamError) return undefined
    throw error
  }
}
