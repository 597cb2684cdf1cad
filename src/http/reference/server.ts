import { AUTHORITY_PATH } from '../authority.ts'
import { HEALTH_PATH } from '../debug.ts'
import { PROBE_PATHS } from '../probes.ts'
import { type Answer, answersOf, json, type PathItems, TEXT } from './operation.ts'

const SAYS: Record<(typeof PROBE_PATHS)[number], { id: string; summary: string; fails: boolean }> = {
  '/livez': { id: 'isAlive', summary: 'Does the process live?', fails: false },
  '/readyz': { id: 'isReady', summary: 'Does it want requests?', fails: true },
  '/startupz': { id: 'hasStarted', summary: 'Was it ready once?', fails: true },
}

/** Where the debug server listens is configured. */
const DEBUG_SERVER = [
  {
    url: 'http://{debug}',
    description: 'http.debug.addr',
    variables: { debug: { default: '127.0.0.1:5001' } },
  },
]

/** What is neither the registry, nor the token server, nor the admin API. */
export function serverPaths(): PathItems {
  const probes = PROBE_PATHS.map((path) => {
    const { id, summary, fails } = SAYS[path]
    const notYet: Record<number, Answer> = fails ? { 503: { description: 'No', content: TEXT } } : {}
    const description = 'At the root whatever `http.prefix` says, and on the debug server, which says why not.'
    return [path, get(id, summary, { 200: { description: 'Yes', content: TEXT }, ...notYet }, { description })] as const
  })
  return {
    '/': get('root', 'Nothing, for load balancers', { 200: { description: 'It answers', headers: ['Cache-Control'] } }),
    ...Object.fromEntries(probes),
    [AUTHORITY_PATH]: get(
      'getAuthority',
      'The certificate of Berth’s own authority, for clients to trust',
      {
        200: { description: 'PEM', content: { 'application/x-pem-file': { type: 'string' } } },
        404: { description: 'The certificate comes from elsewhere', content: TEXT },
      },
      { description: 'With `http.tls.auto`. Compare its fingerprint: the connection proves nothing yet.' },
    ),
    [HEALTH_PATH]: debug('health', 'Checks that fail', {
      200: { description: 'None', content: json('HealthChecks') },
      503: { description: 'These', content: json('HealthChecks') },
    }),
    '/metrics': debug('metrics', 'What is counted, for Prometheus', {
      200: { description: 'Text format 0.0.4; `http.debug.prometheus.path` names another path', content: TEXT },
    }),
  }
}

function get(
  operationId: string,
  summary: string,
  answers: Record<number, Answer>,
  more: object = {},
): PathItems[string] {
  return { get: { operationId, tags: ['server'], summary, ...more, security: [{}], responses: answersOf(answers) } }
}

function debug(operationId: string, summary: string, answers: Record<number, Answer>): PathItems[string] {
  const description = 'On the debug server (`http.debug`), which asks nobody who he is.'
  return { ...get(operationId, summary, answers, { description }), servers: DEBUG_SERVER }
}
