import { MOUNT } from '../api/route.ts'
import type { ApiDocument } from '../api/routes.ts'
import type { PathItems } from './operation.ts'
import { registryPaths } from './registry.ts'
import { SCHEMAS } from './schemas.ts'
import { serverPaths } from './server.ts'
import { tokenPaths } from './token.ts'

/** Where the admin API has its own description, below its path. */
export const DOCUMENT_PATH = '/openapi.json'

const DESCRIPTION = `A container registry with its own token server.

\`/v2/\` is the OCI Distribution API 1.1; \`/auth\` issues tokens for it; \`/api/v1\` is Berth's own API, for accounts, rules and what keeps a registry in order.
Paths stand behind \`http.prefix\`; those of the token server behind \`server.path_prefix\` where it has an address of its own.

Every answer of \`/v2/\` has \`Docker-Distribution-Api-Version: registry/2.0\` and what \`http.headers\` says; one that refuses has \`X-Request-Id\`, except for 401.`

const TAGS = [
  {
    name: 'registry',
    description:
      'OCI Distribution Specification 1.1 and Docker Registry API v2. Who may do what is said by a Bearer token of the token server, or by Basic with `auth: htpasswd`.',
  },
  { name: 'token server', description: 'Docker Registry v2 token authentication, as cesanta/docker_auth answers it.' },
  { name: 'me', description: 'What every account may do for itself. A token with limits may only ask who it is.' },
  { name: 'server', description: 'Health, metrics and the certificate of the authority. No login.' },
]

export interface OpenApiDocument {
  openapi: string
  info: object
  servers: { url: string }[]
  tags: { name: string; description?: string }[]
  paths: PathItems
  components: { schemas: Record<string, unknown>; securitySchemes: object }
}

/** Everything that Berth answers, as OpenAPI 3.1. `root`: what stands before all paths, without a slash at its end. */
export function wholeDocument(api: ApiDocument, root = ''): OpenApiDocument {
  const ofApi = Object.entries(api.paths ?? {}).map(([path, item]) => [MOUNT + path, withLogin(item)] as const)
  const paths = { ...registryPaths(), ...tokenPaths(), ...Object.fromEntries(ofApi), ...described(), ...serverPaths() }
  const tags = Object.values(api.paths ?? {}).flatMap((item) => Object.values(item).flatMap(({ tags: of }) => of ?? []))
  const known = new Set(TAGS.map(({ name }) => name))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Berth',
      version: api.info.version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: root === '' ? '/' : root }],
    tags: [...TAGS, ...[...new Set(tags)].filter((name) => !known.has(name)).map((name) => ({ name }))],
    paths,
    components: {
      schemas: { ...SCHEMAS, ...api.components?.schemas },
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic' },
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
    },
  }
}

function withLogin(item: object): PathItems[string] {
  const operations = Object.entries(item).map(([method, operation]) => [
    method,
    { ...(operation as object), security: [{ basic: [] }] },
  ])
  return Object.fromEntries(operations) as PathItems[string]
}

function described(): PathItems {
  return {
    [MOUNT + DOCUMENT_PATH]: {
      get: {
        operationId: 'describe',
        tags: ['server'],
        summary: 'This document',
        security: [{}],
        responses: {
          200: { description: 'OpenAPI 3.1', content: { 'application/json': { schema: { type: 'object' } } } },
        },
      },
    },
  }
}
