import { z } from 'zod'
import { parseDuration } from './duration.ts'

/** Builders of the two formats' schemas, and the view of a schema that reading, environment and printing share. */

/** An optional text; what is not given or empty is undefined in the originals too. */
export const text = (doc: string) => z.string().optional().describe(doc)
export const path = text
/** A text that is masked wherever the configuration is shown. */
export const secret = (doc: string) => z.string().optional().meta({ description: doc, secret: true })
export const flag = (fallback: boolean, doc: string) => z.boolean().default(fallback).describe(doc)
export const texts = (doc: string) => z.array(z.string()).default([]).describe(doc)
export const integer = (fallback: number, doc: string) => z.number().int().default(fallback).describe(doc)
/** A Go duration, in milliseconds when read; the default is written as in a file. */
export const duration = (fallback: string, doc: string) => goDuration.prefault(fallback).describe(doc)
/** A key whose value is not looked at. */
export const anything = (doc: string) => z.unknown().optional().describe(doc)
/** A map of keys; not given is the same as empty. */
export const section = <T extends z.ZodRawShape>(shape: T, doc: string) =>
  z
    .object(shape)
    .prefault({} as never)
    .describe(doc)

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
  return schema
}
