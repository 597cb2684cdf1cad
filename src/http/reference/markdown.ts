import { ACCESS_KEY, type ApiAccess } from '../api/routes.ts'
import type { OpenApiDocument } from './document.ts'
import { rowsOf, type Schema, typeOf } from './markdown-schema.ts'
import { SCOPE_KEY } from './registry.ts'

interface Parameter {
  name: string
  in: string
  description?: string
  schema?: { description?: string }
}

interface Body {
  description?: string
  content?: Record<string, { schema?: Schema }>
}

interface Operation {
  operationId: string
  tags: string[]
  summary?: string
  description?: string
  parameters?: Parameter[]
  requestBody?: Body
  responses: Record<string, Body & { headers?: Record<string, { required?: boolean }> }>
  [ACCESS_KEY]?: ApiAccess
  [SCOPE_KEY]?: string
}

interface Listed {
  path: string
  methods: string[]
  operation: Operation
}

const INTRODUCTION = `# The API
<!-- Made by \`berth api openapi --markdown\`; a test fails when it is not what that prints. -->

Everything that Berth answers: the registry, its token server, its own API and its probes. The same as OpenAPI 3.1, for programs and editors: \`berth api openapi\`, or
\`GET /api/v1/openapi.json\` of a running server (without a login). Paths stand behind \`http.prefix\`, those of a token server with an address of its own behind \`server.path_prefix\`.

\`\`\`sh
berth api openapi > berth.openapi.json
curl -s http://127.0.0.1:5000/api/v1/openapi.json
\`\`\`
`

const SECTIONS: Readonly<Record<string, string>> = {
  registry: `Refusals are \`{"errors": [{"code", "message", "detail"}]}\`, as the OCI Distribution Specification has them (OCI: end-3 is its name of an endpoint). Every route may also answer 401 \`UNAUTHORIZED\` (with \`WWW-Authenticate\`: a token with which scope
is wanted), 429 \`TOOMANYREQUESTS\` (too many wrong passwords, or uploads under way; with \`Retry-After\`) and 503 \`UNAVAILABLE\` (disk, database or a source of users; with \`Retry-After\`); they are left out below. Every answer has \`Docker-Distribution-Api-Version: registry/2.0\`, every
refusal but 401 an \`X-Request-Id\`, which the log has, too. A method that a path does not have is 405 with \`Allow\`; OPTIONS is answered without a login.`,
  'token server': `Refusals are a line of text in docker_auth's words; those that docker shows to its user are JSON. What is asked for and not granted is no refusal: the token holds less.`,
  server: 'Without a login.',
}

const OWN = `## Berth's own API
Below \`/api/v1\`, with Basic credentials: a password, or a personal access token without limits. **Who** is \`account\`: everybody, for himself; \`administrator\`: \`berth user add NAME --admin\`; \`operator\`: whoever may open \`berth.sock\` in the data
directory, as the commands do. Bodies are JSON, at most 1 MiB; a key that nobody knows is refused. Times are RFC 3339 in UTC, sizes bytes. Lists are paged: \`Link\` with \`rel="next"\` leads to what follows.
A change of a list of rules says which revision it is made to (\`If-Match\`, from the list's \`ETag\`; \`*\`: any).

Refusals are problems (RFC 9457, [Problem](#body-problem)): 400 the request is not valid (\`errors\` names each value), 401 no or wrong credentials, 403 not for this account or credential, or a page of another site asks, 404, 405 (with \`Allow\`), 408 the body ended early,
409 a conflict, or no registry runs here, 413, 415, 428 If-Match is missing, 429 and 503 with \`Retry-After\`. \`Berth-Notice\` says when the configuration does not heed what was changed.`

/** docs/api.md: the OpenAPI document for people. */
export function apiMarkdown(document: OpenApiDocument): string {
  const listed = operationsOf(document)
  const tags = document.tags.map(({ name }) => name)
  const isOwn = (tag: string) => listed.some(({ operation }) => operation.tags[0] === tag && ACCESS_KEY in operation)
  const plain = tags.filter((tag) => !isOwn(tag))
  return [
    INTRODUCTION,
    ...plain.map((tag) => `## ${titleOf(tag)}\n${SECTIONS[tag] ?? ''}\n\n${ofTag(listed, tag).map(entry).join('\n')}`),
    `${OWN}\n`,
    ...tags.filter(isOwn).map((tag) => `### ${titleOf(tag)}\n${table(ofTag(listed, tag).map(ownRow))}`),
    `## Bodies\nKeys with \`?\` may be missing.\n`,
    ...Object.entries(document.components.schemas)
      .sort(([a], [b]) => a.localeCompare(b, 'en'))
      .map(([name, schema]) => `### Body: ${name}\n${bodyOf(schema as Schema)}`),
  ].join('\n')
}

