import { z } from 'zod'
import { auth } from './distribution-auth.ts'
import {
  backupSchema,
  gcSchema,
  spaceSchema,
  trashSchema,
  uploadPurgingSchema,
  verifySchema,
} from './distribution-collection.ts'
import { health } from './distribution-health.ts'
import { immutableSchema, quotasSchema } from './distribution-limits.ts'
import { compatibility, policy, validation } from './distribution-manifests.ts'
import { notifications } from './distribution-notifications.ts'
import { retentionSchema } from './distribution-retention.ts'
import { middleware, proxy, redis, reporting } from './distribution-services.ts'
import { dockerAuthSchema } from './docker-auth.ts'
import {
  anything,
  choice,
  described,
  duration,
  flag,
  integer,
  list,
  optional,
  path,
  secret,
  section,
  seldom,
  text,
  texts,
} from './schema.ts'

/**
 * The format of distribution's `config.yml`, versions 2 and 3, and Berth's own keys in it (marked as such).
 * What happens with the keys that Berth knows without carrying them out is in `distribution-status.ts`.
 */

const tls = section(
  {
    certificate: path('PEM file with the certificate and its intermediates'),
    key: path('PEM file with the private key'),
    clientcas: texts('PEM files of the authorities that sign client certificates'),
    clientauth: optional(
      z.enum([
        'request-client-cert',
        'require-any-client-cert',
        'verify-client-cert-if-given',
        'require-and-verify-client-cert',
      ]),
      'How client certificates are asked for; require-and-verify-client-cert where clientcas is given',
    ),
    minimumtls: choice(['tls1.0', 'tls1.1', 'tls1.2', 'tls1.3'], 'tls1.2', 'Least version of TLS'),
    ciphersuites: texts('Cipher suites of TLS 1.2'),
    letsencrypt: section(
      {
        cachefile: path('Folder of the account key and the certificate, in the data directory unless told'),
        email: text('Address that the authority writes to'),
        hosts: texts('Names that the certificate is for'),
        directoryurl: text('URL of another ACME authority'),
        directoryca: path("Own key: PEM file of the authority of that server's own certificate"),
        httpaddr: text('Own key: address at which the authority asks (HTTP-01); default :80'),
      },
      'A certificate by ACME',
    ),
    auto: flag(false, "Own key: a certificate of Berth's own authority, with every name of this machine"),
    names: texts('Own key: further names and addresses for it'),
  },
  'HTTPS',
)

const http = section(
  {
    addr: text('Address to listen on: HOST:PORT, or the path of a unix socket'),
    net: choice(['tcp', 'unix'], 'tcp', 'Kind of the address'),
    prefix: text('Path before /v2/'),
    host: text('External base URL, which beats what requests say'),
    secret: secret('Shared secret of the replicas; upload URLs need none here'),
    relativeurls: flag(false, 'Relative URLs in Location'),
    draintimeout: duration('30s', 'How long running requests may go on when the server stops'),
    tls,
    headers: described(z._default(z.record(z.string(), z.array(z.string())), {}), 'Headers added to every response'),
    debug: section(
      {
        addr: text('HOST:PORT of the debug server, which asks nobody who he is; none is started without it'),
        prometheus: section(
          {
            enabled: flag(false, 'Serve metrics there'),
            path: described(z._default(z.string(), '/metrics'), 'Their path'),
          },
          'Metrics',
        ),
      },
      'Debug server: health, metrics, probes',
    ),
    http2: section(
      { disabled: flag(false, 'Only HTTP/1.1 over TLS, which is what Berth serves in any case') },
      'HTTP/2',
    ),
    h2c: section({ enabled: flag(false, 'HTTP/2 without TLS') }, 'HTTP/2 without TLS'),
    trustedproxies: texts('Own key: CIDR blocks whose X-Forwarded-For is believed'),
  },
  'The listener',
)

const driverNames = {
  inmemory: 'Memory alone',
  s3: "Amazon's S3, and what speaks like it",
  s3aws: 'Another name of s3',
  azure: 'Azure Blob Storage',
  gcs: 'Google Cloud Storage',
  swift: 'OpenStack Swift (registry 2)',
  oss: 'Alibaba Cloud OSS (registry 2)',
}
const drivers = Object.fromEntries(Object.entries(driverNames).map(([name, doc]) => [name, anything(doc)]))

