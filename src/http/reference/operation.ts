import type { ErrorCode } from '../../oci/error.ts'
import { INTERRUPTED, wireOf } from '../errors.ts'
import { HEADERS, type HeaderName } from './headers.ts'

/** Path → method in lower case (or `servers`) → operation. */
export type PathItems = Record<string, Record<string, unknown>>
export type Schema = Readonly<Record<string, unknown>>

export interface Answer {
  description: string
  /** Always there. */
  headers?: readonly HeaderName[]
  /** There where they have something to say. */
  some?: readonly HeaderName[]
  /** Schemas by media type. */
  content?: Readonly<Record<string, Schema>>
}

export interface Parameter {
  name: string
  in: 'path' | 'query' | 'header'
  description: string
  schema: Schema
}

/** One operation, said once: OpenAPI and the readable page are made of it. */
export interface Described {
  id: string
  summary: string
  description?: string
  parameters?: readonly Parameter[]
  body?: { description: string; content: Readonly<Record<string, Schema>>; required?: boolean }
  answers: Readonly<Record<number, Answer>>
  /** Besides those that every route of the registry has. */
  errors?: readonly ErrorCode[]
  /** Its body may end early: 408. */
  streams?: true
}

export const schemaOf = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
export const json = (name: string) => ({ 'application/json': schemaOf(name) })
export const TEXT = { 'text/plain': { type: 'string' } } as const

/** HEAD has the headers alone. */
export function answersOf(answers: Described['answers'], isHead = false): Record<string, object> {
  return Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerOf(answer, isHead)]))
}

function answerOf({ description, headers = [], some = [], content }: Answer, isHead: boolean): object {
  const shown = [
    ...headers.map((name) => [name, { ...HEADERS[name], required: true }] as const),
    ...some.map((name) => [name, HEADERS[name]] as const),
  ]
  const bodies = Object.entries(isHead ? {} : (content ?? {})).map(([type, schema]) => [type, { schema }] as const)
  return {
    description,
    ...(shown.length === 0 ? {} : { headers: Object.fromEntries(shown) }),
    ...(bodies.length === 0 ? {} : { content: Object.fromEntries(bodies) }),
  }
}

export function parametersOf(parameters: readonly Parameter[]): object[] {
  return parameters.map(({ in: place, ...parameter }) => ({
    ...parameter,
    in: place,
    ...(place === 'path' ? { required: true } : {}),
  }))
}

/** What a challenge, and an answer to come back later, have besides. */
const WITH: Readonly<Record<number, Pick<Answer, 'headers'>>> = {
  401: { headers: ['WWW-Authenticate'] },
  429: { headers: ['Retry-After'] },
  503: { headers: ['Retry-After'] },
}

/** Refusals in the registry's words: one answer a status, which names its codes. */
export function refusalsOf(codes: readonly ErrorCode[], streams = false): Described['answers'] {
  const byStatus = Map.groupBy([...new Set(codes)], (code) => wireOf(code).status)
  const found = [...byStatus].map(([status, of]) => {
    const names = [...new Set(of.map((code) => wireOf(code).code))]
    return [status, { description: names.join(', '), content: json('Errors'), ...WITH[status] }] as const
  })
  const early = { description: 'The body ended early', content: json('Errors') }
  return { ...Object.fromEntries(found), ...(streams ? { [INTERRUPTED]: early } : {}) }
}
