import type { Access } from '../oci/scope.ts'
import type { Challenge } from '../upstream/challenge.ts'
import type { UpstreamFault } from '../upstream/error.ts'
import type { BodyFacts } from './body-probe.ts'
import type { DockerFacts } from './docker-files.ts'
import type { DockerView } from './docker-view.ts'
import type { TlsProbe } from './tls-probe.ts'

/** What a client's machine sees of a registry. What could not be asked is not there. */
export interface ClientFacts {
  /** As in the names of images: `host[:port]`. */
  registry: string
  /** Without brackets. */
  hostname: string
  repository: string | undefined
  reference: string | undefined
  /** What must be possible; undefined: what usually is (pull, push), and nothing is a fault that may be meant. */
  wanted: readonly string[] | undefined
  /** The variable that names a proxy for requests, which other programs go through; undefined: none is set. */
  proxy: string | undefined
  /** PEM file that was given to trust. */
  caFile: string | undefined
  docker: DockerFacts
  view: DockerView
  /** Whether the name means this machine. */
  isLocal: boolean
  probe: TlsProbe
  /** `https://host:port`. */
  base: string
  entry: Answer | undefined
  challenges: readonly Challenge[]
  realm: RealmFacts | undefined
  /** Who asks; the name is empty where only a token is kept. */
  credential: { name: string; source: string } | undefined
  /** Why nobody was asked for tokens, where that is so. */
  withheld: string | undefined
  /** One for each question, the one without any scope first. */
  grants: readonly Grant[]
  image: { found: boolean } | { fault: string; status: number | undefined } | undefined
  upload: { location: string } | undefined
  bodies: BodyFacts | undefined
}

/** Of a registry or a token server. Times are in milliseconds since the epoch. */
export interface Answer {
  status: number
  contentType: string
  isRegistry: boolean
  /** Server and Via. */
  software: string
  date: number | undefined
  at: number
}

export interface RealmFacts {
  realm: string
  service: string
  url: URL | undefined
  probe: TlsProbe | undefined
  /** Asked without credentials. */
  answer: Answer | { fault: string } | undefined
}

export interface Grant {
  /** Empty: whether tokens are taken at all. */
  asked: readonly Access[]
  outcome: Outcome
  /** What the registry made of it; undefined: it was not asked. */
  verdict: { status: number; error: string | undefined; date: number | undefined; at: number } | undefined
}

export type Outcome =
  | { kind: 'token'; token: TokenFacts | undefined }
  /** No token is needed: Basic, or an open registry. */
  | { kind: 'none' }
  | { kind: 'refused'; message: string; hint: string | undefined }
  | { kind: 'failed'; fault: UpstreamFault; message: string; hint: string | undefined }

/** What a token says of itself, unchecked; undefined where it is no JWT. Never the token. */
export interface TokenFacts {
  kid: string | undefined
  algorithm: string | undefined
  /** Base64 of DER, leaf first. */
  x5c: readonly string[] | undefined
  issuer: string | undefined
  audience: readonly string[]
  subject: string | undefined
  /** Seconds since the epoch. */
  issuedAt: number | undefined
  notBefore: number | undefined
  expires: number | undefined
  access: readonly { type: string; name: string; actions: readonly string[] }[]
}

/** Undefined for what is no JWT. */
export function readToken(token: string): TokenFacts | undefined {
  const [head = '', body = ''] = token.split('.')
  const [header, claims] = [objectIn(head), objectIn(body)]
  if (header === undefined || claims === undefined) return undefined
  const { aud, access } = claims
  return {
    kid: textOf(header.kid),
    algorithm: textOf(header.alg),
    x5c: Array.isArray(header.x5c) ? header.x5c.filter((one) => typeof one === 'string') : undefined,
    issuer: textOf(claims.iss),
    audience: (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string'),
    subject: textOf(claims.sub),
    issuedAt: numberOf(claims.iat),
    notBefore: numberOf(claims.nbf),
    expires: numberOf(claims.exp),
    access: (Array.isArray(access) ? (access as Record<string, unknown>[]) : []).flatMap((entry) =>
      entry === null || typeof entry !== 'object'
        ? []
        : [
            {
              type: textOf(entry.type) ?? '',
              name: textOf(entry.name) ?? '',
              actions: Array.isArray(entry.actions) ? entry.actions.filter((one) => typeof one === 'string') : [],
            },
          ],
    ),
  }
}

function objectIn(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
