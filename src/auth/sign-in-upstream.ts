import { readFile } from 'node:fs/promises'
import type { CustomFetch } from 'openid-client'
import { type Proof, SignInError } from './sign-in.ts'

/** Bytes of a provider's answer at most: a page of 100 teams has about 100 KiB. */
const MAX_BYTES = 2 * 1024 * 1024

/** `fetch`, as far as sign-in needs it; a test gives its own. */
export type UpstreamFetch = (url: string, init: RequestInit) => Promise<Answer>
export type Answer = Awaited<ReturnType<CustomFetch>>

export interface UpstreamOptions {
  /** The provider, for messages. */
  title: string
  /** Milliseconds for one exchange, its body included. */
  httpTimeoutMs: number
  fetch?: UpstreamFetch | undefined
}

/** The client that was registered with the provider. */
export interface OAuthClient {
  clientId: string
  clientSecret: string | undefined
  /** Read at each use, so that a new secret needs no restart. */
  clientSecretFile: string | undefined
}

/**
 * One exchange with a provider, without following redirects (they would carry secrets elsewhere).
 * @throws SignInError `unavailable` when it does not answer, answers with a 5xx, or limits requests.
 */
export async function exchange(
  options: UpstreamOptions,
  url: string,
  init: RequestInit,
  deadline?: AbortSignal,
): Promise<Answer> {
  const { title, httpTimeoutMs } = options
  const signals = [AbortSignal.timeout(httpTimeoutMs), ...(deadline === undefined ? [] : [deadline])]
  let answer: Answer
  try {
    answer = await (options.fetch ?? fetch)(url, { ...init, redirect: 'manual', signal: AbortSignal.any(signals) })
  } catch (cause) {
    throw new SignInError('unavailable', `${title} does not answer. Please try again later.`, { cause })
  }
  const { status, headers } = answer
  // GitHub says 403 or 429 (docs, "Rate limits for the REST API").
  const limited = status === 429 || (status === 403 && isRateLimit(headers))
  if (status < 500 && !limited) return answer
  await discard(answer)
  const text = limited
    ? `${title} limits requests at the moment. Please try again later.`
    : `${title} has a problem of its own (status ${status}). Please try again later.`
  throw new SignInError('unavailable', text)
}

function isRateLimit(headers: Answer['headers']): boolean {
  return headers.get('x-ratelimit-remaining') === '0' || headers.has('retry-after')
}

/** Ends an answer whose body nobody reads. */
export async function discard(answer: Answer): Promise<void> {
  // A body that failed already is as gone as one that is cancelled.
  await answer.body?.cancel().catch(() => {})
}

/** The body as text. @throws SignInError when it ends early or is too long. */
export async function readText(title: string, answer: Answer): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of answer.body ?? []) {
      size += chunk.byteLength
      if (size > MAX_BYTES) break
      chunks.push(chunk)
    }
  } catch (cause) {
    throw new SignInError('unavailable', `${title} does not answer. Please try again later.`, { cause })
  }
  if (size > MAX_BYTES) throw new SignInError('failed', `${title} answers with more than ${MAX_BYTES} bytes.`)
  return Buffer.concat(chunks).toString('utf8')
}

export type Json = Record<string, unknown>

/** An object that is no array; undefined for everything else. */
export function asObject(value: unknown): Json | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined
}

/** A text that is not empty; undefined for everything else. */
export function asText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The body as JSON. @throws SignInError */
export async function readJson(title: string, answer: Answer): Promise<unknown> {
  const text = await readText(title, answer)
  try {
    return JSON.parse(text)
  } catch {
    // Without the cause: the parser's message quotes the text, which may hold a token.
    throw new SignInError('failed', `${title} answers with something that is no JSON.`)
  }
}

/** @throws SignInError when the file cannot be read. */
export async function readSecret(client: OAuthClient): Promise<string | undefined> {
  if (client.clientSecretFile === undefined) return client.clientSecret
  try {
    return (await readFile(client.clientSecretFile, 'utf8')).trim()
  } catch (cause) {
    throw new SignInError('unavailable', 'The client secret of this sign-in cannot be read.', { cause })
  }
}

/**
 * The access token for a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5), with the client's secret in the body, as
 * GitHub and GitLab take it. @throws SignInError
 */
export async function redeemCode(
  options: UpstreamOptions,
  url: string,
  client: OAuthClient,
  { code, codeVerifier, redirectUri }: Proof,
  deadline: AbortSignal,
): Promise<string> {
  const { title } = options
  const secret = await readSecret(client)
  const form = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: client.clientId,
    ...(secret === undefined ? {} : { client_secret: secret }),
    code,
    code_verifier: codeVerifier,
    redirect_uri: redirectUri,
  })
  const init = { method: 'POST', headers: { Accept: 'application/json', 'User-Agent': 'Berth' }, body: form }
  const answer = await exchange(options, url, init, deadline)
  const body = asObject(await readJson(title, answer))
  // GitHub answers errors with status 200.
  const error = asText(body?.error)
  const token = asText(body?.access_token)
  if (answer.ok && error === undefined && token !== undefined) return token
  const said = error !== undefined && /^[a-z_]{1,60}$/.test(error) ? error : `status ${answer.status}`
  throw new SignInError('failed', `${title} did not accept the sign-in (${said}). Please start again.`)
}

/** A GET of the provider's API in the name of the person. @throws SignInError as `exchange`. */
export async function getAs(
  options: UpstreamOptions,
  url: string,
  token: string,
  deadline: AbortSignal,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const common = { Accept: 'application/json', 'User-Agent': 'Berth', Authorization: `Bearer ${token}` }
  return await exchange(options, url, { headers: { ...common, ...headers } }, deadline)
}

/** The body of an answer that must be 200. @throws SignInError */
export async function expectJson(title: string, answer: Answer): Promise<unknown> {
  if (answer.status === 200) return await readJson(title, answer)
  await discard(answer)
  throw new SignInError('failed', `${title} gives no information about you (status ${answer.status}).`)
}

/** Whether a URL is safe to send secrets to: TLS, or this machine. */
export function isProtected(url: URL): boolean {
  if (url.protocol === 'https:') return true
  const { hostname } = url
  const local = hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
  return url.protocol === 'http:' && local
}

/** @throws Error that names the key, unless that is a plain http or https URL. */
export function checkedUrl(key: string, url: string): URL {
  if (/^https?:\/\/[^?#]+$/.test(url) && URL.canParse(url)) return new URL(url)
  throw new Error(`${key} must be an http or https URL without a query`)
}
