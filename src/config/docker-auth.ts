import { z } from 'zod'
import { isNull } from './node.ts'
import { anything, flag, path, section, text, texts } from './schema.ts'
import { ignored, refused, type Statuses } from './status.ts'

/** The format of docker_auth's `auth_config.yml`, which `tokenserver:` takes too. `token.x5c` is Berth's own key. */
export const dockerAuthSchema = z.object({
  server: section(
    {
      addr: text('Address to listen on: HOST:PORT, or the path of a unix socket'),
      net: text('tcp (default) or unix'),
      path_prefix: text('Path before /auth'),
      real_ip_header: text("Header that carries the client's address"),
      real_ip_pos: z.number().int().default(0).describe('Place in that header, from 0; negative counts from the end'),
      certificate: path('PEM file for HTTPS, and for tokens when token.certificate is not given'),
      key: path('PEM file of its private key'),
      hsts: flag(false, 'Send Strict-Transport-Security'),
      tls_min_version: text('TLS12 (default) or TLS13'),
      tls_curve_preferences: anything('Curves of TLS'),
      tls_cipher_suites: anything('Cipher suites of TLS 1.2'),
      letsencrypt: z
        .object({ email: text('Address'), cache_dir: path('Folder of the certificates'), host: text('Only name') })
        .optional()
        .describe('Certificates by ACME'),
    },
    'The listener',
  ),
  token: section(
    {
      issuer: text('Name of the token server in tokens (iss)'),
      expiration: z.number().int().optional().describe('Life of a token, in seconds'),
      certificate: path('PEM file of the certificate that belongs to the signing key'),
      key: path('PEM file of the signing key'),
      disable_legacy_key_id: flag(false, 'kid for registry 3 (RFC 7638) in place of that for registry 2'),
      x5c: z.enum(['auto', 'always', 'never']).default('auto').describe('Own key: send the certificate in each token'),
    },
    'Tokens',
  ),
  users: z
    .record(
      z.string(),
      z
        .object({
          password: z.string().optional().meta({ description: 'bcrypt hash', secret: true }),
          labels: z.record(z.string(), z.array(z.string())).default({}).describe('Labels for rules'),
        })
        .nullable(),
    )
    .optional()
    .describe('Users; the empty name is the anonymous one'),
  acl: z
    .array(
      z.object({
        match: z
          .object({
            account: text('Pattern of the user'),
            type: text('Pattern of the resource type'),
            name: text('Pattern of the resource name'),
            service: text('Pattern of the service'),
            ip: text('Address or CIDR block of the client'),
            labels: z.record(z.string(), z.string()).optional().describe('Patterns of labels'),
          })
          .optional()
          .describe('Conditions, which all must hold'),
        actions: z.array(z.string()).optional().describe('What is allowed'),
        comment: text('Note for people'),
      }),
    )
    .optional()
    .describe('Rules; the first that matches decides'),
  ldap_auth: anything('Users of LDAP'),
  ext_auth: z
    .object({ command: text('Program'), args: texts('Arguments') })
    .optional()
    .describe('Users of a program'),
  google_auth: anything('Users of Google'),
  github_auth: anything('Users of GitHub'),
  gitlab_auth: anything('Users of GitLab'),
  oidc_auth: anything('Users of OpenID Connect'),
  mongo_auth: anything('Users of MongoDB'),
  xorm_auth: anything('Users of an SQL database'),
  plugin_authn: anything('Users of a plug-in'),
  acl_mongo: anything('Rules of MongoDB'),
  acl_xorm: anything('Rules of an SQL database'),
  ext_authz: anything('Rules of a program'),
  plugin_authz: anything('Rules of a plug-in'),
  casbin_authz: anything('Rules of Casbin'),
})

export type DockerAuth = z.output<typeof dockerAuthSchema>

const login = refused('Its users could not log in; list them under users instead.', isNull)
const rules = refused('Its rules would not be asked; list them under acl instead.', isNull)

/** Keys of docker_auth's format that Berth knows and does not carry out yet. */
export const dockerAuthStatuses: Statuses = {
  ldap_auth: login,
  ext_auth: login,
  google_auth: login,
  github_auth: login,
  gitlab_auth: login,
  oidc_auth: login,
  mongo_auth: login,
  xorm_auth: login,
  plugin_authn: login,
  acl_mongo: rules,
  acl_xorm: rules,
  ext_authz: rules,
  plugin_authz: rules,
  casbin_authz: rules,
  'server.letsencrypt': refused('Give server.certificate and server.key instead.'),
  'server.tls_cipher_suites': ignored("The runtime's own list of safe cipher suites is used."),
  'server.tls_curve_preferences': ignored("The runtime's own list of safe curves is used."),
}

/** Sections that count as a way to log in, and those that count as rules, when docker_auth asks for at least one. */
export const authenticatorKeys: readonly string[] = Object.keys(dockerAuthStatuses).filter(
  (key) => dockerAuthStatuses[key] === login,
)
/** Not casbin_authz: docker_auth forgets it in this check. */
export const authorizerKeys: readonly string[] = ['acl', 'acl_mongo', 'acl_xorm', 'ext_authz', 'plugin_authz']
