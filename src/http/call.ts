import type { Subject } from '../auth/gate.ts'
import type { Connection } from './server.ts'

/** One request on its way through a handler. */
export interface Call {
  request: Request
  /** Path of the URL, as the client sent it. */
  path: string
  /** Repository; empty where the path has none. */
  name: string
  /** Tag, digest or upload id of the path; empty where it has none. */
  reference: string
  query: Query
  subject: Subject
  /**
   * Headers of every answer, for a handler whose answers are many: spread first into its own, so that its own stand. The
   * pipeline adds them to all other answers, which costs more. Empty where they have to be weighed against the handler's.
   */
  common: Readonly<Record<string, string>>
  /** To be called by a handler whose answer has `common`: the pipeline then does not look for them in it. */
  complete: () => void
  /** Scheme, host and prefix that clients reach this registry by, ending in a slash; `/...` where URLs are relative. */
  base: () => string
  connection: Connection
  /** The client's; undefined on a unix socket. */
  address: () => string | undefined
  /** Takes the connection's idle time-out away, for work whose length the client decides. */
  unhurried: () => void
}

export type Handler = (call: Call) => Response | Promise<Response>

/** Parameters of the URL, read when first asked for: most requests have none. */
export interface Query {
  get(name: string): string | null
  getAll(name: string): string[]
  has(name: string): boolean
}

const EMPTY: Query = { get: () => null, getAll: () => [], has: () => false }

export function parseQuery(text: string): Query {
  return text === '' ? EMPTY : new URLSearchParams(text)
}
