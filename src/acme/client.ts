import type { KeyObject } from 'node:crypto'
import { AcmeError, problemOf, recordOf, retryAfterOf } from './error.ts'
import { publicJwk, signedBody } from './jws.ts'

/** An answer of the server to a signed request. */
export interface AcmeAnswer {
  json: Record<string, unknown>
  text: string
  location: string | undefined
  retryAfterMs: number | undefined
}

/** A session with an ACME server (RFC 8555), as one account. */
export interface AcmeClient {
  newOrder(payload: unknown): Promise<AcmeAnswer>
  /** POST to a URL that the server gave; without a payload POST-as-GET. */
  post(url: string, payload?: unknown, accept?: string): Promise<AcmeAnswer>
}

export interface AcmeClientOptions {
  directoryUrl: string
  accountKey: KeyObject
  email: string | undefined
  /** PEM of the authority of the server's own certificate, where the system does not know it. */
  authority: string | undefined
  signal: AbortSignal
  now: () => number
}

/** A server that lets somebody wait longer is not there. Milliseconds. */
const TIMEOUT_MS = 30_000
/** A nonce is refused where it is too old, or at random by a server under test (section 6.5). */
const MAX_NONCES = 12

interface Directory {
  newNonce: string
  newAccount: string
  newOrder: string
}

/** Reads the directory, and makes the account or finds it again by its key. @throws AcmeError */
export async function openAcme(options: AcmeClientOptions): Promise<AcmeClient> {
  const { directoryUrl, accountKey, email, authority, signal, now } = options
  let nonce: string | undefined
  let account: string | undefined

  async function send(url: string, init: RequestInit): Promise<Response> {
    // Section 6.1: HTTPS, whatever the directory names.
    if (!url.startsWith('https://')) throw new AcmeError('malformed', `${url} is no https URL`)
    try {
      const response = await fetch(url, {
        ...init,
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
        ...(authority === undefined ? {} : { tls: { ca: authority } }),
      })
      nonce = response.headers.get('replay-nonce') ?? nonce
      return response
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new AcmeError('unreachable', `${new URL(url).origin} cannot be reached: ${reason}`, { cause })
    }
  }

  async function refusal(response: Response): Promise<AcmeError> {
    const text = await response.text().catch(() => '')
    const { type, detail } = problemOf(parseJson(text), response.status)
    const retryAfterMs = retryAfterOf(response.headers, now())
    const server = new URL(response.url).host
    return new AcmeError(type, `${server} says: ${detail}`, { status: response.status, retryAfterMs })
  }

  async function readDirectory(): Promise<Directory> {
    const response = await send(directoryUrl, {})
    if (!response.ok) throw await refusal(response)
    const json = recordOf(parseJson(await response.text()))
    const url = (name: string): string => {
      const value = json[name]
      if (typeof value === 'string') return value
      throw new AcmeError('malformed', `${directoryUrl} is no directory of an ACME server: it has no ${name}`)
    }
    const meta = recordOf(json.meta)
    if (meta.externalAccountRequired === true) {
      throw new AcmeError(
        'externalAccountRequired',
        `${directoryUrl} demands an account made elsewhere, which Berth cannot use`,
      )
    }
    return { newNonce: url('newNonce'), newAccount: url('newAccount'), newOrder: url('newOrder') }
  }

  async function takeNonce(): Promise<string> {
    if (nonce === undefined) {
      const response = await send(directory.newNonce, { method: 'HEAD' })
      if (!response.ok) throw await refusal(response)
    }
    const taken = nonce
    nonce = undefined
    if (taken === undefined) throw new AcmeError('malformed', `${directory.newNonce} gives no nonce`)
    return taken
  }

  async function post(url: string, payload?: unknown, accept?: string): Promise<AcmeAnswer> {
    const identity = account === undefined ? { jwk: publicJwk(accountKey) } : { kid: account }
    for (let attempt = 1; ; attempt++) {
      const body = signedBody(accountKey, { ...identity, nonce: await takeNonce(), url }, payload)
      const headers = { 'Content-Type': 'application/jose+json', ...(accept === undefined ? {} : { Accept: accept }) }
      const response = await send(url, { method: 'POST', body, headers })
      if (response.ok) {
        const text = await response.text()
        return {
          json: recordOf(parseJson(text)),
          text,
          location: response.headers.get('location') ?? undefined,
          retryAfterMs: retryAfterOf(response.headers, now()),
        }
      }
      const error = await refusal(response)
      if (error.type !== 'badNonce' || attempt === MAX_NONCES) throw error
    }
  }

  const directory = await readDirectory()
  // Section 7.3: with a key that it knows the server answers with the account that there is.
  const contact = email === undefined ? {} : { contact: [`mailto:${email}`] }
  const made = await post(directory.newAccount, { termsOfServiceAgreed: true, ...contact })
  if (made.location === undefined) throw new AcmeError('malformed', 'the ACME server names no account')
  account = made.location
  const known = Array.isArray(made.json.contact) ? made.json.contact : []
  // Section 7.3.2: another address in the configuration is told to the authority.
  if (email !== undefined && !known.includes(`mailto:${email}`)) await post(account, contact)
  return { newOrder: (payload) => post(directory.newOrder, payload), post }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
