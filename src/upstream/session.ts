import { type Access, formatScope } from '../oci/scope.ts'
import type { Authorization } from './authorization.ts'
import { UpstreamError, type UpstreamFault } from './error.ts'
import type { HttpRequest, Transport } from './transport.ts'

export interface SessionRequest extends Omit<HttpRequest, 'url'> {
  /** Below `/v2/`, or a whole URL that the registry gave out (an upload's place). */
  path: string
  /** What is asked for, as an error names it: `manifest v1 of host/app`. */
  what: string
  registry: string
  repository?: string | undefined
  needed: readonly Access[]
  /** Statuses that are answers; every other one is an error. */
  expected: readonly number[]
}

/** Requests to registries, with whatever lets us in. */
export interface Session {
  /** @throws UpstreamError */
  request(request: SessionRequest): Promise<Response>
}

export function createSession({
  transport,
  authorization,
}: {
  transport: Transport
  authorization: Authorization
}): Session {
  return {
    async request({ path, what, registry, repository, needed, expected, ...rest }) {
      const base = await transport.baseOf(registry)
      const url = /^https?:\/\//i.test(path) ? path : `${base}/v2/${path}`
      const target = { registry, repository, needed }
      // An upload's place may be on another host (a storage of its own): what lets us in is the registry's alone.
      const address = URL.parse(url)
      if (address === null) {
        const place = JSON.stringify(url.slice(0, QUOTED))
        throw new UpstreamError('invalid', `${what}: the registry leads to ${place}, which is no address`)
      }
      const isOwn = address.origin === new URL(base).origin
      const send = async (authorized: string | undefined) => {
        const headers = {
          ...rest.headers,
          ...(authorized === undefined || !isOwn ? {} : { Authorization: authorized }),
        }
        return await transport.send(registry, { ...rest, url, headers })
      }
      const sent = await authorization.headerFor(target)
      let response = await send(sent)
      if (response.status === 401 && isOwn) {
        const again = await authorization.answer(target, response, sent)
        if (again !== undefined) {
          await response.body?.cancel()
          response = await send(again)
        }
      }
      if (expected.includes(response.status)) return response
      throw await refusal(what, response, target, () => authorization.accountOf(target))
    },
  }
}

const FAULTS: Record<number, UpstreamFault> = {
  401: 'unauthorized',
  403: 'denied',
  404: 'not-found',
  405: 'unsupported',
  409: 'conflict',
  429: 'throttled',
}

/** Characters of a body that is no JSON, in a message. */
const QUOTED = 200
/** Bytes of an error's body that are looked at. */
const MAX_BODY = 64 * 1024

type Target = Pick<SessionRequest, 'registry' | 'needed'>

async function refusal(
  what: string,
  response: Response,
  target: Target,
  account: () => Promise<string | undefined>,
): Promise<UpstreamError> {
  const { status } = response
  const text = await startOf(response)
  const first = firstError(text)
  const said = first === undefined ? plain(titleOf(text) ?? text) : `${first.code}: ${first.message}${first.detail}`
  // Berth: what everybody is refused, whoever asks.
  const isRule = status === 403 && first?.limit !== undefined
  const fault = isRule ? 'conflict' : (FAULTS[status] ?? 'failed')
  // The words of a failing server, or of something in between, rarely say that much themselves.
  const needsStatus = said !== '' && (status >= 500 || first === undefined)
  const message = `${what}: ${said === '' ? bare(status) : needsStatus ? `the registry answers ${status}: ${said}` : said}`
  const hint = await hintOf(fault, target, response, said, account)
  return new UpstreamError(fault, message, { status, code: first?.code, immutable: first?.immutable, hint })
}

/** The answer to a HEAD has no words: those of the specification (distribution-spec, "Error Codes"). */
const WORDS: Record<number, string> = {
  401: ' (authentication required)',
  403: ' (access denied)',
  404: ' (not found)',
}

function bare(status: number): string {
  return `the registry answers ${status}${WORDS[status] ?? ''}`
}

/** A refusal for want of rights. A rule that forbids something to everybody (quotas, immutable tags) says so itself. */
const NO_RIGHTS = /access|denied|permission|authori[sz]|forbidden|^$/i

async function hintOf(
  fault: UpstreamFault,
  { registry, needed }: Target,
  response: Response,
  said: string,
  account: () => Promise<string | undefined>,
): Promise<string | undefined> {
  const lacks = response.headers.get('www-authenticate')?.includes('insufficient_scope') === true
  const isDenied = fault === 'denied' && NO_RIGHTS.test(said.replace(/^\w+: /, ''))
  if (fault === 'unauthorized' || isDenied) {
    const name = await account()
    const login = `berth login ${registry}`
    if (name === undefined || !(lacks || isDenied)) return login
    const who = name === '' ? 'this account' : `you are ${plain(name)} at ${registry}, who`
    // What an administrator has to be told.
    const right = needed.length === 0 ? '' : `: it needs ${plain(formatScope(needed))}`
    return `${who} may not do that${right} (${login} -u NAME for another)`
  }
  if (fault === 'throttled') return 'wait a while before the next try'
  if (response.status >= 500) return `the log of ${registry} says why`
  return fault === 'unsupported'
    ? 'the registry may be read-only, or have deleting turned off (storage.delete.enabled)'
    : undefined
}

async function startOf(response: Response): Promise<string> {
  const reader = response.body?.getReader()
  if (reader === undefined) return ''
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    while (size < MAX_BODY) {
      const { done, value } = await reader.read()
      if (done) break
      chunks.push(value)
      size += value.byteLength
    }
  } catch {
    // What came before it broke off is all that there is.
  }
  await reader.cancel().catch(() => {})
  return Buffer.concat(chunks).toString('utf8')
}

interface SaidError {
  code: string
  message: string
  /** What a registry says besides, for people. */
  detail: string
  /** What kind of limit forbids it: `quota`, `immutable` (Berth says so). */
  limit?: 'quota' | 'immutable'
  /** The rule of immutable tags that does. */
  immutable?: string
}

function firstError(text: string): SaidError | undefined {
  try {
    const { errors } = JSON.parse(text) as { errors?: unknown }
    const [first] = Array.isArray(errors) ? (errors as Record<string, unknown>[]) : []
    if (typeof first?.code !== 'string') return undefined
    const detail = typeof first.detail === 'string' && first.detail !== '' ? ` (${plain(first.detail)})` : ''
    return { code: plain(first.code), message: plain(String(first.message ?? '')), detail, ...limitIn(first.detail) }
  } catch {
    return undefined
  }
}

function limitIn(detail: unknown): Pick<SaidError, 'limit' | 'immutable'> {
  const { limit, rule } = (typeof detail === 'object' ? (detail ?? {}) : {}) as Record<string, unknown>
  if (limit === 'quota') return { limit }
  if (limit !== 'immutable') return {}
  // It becomes a part of a command that people paste.
  return { limit, ...(typeof rule === 'string' && /^[\w.-]{1,128}$/.test(rule) ? { immutable: rule } : {}) }
}

/** Of a page that a proxy shows to people. */
function titleOf(text: string): string | undefined {
  const [, title] = /^\s*<(?:!doctype\s|html)[\s\S]*?(?:<title>([^<]*)<\/title>|$)/i.exec(text) ?? []
  return /^\s*</.test(text) ? (title ?? '') : undefined
}

/** One line without anything that a terminal would obey. */
function plain(text: string): string {
  return (text.trim().split('\n', 1)[0] ?? '').replace(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, QUOTED)
}