/** Methods that are described alike stand together: GET and its HEAD. */
function operationsOf({ paths }: OpenApiDocument): Listed[] {
  return Object.entries(paths).flatMap(([path, item]) => {
    const methods = Object.entries(item).filter(([method]) => method !== 'servers' && method !== 'head')
    return methods.map(([method, operation]) => ({
      path,
      methods: method === 'get' && 'head' in item ? ['GET', 'HEAD'] : [method.toUpperCase()],
      operation: operation as Operation,
    }))
  })
}

const ofTag = (listed: readonly Listed[], tag: string) => listed.filter(({ operation }) => operation.tags[0] === tag)
const titleOf = (tag: string) => tag.slice(0, 1).toUpperCase() + tag.slice(1)

/** Said in the introduction of the section. */
const EVERYWHERE = new Set(['401', '429', '500', '503'])

function entry({ path, methods, operation }: Listed): string {
  const { summary, description, parameters = [], requestBody, responses } = operation
  const scope = operation[SCOPE_KEY]
  const isRegistry = scope !== undefined
  const lines = [
    `### ${methods.join(', ')} ${path}`,
    sentence(summary ?? '', description ?? ''),
    ...(isRegistry ? [`Needs ${scope}.`] : []),
    '',
    ...parameters.map((parameter) => `- ${placeOf(parameter)}: ${parameter.description ?? ''}.`),
    ...(requestBody === undefined ? [] : [`- Body: ${requestBody.description ?? ''} (${typesOf(requestBody)}).`]),
    ...(parameters.length > 0 || requestBody !== undefined ? [''] : []),
    '| status | answer | headers |',
    '| --- | --- | --- |',
    ...Object.entries(responses)
      .filter(([status, answer]) => !(isRegistry && EVERYWHERE.has(status) && typesOf(answer) !== ''))
      .map(([status, answer]) => `| ${status} | ${answerOf(answer)} | ${headersOf(answer)} |`),
  ]
  return `${lines.join('\n')}\n`
}

function placeOf({ name, in: place }: Parameter): string {
  if (place === 'path') return `\`{${name}}\``
  return place === 'query' ? `\`?${name}=\`` : `header \`${name}\``
}

function answerOf(answer: Body): string {
  const types = typesOf(answer)
  return types === '' ? (answer.description ?? '') : `${answer.description}: ${types}`
}

function headersOf({ headers = {} }: Operation['responses'][string]): string {
  return Object.entries(headers)
    .map(([name, { required }]) => (required ? `\`${name}\`` : `\`${name}\`?`))
    .join(', ')
}

function typesOf({ content = {} }: Body): string {
  const shown = Object.entries(content).map(([type, { schema = {} }]) =>
    schema.$ref !== undefined && type === 'application/json' ? typeOf(schema) : `\`${type}\``,
  )
  return [...new Set(shown)].join(', ')
}

const OWN_HEAD = ['call', 'what it does', 'parameters', 'body', 'answer', 'who']

function ownRow({ path, methods, operation }: Listed): string[] {
  const { summary = '', description = '', parameters = [], requestBody, responses } = operation
  const [[status = '', answer = {}] = []] = Object.entries(responses)
  return [
    `\`${methods.join(', ')} ${path}\``,
    sentence(summary, description),
    parameters
      .filter(({ in: place }) => place !== 'path')
      .map(({ name }) => `\`${name}\``)
      .join(', '),
    requestBody === undefined ? '' : typesOf(requestBody),
    `${status} ${typesOf(answer)} ${answer.description === 'Done' ? '' : (answer.description ?? '')}`
      .replace(/ +/g, ' ')
      .trim(),
    operation[ACCESS_KEY] ?? '',
  ]
}

function bodyOf(schema: Schema): string {
  const { description } = schema
  const rows = rowsOf(schema)
  const words = description === undefined ? '' : `${sentence(description)}\n`
  if (rows.length === 0) return `${words}${typeOf(schema)}\n`
  return `${words}${words === '' ? '' : '\n'}${table(rows, ['key', 'values', 'what it is'])}`
}

function sentence(...parts: string[]): string {
  return parts
    .filter((part) => part !== '')
    .map((part) => (/[.?!]$/.test(part) ? part : `${part}.`))
    .join(' ')
}

function table(rows: readonly (readonly string[])[], head: readonly string[] = OWN_HEAD): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}
