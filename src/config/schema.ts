import { z } from 'zod'
import { parseDuration } from './duration.ts'

/** Builders of the two formats' schemas, and the view of a schema that reading, environment and printing share. */

const string = z.string()
const boolean = z.boolean()
const whole = z.number().int()
const unknown = z.unknown()
const strings = z.array(string)

/**
 * The words go to the schema itself: `describe` would make a copy of it for them, and hundreds of schemas are made at each
 * start. What is the same everywhere is shared for the same reason.
 */
export const described = <S extends z.ZodType>(schema: S, description: string): S => {
  z.globalRegistry.add(schema, { description })
  return schema
}

/** A schema that need not be given. */
export const optional = <S extends z.ZodType>(schema: S, doc: string) => described(z.optional(schema), doc)
/** An optional text; what is not given or empty is undefined in the originals too. */
export const text = (doc: string) => optional(string, doc)
export const path = text
/** A text that is masked wherever the configuration is shown. */
export const secret = (doc: string) => {
  const schema = z.optional(string)
  z.globalRegistry.add(schema, { description: doc, secret: true })
  return schema
}
export const flag = (fallback: boolean, doc: string) => described(z._default(boolean, fallback), doc)
/** One of a few words. */
export const choice = <const T extends readonly [string, ...string[]]>(values: T, fallback: T[number], doc: string) =>
  described(z._default(z.enum(values), fallback as never), doc)
export const texts = (doc: string) => described(z._default(strings, []), doc)
export const integer = (fallback: number, doc: string) => described(z._default(whole, fallback), doc)
/** A Go duration, in milliseconds when read; the default is written as in a file. */
export const duration = (fallback: string, doc: string) => described(z.prefault(goDuration, fallback), doc)
/** A key whose value is not looked at. */
export const anything = (doc: string) => optional(unknown, doc)
/** A list, empty when it is not given; what describes its elements is made for one that has any. */
export const list = <S extends z.ZodType>(item: () => S, doc: string) =>
  described(z._default(z.array(z.lazy(once(item))), [] as never), doc)
/** A map of keys; not given is the same as empty. */
export const section = <T extends z.ZodRawShape>(shape: T, doc: string) =>
  described(z.prefault(z.object(shape), {} as never), doc)
/** A map of keys, all of it or nothing. */
export const part = <T extends z.ZodRawShape>(shape: T, doc: string) => optional(z.object(shape), doc)
/**
 * A part that few configurations have: its schema is made when one is read that has it, or when somebody asks what there is.
 */
export const seldom = <S extends z.ZodType>(make: () => S, doc: string) => optional(z.lazy(once(make)), doc)

/** What `make` gives, made at the first call. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

const goDuration = z.string().transform((value, context) => {
  const milliseconds = parseDuration(value)
  if (milliseconds !== undefined && milliseconds >= 0) return milliseconds
  context.addIssue({
    code: 'custom',
    message: `${JSON.stringify(value)} is no duration; write one such as 10s or 2h45m`,
  })
  return z.NEVER
})

export type Shape =
  | { kind: 'map'; keys: Record<string, z.ZodType> }
  | { kind: 'record'; value: z.ZodType }
  | { kind: 'list'; item: z.ZodType }
  | { kind: 'text'; choices: readonly string[] | undefined }
  | { kind: 'integer' | 'boolean' | 'anything' }

/** What a schema takes, without its wrappers (optional, default, description, transformation). */
export function shapeOf(schema: z.ZodType): Shape {
  const inner = bare(schema)
  if (inner instanceof z.ZodObject) return { kind: 'map', keys: inner.shape as Record<string, z.ZodType> }
  if (inner instanceof z.ZodRecord) return { kind: 'record', value: inner.valueType as z.ZodType }
  if (inner instanceof z.ZodArray) return { kind: 'list', item: inner.element as z.ZodType }
  if (inner instanceof z.ZodEnum) return { kind: 'text', choices: inner.options.map(String) }
  if (inner instanceof z.ZodString) return { kind: 'text', choices: undefined }
  if (inner instanceof z.ZodNumber) return { kind: 'integer' }
  if (inner instanceof z.ZodBoolean) return { kind: 'boolean' }
  return { kind: 'anything' }
}

/** The value that a key has when it is not given, as it would be written; undefined when it has none. */
export function defaultOf(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return schema.def.defaultValue
  return undefined
}

/** What a key is for; a wrapper that was put around it afterwards has no words of its own. */
export function docOf(schema: z.ZodType): string | undefined {
  if (schema.description !== undefined) return schema.description
  const inner = 'innerType' in schema.def ? schema.def.innerType : undefined
  return inner instanceof z.ZodType ? docOf(inner) : undefined
}

export function isSecret(schema: z.ZodType): boolean {
  return schema.meta()?.secret === true
}

export function isNullable(schema: z.ZodType): boolean {
  return schema instanceof z.ZodNullable
}

function bare(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) return bare(schema.def.in as z.ZodType)
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodNullable
  ) {
    return bare(schema.def.innerType as z.ZodType)
  }
  if (schema instanceof z.ZodLazy) return bare(schema.unwrap() as z.ZodType)
  return schema
}
