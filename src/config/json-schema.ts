import { z } from 'zod'
import { distributionSchema } from './distribution.ts'
import { statuses } from './distribution-status.ts'
import { dockerAuthSchema, dockerAuthStatuses } from './docker-auth.ts'
import { defaultOf, docOf, isSecret, shapeOf } from './schema.ts'
import type { Statuses } from './status.ts'

type Json = Record<string, unknown>

/** Sections that may be a bare word, which is a type without parameters (`auth: none`). */
const TYPES = ['storage', 'auth']
/** What a text may be written as: YAML has other words for many (`version: 0.1`), and each stays as it was written. */
const TEXT = ['string', 'number', 'boolean', 'null']

/** JSON Schema (draft 2020-12) of distribution's `config.yml` with Berth's own keys, for editors and checks. */
export function configJsonSchema(): Json {
  const schema = standalone(distributionSchema, statuses, 'Configuration of Berth')
  return { ...schema, required: ['version', 'storage'] }
}

/** JSON Schema of docker_auth's `auth_config.yml`. */
export function authConfigJsonSchema(): Json {
  return standalone(dockerAuthSchema(), dockerAuthStatuses, "Configuration of Berth's token server")
}

function standalone(schema: z.ZodType, known: Statuses, title: string): Json {
  const { $schema, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Json
  return { $schema, title, ...refined(json, schema, '', known) }
}

/** As `check.ts` reads it: null is a key that is not given, texts take any scalar, unknown keys are marked. */
function refined(raw: Json, schema: z.ZodType, path: string, known: Statuses): Json {
  // The library's way to say "or null", which every key may be here.
  const json: Json = Array.isArray(raw.anyOf) ? { ...raw, ...raw.anyOf[0] } : raw
  const shape = shapeOf(schema)
  const status = known[path]
  const described = [docOf(schema), status && `${word(status.effect)} ${status.because}`]
  const annotations: Json = {
    ...(described.some((text) => text !== undefined) ? { description: described.filter(Boolean).join('. ') } : {}),
    ...(status === undefined ? {} : { deprecated: true }),
    ...(isSecret(schema) ? { writeOnly: true } : {}),
  }
  const value = defaultOf(schema)
  // What is not carried out has no default, and a section none of its own.
  if (status === undefined && value !== undefined && typeof value !== 'object') annotations.default = value
  const inner = (child: unknown, of: z.ZodType, key: string) => refined(child as Json, of, key, known)
  switch (shape.kind) {
    case 'map': {
      const given = json.properties as Record<string, Json>
      const properties = Object.fromEntries(
        Object.entries(shape.keys).map(([key, child]) => [
          key,
          inner(given[key], child, path === '' ? key : `${path}.${key}`),
        ]),
      )
      const type = TYPES.includes(path) ? ['object', 'string', 'null'] : path === '' ? 'object' : ['object', 'null']
      return { ...annotations, type, properties, additionalProperties: false }
    }
    case 'record': {
      const additionalProperties = inner(json.additionalProperties, shape.value, `${path}.*`)
      return { ...annotations, type: ['object', 'null'], additionalProperties }
    }
    case 'list':
      return { ...annotations, type: ['array', 'null'], items: inner(json.items, shape.item, `${path}[]`) }
    case 'text':
      if (shape.choices !== undefined) return { ...annotations, enum: [...shape.choices, '', null] }
      return { ...annotations, type: TEXT }
    case 'integer':
      return { ...annotations, type: ['integer', 'null'], ...limits(json) }
    case 'boolean':
      return { ...annotations, type: ['boolean', 'null'] }
    case 'anything':
      return annotations
  }
}

/** The library writes the limits of JavaScript's numbers where a schema has none. */
function limits({ minimum, maximum }: Json): Json {
  return {
    ...(Number.isSafeInteger(minimum) && minimum !== Number.MIN_SAFE_INTEGER ? { minimum } : {}),
    ...(Number.isSafeInteger(maximum) && maximum !== Number.MAX_SAFE_INTEGER ? { maximum } : {}),
  }
}

function word(effect: 'refused' | 'ignored'): string {
  return effect === 'refused' ? 'Refused:' : 'No effect:'
}
