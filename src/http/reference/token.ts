import { JWKS_PATH } from '../token/jwks.ts'
import { TOKEN_PATHS } from '../token/token.ts'
import {
  answersOf,
  type Described,
  json,
  type Parameter,
  type PathItems,
  parametersOf,
  schemaOf,
  TEXT,
} from './operation.ts'
import { bodyOf } from './registry.ts'

const ofQuery = (name: string, description: string): Parameter => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string' },
})

const scope: Parameter = {
  ...ofQuery('scope', '`TYPE:NAME:ACTION,…`, such as `repository:team/app:pull,push`; several times, or with spaces'),
  schema: { type: 'array', items: { type: 'string' } },
}

const ASKED = [
  ofQuery('service', 'Who the token is for: the claim `aud`'),
  scope,
  ofQuery('account', 'The name of the login; another one is refused'),
  ofQuery('client_id', 'Who asks, for the list of refresh tokens'),
  ofQuery('offline_token', '`true`: with a refresh token'),
]

const refused = { description: 'Refused: wrong credentials', content: { ...TEXT, ...json('OAuthError') } }
const answers: Described['answers'] = {
  200: {
    description: 'A token; what was not granted is missing in its claim `access`',
    content: json('TokenAnswer'),
    headers: ['Cache-Control'],
  },
  400: { description: 'A scope, an address or a form that is none', content: { ...TEXT, ...json('OAuthError') } },
  401: { ...refused, some: ['WWW-Authenticate'] },
  413: { description: 'A form of more than 64 KiB', content: TEXT },
  429: { description: 'Too many wrong passwords', content: json('Errors'), headers: ['Retry-After'] },
  503: { description: 'A source of users does not answer', content: TEXT, headers: ['Retry-After'] },
}

const form = {
  description:
    'As OAuth2 has it; without grant_type, Basic credentials or `username` and `password` count as in docker_auth',
  content: {
    'application/x-www-form-urlencoded': {
      type: 'object',
      properties: {
        grant_type: { type: 'string', enum: ['password', 'refresh_token'] },
        username: { type: 'string' },
        password: { type: 'string', description: 'Or a personal access token, or that of a robot' },
        refresh_token: { type: 'string' },
        service: { type: 'string' },
        scope: { type: 'string' },
        client_id: { type: 'string' },
        access_type: { type: 'string', enum: ['online', 'offline'], description: '`offline`: with a refresh token' },
      },
    },
  },
}

const SIGN_IN_KINDS = ['google', 'github', 'oidc', 'gitlab'] as const

/** The token server: on the registry's own address, or on one of its own. */
export function tokenPaths(): PathItems {
  const [first] = TOKEN_PATHS
  const issuing = TOKEN_PATHS.map((path) => [path, issue(path === first ? '' : 'AtToken')] as const)
  return { ...Object.fromEntries(issuing), [JWKS_PATH]: jwks(), '/{provider}_auth': signIn() }
}

function issue(suffix: string): PathItems[string] {
  const common = { tags: ['token server'], security: [{ basic: [] }, {}], responses: answersOf(answers) }
  return {
    get: {
      operationId: `getToken${suffix}`,
      summary: 'A token for a registry',
      description:
        'Docker Registry v2 token authentication. Everything that can be asked is answered 200, with fewer rights where a rule says so. Basic: a password, a personal access token or that of a robot.',
      parameters: parametersOf(ASKED),
      ...common,
    },
    post: {
      operationId: `postToken${suffix}`,
      summary: 'The same with a form (OAuth2), and a refresh token in place of a password',
      requestBody: bodyOf(form),
      ...common,
    },
  }
}

function jwks(): PathItems[string] {
  return {
    get: {
      operationId: 'getKeys',
      tags: ['token server'],
      summary: 'The public keys that tokens are signed with',
      security: [{}],
      responses: answersOf({
        200: {
          description: 'A JWK Set, without private parts',
          content: { 'application/jwk-set+json': schemaOf('Jwks') },
          headers: ['Cache-Control'],
        },
      }),
    },
  }
}

function signIn(): PathItems[string] {
  const provider: Parameter = {
    name: 'provider',
    in: 'path',
    description: 'Which of those that are configured',
    schema: { type: 'string', enum: SIGN_IN_KINDS },
  }
  const page = { 'text/html': { type: 'string' }, ...TEXT }
  const common = {
    tags: ['token server'],
    security: [{}],
    responses: answersOf({
      200: {
        description: 'A page for people: where to begin, or the name and the token that stands for a password',
        content: page,
      },
      303: { description: 'To the provider', headers: ['Location'] },
      400: { description: 'A sign-in that nobody began in this browser, or too long ago', content: page },
      403: { description: 'The provider knows the user, the configuration does not let him in', content: page },
      502: { description: 'The provider refused, or sent what cannot be used', content: page },
      503: { description: 'The provider does not answer', content: page, some: ['Retry-After'] },
    }),
  }
  return {
    get: {
      operationId: 'signIn',
      summary: 'Sign-in in the browser: start page, begin and callback',
      parameters: parametersOf([
        provider,
        ofQuery('start', '`1`: begin'),
        ofQuery('code', 'Of the provider'),
        ofQuery('state', 'Of the provider'),
        ofQuery('error', 'Of the provider'),
      ]),
      ...common,
    },
    post: { operationId: 'beginSignIn', summary: 'Begins a sign-in', parameters: parametersOf([provider]), ...common },
  }
}
