import { z } from 'zod'
import {
  command,
  github,
  gitlab,
  google,
  ldap,
  mongoRules,
  mongoUsers,
  oidc,
  sourceStatuses,
  sqlRules,
  sqlUsers,
} from './docker-auth-sources.ts'
import { anything, flag, once, path, section, text, texts } from './schema.ts'
import type { Statuses } from './status.ts'

/** The format of docker_auth's `auth_config.yml`, which `tokenserver:` takes too, and Berth's own keys in it (marked as such). */
export const dockerAuthSchema = once(() =>
  z.object({
    server: section(
      {
        addr: text('Address to listen on: HOST:PORT, or the path of a unix socket'),
        net: text('tcp (default) or unix'),
        path_prefix: text('Path before /auth'),
        real_ip_header: text("Header that carries the client's address"),
        real_ip_pos: z.number().int().default(0).describe('Place in that header, from 0; negative counts from the end'),
        trustedproxies: texts('Own key: CIDR blocks whose X-Forwarded-For is believed'),
        certificate: path('PEM file for HTTPS, and for tokens when token.certificate is not given'),
        key: path('PEM file of its private key'),
        hsts: flag(false, 'Send Strict-Transport-Security'),
        tls_min_version: text('TLS12 (default) or TLS13'),
        tls_curve_preferences: texts('Curves of TLS, by name or number; every safe one when none is given'),
        tls_cipher_suites: texts('Cipher suites of TLS 1.2, by name or number; every safe one when none is given'),
        letsencrypt: z
          .object({
            email: text('Address that the authority writes to'),
            cache_dir: path('Folder of the account key and the certificate'),
            host: text('Name that the certificate is for'),
            directoryurl: text('Own key: URL of another ACME authority'),
            directoryca: path("Own key: PEM file of the authority of that server's own certificate"),
            httpaddr: text('Own key: address at which the authority asks (HTTP-01); default :80'),
          })
          .optional()
          .describe('A certificate by ACME'),
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
        keyid: z
          .enum(['libtrust', 'rfc7638'])
          .optional()
          .describe('Own key: kid for registry 2 or 3; beats disable_legacy_key_id'),
        x5c: z
          .enum(['auto', 'always', 'never'])
          .default('auto')
          .describe('Own key: send the certificate in each token; auto does so while the certificate is valid'),
        refreshtokens: z
          .enum(['auto', 'always', 'never'])
          .default('auto')
          .describe('Own key: whether clients that ask get a refresh token; auto where the data directory was chosen'),
        refreshexpiration: z
          .string()
          .default('2160h')
          .describe('Own key: time without use after which a refresh token ends'),
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
    htpasswd: z
      .object({ path: path('File of users and bcrypt hashes') })
      .optional()
      .describe('Own key: users of a htpasswd file'),
    accounts: z
      .boolean()
      .optional()
      .describe('Own key: users made with `berth user` may log in; the default where no other source is named'),
    ext_auth: command('Users of a program'),
    google_auth: google,
    github_auth: github,
    oidc_auth: oidc,
    gitlab_auth: gitlab,
    ldap_auth: ldap,
    mongo_auth: mongoUsers,
    xorm_auth: sqlUsers,
    plugin_authn: anything('Users of a plug-in'),
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
      .describe('Rules'),
    acl_mode: z
      .enum(['first-match', 'union'])
      .default('first-match')
      .describe('Own key: the first rule that matches decides, or all that match add up'),
    acl_mongo: mongoRules,
    acl_xorm: sqlRules,
    ext_authz: command('Rules of a program'),
    plugin_authz: anything('Rules of a plug-in'),
    casbin_authz: z
      .object({ model_path: path('File of the model'), policy_path: path('File of the policy') })
      .optional()
      .describe('Rules of Casbin'),
    throttle: section(
      {
        enabled: flag(true, 'Make those wait who guess passwords'),
        peraccount: z.number().int().min(1).default(5).describe('Free failures of one account from one address'),
        peraddress: z.number().int().min(1).default(50).describe('Free failures from one address'),
        window: z.string().default('5m').describe('Time after which failures are forgotten, and the longest wait'),
      },
      'Own section: failed logins',
    ),
    audit: section(
      {
        file: path('File of JSON lines besides the database'),
        keep: z.string().default('720h').describe('Age at which a row goes'),
        rows: z.number().int().min(1).default(1_000_000).describe('Most rows'),
      },
      'Own section: who asked for what',
    ),
  }),
)

export type DockerAuth = z.output<ReturnType<typeof dockerAuthSchema>>

/** Keys of docker_auth's format that Berth knows and does not carry out. */
export const dockerAuthStatuses: Statuses = sourceStatuses

/** Sections that count as a way to log in; `accounts: true` does too. */
export const authenticatorKeys: readonly string[] = [
  'users',
  'htpasswd',
  'ext_auth',
  'google_auth',
  'github_auth',
  'oidc_auth',
  'gitlab_auth',
  'ldap_auth',
  'mongo_auth',
  'xorm_auth',
  'plugin_authn',
]
/** Sections that count as rules: with casbin_authz, which docker_auth forgets. */
export const authorizerKeys: readonly string[] = [
  'acl',
  'acl_mongo',
  'acl_xorm',
  'ext_authz',
  'plugin_authz',
  'casbin_authz',
]
