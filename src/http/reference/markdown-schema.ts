/** What the page reads of a JSON Schema. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  format?: string
  enum?: unknown[]
  const?: unknown
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  additionalProperties?: boolean | Schema
  anyOf?: Schema[]
  allOf?: Schema[]
  oneOf?: Schema[]
}

/** A row for each key of a schema, those of objects within it after it: name, values, words. */
export function rowsOf(schema: Schema, before = ''): string[][] {
  const { properties = {}, required = [] } = schema
  return Object.entries(properties).flatMap(([name, value]) => {
    const path = `${before}${name}`
    const row = [`\`${path}${required.includes(name) ? '' : '?'}\``, typeOf(value), wordsOf(value)]
    const items = value.items === undefined ? value : value.items
    const inner = items.properties === undefined ? alternatives(value).find(({ properties: of }) => of) : items
    return inner === undefined ? [row] : [row, ...rowsOf(inner, `${path}${value.items === undefined ? '' : '[]'}.`)]
  })
}

function wordsOf(schema: Schema): string {
  return schema.description ?? alternatives(schema).find(({ description }) => description)?.description ?? ''
}

/** Members of a schema that is one of several, or several at once. */
function alternatives({ anyOf = [], oneOf = [], allOf = [] }: Schema): Schema[] {
  return [...anyOf, ...oneOf, ...allOf]
}

/** What a value is, in a few words. */
export function typeOf(schema: Schema): string {
  const { $ref, type, enum: choices, const: constant, items, additionalProperties } = schema
  if ($ref !== undefined) {
    const name = $ref.replace('#/components/schemas/', '')
    return `[${name}](#body-${name.toLowerCase()})`
  }
  if (choices !== undefined) return choices.map((one) => `\`${String(one)}\``).join(', ')
  if (constant !== undefined) return `\`${String(constant)}\``
  const members = alternatives(schema)
  if (members.length > 0) return [...new Set(members.map(typeOf))].join(' or ')
  if (Array.isArray(type)) return type.map((one) => typeOf({ ...schema, type: one })).join(' or ')
  switch (type) {
    case 'array':
      return items === undefined ? 'list' : `list of ${typeOf(items)}`
    case 'object':
      return typeof additionalProperties === 'object' ? `map of ${typeOf(additionalProperties)}` : 'object'
    case 'string':
      return schema.format === 'date-time' ? 'time' : 'text'
    case undefined:
      return 'anything'
    default:
      return type
  }
}
