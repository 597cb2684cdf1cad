import { type Denial, MetadataError, type MetadataFault } from './metadata.ts'
import type { Nouns } from './nouns.ts'

/** What goes between the thread that answers requests and the one that writes. All of it can be cloned. */
export type ToWorker =
  | { kind: 'open'; path: string; now: number }
  | { kind: 'calls'; calls: Call[] }
  | { kind: 'close' }

export type FromWorker =
  | { kind: 'opened' }
  | { kind: 'refused'; error: Fault }
  /** `last`: every call of the batch has had its result. */
  | { kind: 'results'; results: Result[]; last: boolean }
  | { kind: 'closed' }

/** `durable` and `relaxed` calls write; `read` marks a query too long for the thread that answers requests. */
export type Mode = 'durable' | 'relaxed' | 'read'

export interface Call {
  id: number
  mode: Mode
  noun: keyof Nouns
  method: string
  args: unknown[]
}

export type Result = { id: number; ok: true; value: unknown } | { id: number; ok: false; error: Fault }

/** A MetadataError, for the classes of errors do not survive the way between threads. */
export interface Fault {
  fault: MetadataFault
  message: string
  /** For the log. */
  cause: string
  denial: Denial | undefined
}

export function toFault({ fault, message, cause, denial }: MetadataError): Fault {
  return { fault, message, denial, cause: cause instanceof Error ? (cause.stack ?? cause.message) : '' }
}

export function fromFault({ fault, message, cause, denial }: Fault): MetadataError {
  return new MetadataError(fault, message, cause === '' ? undefined : new Error(cause), denial)
}

/** Runs what a call names. */
export function invoke(
  target: Nouns,
  { noun, method, args }: Pick<Call, 'noun' | 'method' | 'args'>,
): Promise<unknown> {
  const methods = target[noun] as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  const body = Object.hasOwn(methods, method) ? methods[method] : undefined
  if (body === undefined) throw new Error(`there is no ${noun}.${method}`)
  return body(...args)
}
