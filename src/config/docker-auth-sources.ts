import { z } from 'zod'
import { anything, described, flag, once, part, path, secret, section, seldom, text, texts } from './schema.ts'
import { ignored, isOff, type Statuses } from './status.ts'

/** The sections of docker_auth's format that say where users and rules come from. Keys without underscore in them are Berth's own. */

const string = z.string()
/** A Go duration that stays as written: a number without a unit deserves a warning (`span.ts`). */
const span = (fallback: string, doc: string) => described(z._default(string, fallback), doc)

/** More processes than any machine runs beside a registry. */
const MAX_CHILDREN = 1024

/** `ext_auth`, `ext_authz` */
export const command = (doc: string) =>
  seldom(
    () =>
      z.object({
        command: text('Program, by its path or its name in PATH'),
        args: texts('Arguments'),
        timeout: span('10s', 'Own key: how long it may take to answer'),
        maxchildren: z
          .number()
          .int()
          .min(1)
          .max(MAX_CHILDREN)
          .default(8)
          .describe('Own key: most that run at the same time; more wait'),
      }),
    doc,
  )

const TOKEN_DATABASES = ['token_db', 'level_token_db', 'gcs_token_db', 'redis_token_db'] as const

const client = once(() => {
  const kept = 'Where the original keeps tokens'
  const token_hash_cost = anything('Cost of bcrypt')
  const tokenDatabases = {
    token_db: anything('Where old versions of the original keep tokens'),
    level_token_db: part({ path: path('Folder of LevelDB'), token_hash_cost }, kept),
    gcs_token_db: part(
      {
        bucket: text('Bucket of Google Cloud Storage'),
        client_secret_file: path('Key of the service account'),
        token_hash_cost,
      },
      kept,
    ),
    redis_token_db: part(
      { redis_options: anything('Server'), redis_cluster_options: anything('Cluster'), token_hash_cost },
      kept,
    ),
  } satisfies Record<(typeof TOKEN_DATABASES)[number], z.ZodType>
  return {
    client_id: text('Id of the application'),
    client_secret: secret('Secret of the application'),
    client_secret_file: path('File of that secret'),
    http_timeout: span('10s', 'How long the provider may take to answer'),
    ...tokenDatabases,
  }
})

/** The original asks for the membership again after 1h; here it ends the token, so that nobody gets such a short life unasked. */
const revalidateAfter = () =>
  span('0s', 'Life of the tokens of sign-in, after which people prove their membership again')
const registryUrl = () => text('What people are told to log in to after sign-in')

export const google = seldom(
  () => z.object({ domain: text('Only people of this domain; empty for everyone'), ...client() }),
  'Sign-in with Google',
)

export const github = seldom(
  () =>
    z.object({
      organization: text('Only its members; empty for everyone'),
      ...client(),
      revalidate_after: revalidateAfter(),
      github_web_uri: text('URL of another GitHub'),
      github_api_uri: text('URL of its API'),
      registry_url: registryUrl(),
    }),
  'Sign-in with GitHub',
)

export const gitlab = seldom(
  () =>
    z.object({
      organization: text('Only members of this group; empty for everyone'),
      ...client(),
      revalidate_after: revalidateAfter(),
      gitlab_web_uri: text('URL of another GitLab'),
      gitlab_api_uri: text('URL of its API'),
      grant_type: text('authorization_code, the only grant for sign-in'),
      redirect_uri: text('URL of /gitlab_auth as the application was registered with'),
      registry_url: registryUrl(),
    }),
  'Sign-in with GitLab',
)

export const oidc = seldom(
  () =>
    z.object({
      issuer: text('URL of the provider'),
      redirect_url: text('URL of /oidc_auth as the application was registered with'),
      ...client(),
      registry_url: registryUrl(),
      user_claim: text('Claim that is the account; email when it is not given'),
      labels_claims: texts('Claims that become labels'),
      label_claims: texts("labels_claims, as the original's documentation calls it"),
      scopes: texts('Scopes to ask for; openid and email when none are given'),
    }),
  'Sign-in with OpenID Connect',
)

export const ldap = seldom(
  () =>
    z.object({
      addr: text('HOST:PORT of the server; several are separated by commas or spaces'),
      tls: z.enum(['none', 'starttls', 'always']).optional().describe('Encryption; always where the port is 636'),
      insecure_tls_skip_verify: flag(false, "Do not check the server's certificate"),
      ca_certificate: path('PEM file of the authority that signed it'),
      bind_dn: text('Who searches; empty is anonymous'),
      bind_password_file: path('File of the password of bind_dn'),
      initial_bind_as_user: flag(false, 'Search as the person who logs in, whose name is filled into bind_dn'),
      base: text('Where the search begins'),
      filter: text('What is searched; the account is filled in'),
      labels: z
        .record(
          z.string(),
          z.object({
            attribute: text('Attribute whose values are the label'),
            parse_cn: flag(false, 'Take the CN of each value'),
            lower_case: flag(false, 'Turn values into lower case'),
          }),
        )
        .default({})
        .describe('Labels from attributes'),
      timeout: span('10s', 'Own key: how long a server may take to answer'),
    }),
  'Users of LDAP',
)

const dialInfo = () =>
  section(
    {
      addrs: texts('HOST:PORT of the servers'),
      timeout: span('10s', 'How long a server may take to answer'),
      database: text('Database'),
      username: text('User'),
      password: secret('Password'),
      password_file: path('File of the password'),
      enable_tls: flag(false, 'Encrypt'),
      ...Object.fromEntries(
        ['direct', 'failfast', 'source', 'service', 'mechanism'].map((key) => [
          key,
          anything('Option of an old driver'),
        ]),
      ),
    },
    'Server of MongoDB',
  )
const mongoKeys = () => ({ dial_info: dialInfo(), collection: text('Collection') })
const sqlKeys = () => ({
  database_type: text('mysql, postgres or sqlite3'),
  conn_string: secret('Data source name, as the Go driver of that database takes it'),
})
const cacheTtl = () => span('60s', 'How long rules are used before they are read again')

export const mongoUsers = seldom(() => z.object(mongoKeys()), 'Users of MongoDB')
export const mongoRules = seldom(() => z.object({ ...mongoKeys(), cache_ttl: cacheTtl() }), 'Rules of MongoDB')
export const sqlUsers = seldom(() => z.object(sqlKeys()), 'Users of an SQL database (table xorm_user)')
export const sqlRules = seldom(
  () => z.object({ ...sqlKeys(), cache_ttl: cacheTtl() }),
  'Rules of an SQL database (table xorm_acl_entry)',
)

const elsewhere = ignored('Berth keeps tokens in its own database; people sign in once more.')
const unused = ignored('The original ignores it too.', isOff)

/** Keys of these sections that have no effect. */
export const sourceStatuses: Statuses = Object.fromEntries([
  ...['google_auth', 'github_auth', 'gitlab_auth', 'oidc_auth'].flatMap((key) =>
    TOKEN_DATABASES.map((database) => [`${key}.${database}`, elsewhere]),
  ),
  ...['mongo_auth', 'acl_mongo'].flatMap((key) =>
    ['direct', 'failfast', 'source', 'service', 'mechanism'].map((name) => [`${key}.dial_info.${name}`, unused]),
  ),
])