const storage = section(
  {
    filesystem: section(
      {
        rootdirectory: path('Root of the stored data'),
        maxthreads: anything('Threads of the driver'),
      },
      'Files below one directory',
    ),
    ...drivers,
    delete: section({ enabled: flag(false, 'Manifests, tags and blobs may be deleted') }, 'Deletion'),
    redirect: section(
      { disable: flag(false, 'Never send clients to the storage itself; a filesystem has nowhere to send them') },
      'Redirects',
    ),
    cache: section(
      {
        blobdescriptor: text('Kind of the cache: inmemory, which is always there'),
        blobdescriptorsize: optional(
          z.number().int(),
          'Blobs that the cache in memory holds, at most 1000000 (as 0 or less); 20000 when it is not given',
        ),
        layerinfo: text('Old name of blobdescriptor'),
      },
      'What is remembered of blobs',
    ),
    tag: section({ concurrencylimit: anything('Parallel reads of a tag lookup') }, 'Tags'),
    maintenance: section(
      {
        uploadpurging: uploadPurgingSchema,
        readonly: section({ enabled: flag(false, 'Refuse every write') }, 'Read-only mode'),
      },
      'Maintenance',
    ),
  },
  'Where the data is',
)

const log = section(
  {
    level: text('error, warn, info or debug'),
    formatter: choice(['text', 'json', 'logstash'], 'text', 'Form of a line'),
    fields: described(z._default(z.record(z.string(), z.unknown()), {}), 'Fields added to every line'),
    accesslog: section({ disabled: flag(false, "No line per request in Apache's form") }, 'Access log'),
    requests: section(
      { disabled: flag(false, 'No line per request in the log itself ("response completed")') },
      'Own section: requests in the log',
    ),
    reportcaller: flag(false, 'Add file and function to each line'),
    hooks: list(
      () =>
        z.object({
          disabled: flag(false, 'Do not use this hook'),
          type: text('Only mail'),
          levels: texts('Levels that are mailed: error, warn, info, debug'),
          options: z.optional(
            z.object({
              smtp: z
                .object({
                  addr: text('HOST:PORT of the mail server; port 465 is TLS from the start, others take STARTTLS'),
                  username: text('User'),
                  password: secret('Password'),
                  insecure: flag(false, 'Do not check the certificate of the mail server'),
                })
                .optional(),
              from: text('Sender'),
              to: texts('Receivers'),
            }),
          ),
        }),
      'Mails about log lines',
    ),
  },
  'Log',
)

export const distributionSchema = z.object({
  version: text('Version of the format: 0.1'),
  log,
  loglevel: text('Old name of log.level'),
  storage,
  auth,
  middleware,
  reporting,
  http,
  notifications,
  redis,
  health,
  catalog: section(
    { maxentries: integer(1000, 'Most repositories in a page; 0 or less for 1000') },
    'Pages of /v2/_catalog',
  ),
  tags: section({ maxtags: integer(1000, 'Most tags in a page; 0 for 1000') }, 'Pages of /v2/NAME/tags/list'),
  proxy,
  compatibility,
  validation,
  policy,
  metadata: section(
    { path: path('Folder of the database, where it is not the data directory') },
    'Own section: database',
  ),
  gc: gcSchema,
  trash: trashSchema,
  space: spaceSchema,
  backup: backupSchema,
  verify: verifySchema,
  immutable: immutableSchema,
  retention: retentionSchema,
  quotas: quotasSchema,
  uploads: section(
    {
      chunkminlength: described(
        z._default(z.number().int().min(0), 0),
        'Least bytes of a chunk that clients are told; 0 tells none',
      ),
    },
    'Own section: uploads',
  ),
  tokenserver: seldom(dockerAuthSchema, "Own section: the token server, in docker_auth's keys"),
})

export type Distribution = z.output<typeof distributionSchema>

/** Fields that Go code calls otherwise than the YAML key, upper-cased, as REGISTRY_* names them in the originals. */
export const goFieldNames: Readonly<Record<string, string>> = {
  'notifications.events': 'EVENTCONFIG',
  'health.file': 'FILECHECKERS',
  'health.http': 'HTTPCHECKERS',
  'health.tcp': 'TCPCHECKERS',
  'log.hooks[].options': 'MAILOPTIONS',
  'compatibility.schema1.signingkeyfile': 'TRUSTKEY',
}

/** Structs that Go embeds in another: their name may stand in a variable or be left out (REGISTRY_REDIS_OPTIONS_DB). */
export const embeddedNames: Readonly<Record<string, string>> = { redis: 'OPTIONS' }
