import type { KeyObject } from 'node:crypto'
import { certificationRequest } from '../x509/request.ts'
import type { AcmeAnswer, AcmeClient } from './client.ts'
import { AcmeError, problemOf, recordOf } from './error.ts'
import { thumbprint } from './jws.ts'

/** What is answered at `/.well-known/acme-challenge/TOKEN` (RFC 8555 section 8.3). */
export interface Challenges {
  set(token: string, answer: string): void
  remove(token: string): void
}

export interface OrderOptions {
  client: AcmeClient
  accountKey: KeyObject
  /** Of the certificate. */
  privateKey: KeyObject
  hosts: readonly [string, ...string[]]
  challenges: Challenges
  /** Waits; rejects when the program ends. */
  sleep: (milliseconds: number) => Promise<void>
}

/** Between two looks at an order or an authorization, unless the server says when. Milliseconds. */
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 10_000
/** Looks until what does not move is given up: about five minutes. */
const MAX_LOOKS = 40

/** Orders a certificate (RFC 8555 section 7.4). Resolves to the chain, as PEM. @throws AcmeError */
export async function orderCertificate(options: OrderOptions): Promise<string> {
  const { client, privateKey, hosts } = options
  const identifiers = hosts.map((value) => ({ type: 'dns', value }))
  const order = await client.newOrder({ identifiers })
  const url = order.location
  if (url === undefined) throw new AcmeError('malformed', 'the ACME server names no order')
  for (const authorization of listOf(order.json, 'authorizations')) await authorize(authorization, options)
  const ready = await settled(url, order, ['pending'], options)
  if (ready.json.status === 'ready') {
    const csr = certificationRequest(privateKey, hosts).toString('base64url')
    await client.post(textOf(ready.json, 'finalize'), { csr })
  }
  const done = await settled(url, undefined, ['pending', 'ready', 'processing'], options)
  if (done.json.status !== 'valid') {
    const { type, detail } = problemOf(done.json.error)
    throw new AcmeError(type, `the order became ${String(done.json.status)}: ${detail}`)
  }
  const { text } = await client.post(textOf(done.json, 'certificate'), undefined, 'application/pem-certificate-chain')
  return text
}

/** Proves that a host is this machine (section 7.5). */
async function authorize(url: string, options: OrderOptions): Promise<void> {
  const { client, accountKey, challenges } = options
  const authorization = await client.post(url)
  if (authorization.json.status === 'valid') return
  const host = String(recordOf(authorization.json.identifier).value)
  const found = challengesOf(authorization.json).find(({ type }) => type === 'http-01')
  if (found === undefined) throw new AcmeError('invalid', `the ACME server offers no HTTP-01 challenge for ${host}`)
  const token = textOf(found, 'token')
  challenges.set(token, `${token}.${thumbprint(accountKey)}`)
  try {
    await client.post(textOf(found, 'url'), {})
    const { json } = await settled(url, undefined, ['pending', 'processing'], options)
    if (json.status === 'valid') return
    const failure = challengesOf(json).find(({ error }) => error !== undefined)
    throw new AcmeError('invalid', `${host} was not validated: ${problemOf(failure?.error).detail}`)
  } finally {
    challenges.remove(token)
  }
}

/** The object at a URL as soon as its status is none of these. */
async function settled(
  url: string,
  first: AcmeAnswer | undefined,
  moving: readonly string[],
  { client, sleep }: OrderOptions,
): Promise<AcmeAnswer> {
  let answer = first ?? (await client.post(url))
  let wait = FIRST_WAIT_MS
  for (let look = 1; moving.includes(String(answer.json.status)); look++) {
    if (look > MAX_LOOKS)
      throw new AcmeError('unreachable', `the ACME server leaves ${url} ${String(answer.json.status)}`)
    await sleep(Math.min(answer.retryAfterMs ?? wait, LONGEST_WAIT_MS))
    wait = Math.min(wait * 2, LONGEST_WAIT_MS)
    answer = await client.post(url)
  }
  return answer
}

function challengesOf({ challenges }: Record<string, unknown>): Record<string, unknown>[] {
  return Array.isArray(challenges) ? challenges.map(recordOf) : []
}

function listOf(json: Record<string, unknown>, name: string): string[] {
  const list = json[name]
  if (!Array.isArray(list)) throw new AcmeError('malformed', `the ACME server's answer has no ${name}`)
  return list.map(String)
}

function textOf(json: Record<string, unknown>, name: string): string {
  const text = json[name]
  if (typeof text !== 'string') throw new AcmeError('malformed', `the ACME server's answer has no ${name}`)
  return text
}
