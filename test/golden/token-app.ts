import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTokenApp, type TokenApp } from '../../src/app-token.ts'
import { loadTokenServer } from '../../src/config/load.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { selfSignedCertificate, toPem } from '../../src/x509/certificate.ts'

export const NOW = Date.parse('2026-03-01T12:00:00.789Z')
export const ISSUER = 'Acme auth server'
const HOST = 'auth.example:5001'

/** What of docker_auth's file a case varies. */
export interface Variant {
  /** Everything but `server` and `token`: users, rules, and the like. Fixture A unless told. */
  body?: string
  /** More keys of `server`, as YAML in braces has them (`hsts: true`). */
  server?: string
  /** More keys of `token`. */
  token?: string
  /** Who names the signing pair: `token` unless told. */
  pairIn?: 'token' | 'server' | 'none'
  pair?: Pair
  /** A data directory, which is then the operator's choice. */
  data?: string
}

export interface Pair {
  /** PEM files. */
  certificate: string
  key: string
  publicKey: KeyObject
}

/** What a client sends besides method and target. */
export interface Sent {
  /** `user:password` of the Basic scheme. */
  basic?: string
  /** An urlencoded body. */
  form?: string
  headers?: Record<string, string>
  /** The connection's other end; a new one for each request unless told, for wrong passwords are counted by address. */
  peer?: string
}

export interface Server {
  /** @param line `METHOD TARGET`, in the client's spelling. */
  send(line: string, sent?: Sent): Promise<Response>
  /** The answer in a word: `tok(SUBJECT)`, or `STATUS TEXT`. */
  ask(line: string, sent?: Sent): Promise<string>
  /** The claims of the token. @throws Error for another answer than 200. */
  claims(line: string, sent?: Sent): Promise<Claims>
}

export interface Claims extends Record<string, unknown> {
  sub: string
  aud: string
  access: { type: string; name: string; actions: string[] }[]
}

export const A = fixture('a.yml')
export const B = fixture('b.yml')

export function fixture(name: string): string {
  return readFileSync(join(import.meta.dir, 'fixtures', name), 'utf8')
}

/** A place for token servers that begin with a file, as `berth auth FILE` does; no port is opened. */
export function openPlace() {
  const folder = mkdtempSync(join(tmpdir(), 'berth-golden-'))
  const apps: TokenApp[] = []
  const started = new Map<string, Promise<Server>>()
  let made = 0
  let ids = 0
  const usual = makePair('rsa')

  function pathOf(name: string): string {
    return join(folder, `${made++}-${name}`)
  }

  /** A key of the kind (`rsa`, or the name of a curve) with a certificate that signs itself. */
  function makePair(kind: string): Pair {
    const { privateKey, publicKey } =
      kind === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: kind })
    const dates = { notBefore: new Date(NOW - 86_400_000), notAfter: new Date(NOW + 86_400_000) }
    const names = { commonName: 'auth', serial: Uint8Array.of(1) }
    const der = selfSignedCertificate({ privateKey, publicKey, ...names, ...dates })
    const pair = { certificate: pathOf('pair.crt'), key: pathOf('pair.key'), publicKey }
    writeFileSync(pair.certificate, toPem('CERTIFICATE', der))
    writeFileSync(pair.key, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 })
    return pair
  }

  /** The file of a variant, read as the program reads it. */
  function load({ body = A, server, token, pairIn = 'token', pair = usual, data }: Variant) {
    const keys = `certificate: ${JSON.stringify(pair.certificate)}, key: ${JSON.stringify(pair.key)}`
    const inServer = ['addr: ":5001"', server, pairIn === 'server' ? keys : undefined].filter(
      (part) => part !== undefined,
    )
    const inToken = [
      ...[`issuer: ${JSON.stringify(ISSUER)}`, 'expiration: 900', token],
      pairIn === 'token' ? keys : undefined,
    ].filter((part) => part !== undefined)
    const authFile = pathOf('auth_config.yml')
    writeFileSync(authFile, `server: {${inServer.join(', ')}}\ntoken: {${inToken.join(', ')}}\n${body}`)
    return loadTokenServer({ authFile, env: {}, flags: { data } })
  }

  async function open(variant: Variant): Promise<Server> {
    const { config, problems, dataGiven } = load(variant)
    if (config === undefined) throw new Error(problems.map(({ message }) => message).join('\n'))
    const log = createLog({ level: 'error', formatter: 'text', fields: {}, now: () => NOW, write: () => {} })
    const app = await createTokenApp({ ...config, dataGiven }, { now: () => NOW, newId: () => `id-${ids++}`, log })
    apps.push(app)
    return serverOf(app)
  }

  return {
    pair: usual,
    makePair,
    pathOf,
    load,
    /** Servers of equal variants are one. @throws Error with what the program would say at its start. */
    async start(variant: Variant = {}): Promise<Server> {
      const id = JSON.stringify(variant)
      const known = started.get(id) ?? open(variant)
      started.set(id, known)
      return await known
    },
    async close(): Promise<void> {
      await Promise.all(apps.map((app) => app.close()))
      rmSync(folder, { recursive: true })
    },
  }
}

let strangers = 0

function serverOf(app: TokenApp): Server {
  async function send(line: string, { basic, form, headers = {}, peer }: Sent = {}): Promise<Response> {
    const [method = '', target = ''] = line.split(/ (.*)/s)
    const all = new Headers({ host: HOST, ...headers })
    if (basic !== undefined) all.set('authorization', `Basic ${btoa(basic)}`)
    if (form !== undefined) all.set('content-type', 'application/x-www-form-urlencoded')
    const body = form === undefined ? {} : { body: form }
    const request = new Request(`http://${HOST}${target}`, { method, headers: all, ...body })
    const address = peer ?? `10.${strangers >> 8}.${strangers++ & 255}.1`
    return await app.fetch(request, { peer: () => address, secure: false, unhurried: () => {} })
  }
  return {
    send,
    async ask(line, sent) {
      const response = await send(line, sent)
      const text = await response.text()
      if (response.status !== 200 || response.headers.get('content-type') !== 'application/json') {
        return `${response.status} ${text}`
      }
      return `tok(${claimsOf(text).sub})`
    },
    async claims(line, sent) {
      return claimsOf(await (await send(line, sent)).text())
    },
  }
}

/** @throws Error for an answer without a token. */
function claimsOf(text: string): Claims {
  if (!text.startsWith('{')) throw new Error(text)
  const { token } = JSON.parse(text) as { token?: string }
  return JSON.parse(Buffer.from(token?.split('.')[1] ?? '', 'base64url').toString()) as Claims
}
