import type { z } from 'zod'
import { distributionSchema, goFieldNames } from './distribution.ts'
import { statuses } from './distribution-status.ts'
import { defaultOf, docOf, isSecret, shapeOf } from './schema.ts'

/**
 * Every key of the configuration as Markdown (docs/configuration.md), made of the schema: what it takes, what it is when it is
 * not given, what it does, and where it does nothing, why.
 */
export function referenceMarkdown(): string {
  const shape = shapeOf(distributionSchema)
  const keys = shape.kind === 'map' ? Object.entries(shape.keys) : []
  const single = keys.filter(([, schema]) => !isSection(schema))
  const sections = keys.filter(([, schema]) => isSection(schema))
  return [
    INTRODUCTION,
    table(single.flatMap(([key, schema]) => rowsOf(key, schema))),
    ...sections.map(([key, schema]) => `## ${key}\n${docOf(schema) ?? ''}.\n\n${table(rowsOf(key, schema))}`),
    `## Go's names in variables\n${GO_NAMES}\n\n${table(
      Object.entries(goFieldNames).map(([key, name]) => [`\`${key}\``, `\`${name}\``]),
      ['Key', 'In a variable'],
    )}`,
  ].join('\n')
}

const INTRODUCTION = `# Configuration
<!-- Made by \`berth config schema --markdown\`; a test fails when it is not what that prints. -->

\`berth serve config.yml\` takes distribution's format with Berth's own keys in it. Each key may also be set by a variable:
\`REGISTRY_\` and the key in capitals, with \`_\` for each dot (\`http.tls.key\` is \`REGISTRY_HTTP_TLS_KEY\`; element 0 of a list is \`_0\`).
Values of variables are read as YAML. Variables lie over the file, in the order of their names; \`REGISTRY_STORAGE=filesystem\` and
\`REGISTRY_AUTH=htpasswd\` replace the whole section. \`[]\` is an element of a list, \`*\` a name of your own.

\`berth config check\` reports everything that is wrong with a configuration, \`berth config print\` shows each value and where it comes from,
\`berth config schema\` prints a JSON Schema of the format (\`--auth\`: of \`auth_config.yml\`), which editors complete and check by: put
\`# yaml-language-server: $schema=berth.schema.json\` at the top of the file.

Durations are Go's (\`10s\`, \`2h45m\`); a number without a unit is nanoseconds. **No effect** is a key that is known and not carried out
(a warning says so), **refused** one with which Berth does not start, because ignoring it would change who may do what, or where data goes.
`

const GO_NAMES = "Where the original's code calls a key otherwise than its file does, a variable may use either name."

type Row = readonly string[]

function rowsOf(path: string, schema: z.ZodType): Row[] {
  const shape = shapeOf(schema)
  const status = statuses[path]
  if (status !== undefined) {
    const effect = status.effect === 'refused' ? 'Refused' : 'No effect'
    // A section that does nothing as a whole needs no line for each of its keys.
    return [[`\`${path}\``, '', '', sentence(docOf(schema), `**${effect}**: ${status.because}`)]]
  }
  switch (shape.kind) {
    case 'map':
      return Object.entries(shape.keys).flatMap(([key, child]) => rowsOf(`${path}.${key}`, child))
    case 'record':
      return isSection(shape.value)
        ? rowsOf(`${path}.*`, shape.value)
        : [row(`${path}.*`, schema, valuesOf(shape.value))]
    case 'list':
      return isSection(shape.item)
        ? rowsOf(`${path}[]`, shape.item)
        : [row(path, schema, `list of ${valuesOf(shape.item)}s`)]
    default:
      return [row(path, schema, valuesOf(schema))]
  }
}

function row(path: string, schema: z.ZodType, values: string): Row {
  const value = defaultOf(schema)
  const fallback = value === undefined || typeof value === 'object' ? '' : `\`${String(value)}\``
  return [`\`${path}\``, isSecret(schema) ? `${values}, secret` : values, fallback, sentence(docOf(schema))]
}

function valuesOf(schema: z.ZodType): string {
  const shape = shapeOf(schema)
  switch (shape.kind) {
    case 'text':
      return shape.choices === undefined ? 'text' : shape.choices.map((one) => `\`${one}\``).join(', ')
    case 'list':
      return `list of ${valuesOf(shape.item)}s`
    case 'integer':
      return 'number'
    case 'boolean':
      return '`true`, `false`'
    case 'anything':
      return 'anything'
    default:
      return 'map'
  }
}

function isSection(schema: z.ZodType): boolean {
  const shape = shapeOf(schema)
  if (shape.kind === 'list') return isSection(shape.item)
  return shape.kind === 'map' || shape.kind === 'record'
}

function sentence(...parts: (string | undefined)[]): string {
  return parts
    .filter((part) => part !== undefined && part !== '')
    .map((part) => (part?.endsWith('.') ? part : `${part}.`))
    .join(' ')
}

function table(rows: readonly Row[], head: Row = ['Key', 'Values', 'Default', 'What it does']): string {
  const line = (cells: Row) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}
