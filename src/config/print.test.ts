import { expect, test } from 'bun:test'
import { loadText } from './fixtures/load-text.ts'
import { effectiveValues, printEffective } from './print.ts'

const hash = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'
const secrets = [
  's3cret-a',
  's3cret-b',
  's3cret-c',
  's3cret-d',
  's3cret-e',
  's3cret-f',
  's3cret-g',
  's3cret-h',
  's3cret-i',
  's3cret-j',
  hash,
]

const file = `version: 0.1
http:
  secret: s3cret-a
  headers: {Authorization: [s3cret-g]}
storage:
  filesystem: {rootdirectory: /d}
  s3: {accesskey: s3cret-b, bucket: visible}
redis: {password: s3cret-c}
proxy: {remoteurl: "https://u:s3cret-d@r.example/"}
notifications:
  endpoints:
    - {name: n, url: "https://u:s3cret-h@r.example/hook?token=s3cret-i&channel=visible&sig=s3cret-j#key=fragment", timeout: 1s}
log: {fields: {api_key: s3cret-f}}
tokenserver:
  users: {admin: {password: ${hash}}, secret: {password: x, labels: {group: [visible]}}}
  mongo_auth: {dial_info: {password: s3cret-e, addrs: [visible]}}
`

test('each value says where it came from', () => {
  const { effective } = loadText({ env: { REGISTRY_LOG_LEVEL: 'debug' }, flags: { addr: ':1' } })
  expect(printEffective(effective)).toBe(`version: "0.1" # default
log:
  level: debug # REGISTRY_LOG_LEVEL
  formatter: text # default
  accesslog:
    disabled: false # default
  requests:
    disabled: false # default
  reportcaller: false # default
storage:
  filesystem:
    rootdirectory: /var/lib/registry # default
  delete:
    enabled: true # default
  redirect:
    disable: false # default
  maintenance:
    uploadpurging:
      enabled: true # default
      age: 168h # default
      interval: 24h # default
      dryrun: false # default
    readonly:
      enabled: false # default
auth:
  token:
    service: Berth # default
    issuer: Berth # default
    autoredirect: false # default
http:
  addr: :1 # --addr
  net: tcp # default
  relativeurls: false # default
  draintimeout: 30s # default
  tls:
    minimumtls: tls1.2 # default
    auto: false # default
  headers:
    X-Content-Type-Options:
      - nosniff # default
  debug:
    prometheus:
      enabled: false # default
      path: /metrics # default
notifications:
  events:
    includereferences: false # default
health:
  storagedriver:
    enabled: false # default
    interval: 10s # default
    threshold: 0 # default
catalog:
  maxentries: 1000 # default
tags:
  maxtags: 1000 # default
validation:
  disabled: false # default
  manifests:
    indexes:
      platforms: all # default
gc:
  enabled: true # default
  delay: 1h # default
  untagged: 168h # default
  interval: 1m # default
  workers: 4 # default
trash:
  window: 168h # default
  minfree: 2GiB # default
space:
  minfree: 256MiB # default
  reserve: 64MiB # default
backup:
  database:
    enabled: true # default
    keep: 3 # default
verify:
  rate: 50MiB # default
  scrub:
    enabled: true # default
    every: 720h # default
    rate: 10MiB # default
  quarantine: 720h # default
retention:
  enabled: true # default
  interval: 1h # default
  expiry:
    enabled: true # default
uploads:
  chunkminlength: 0 # default
`)
})

test('secrets are masked, and nothing else', () => {
  const { effective } = loadText({ file })
  const text = printEffective(effective)
  for (const secret of secrets) expect(text).not.toContain(secret)
  expect(text).toContain('remoteurl: https://u:********@r.example/')
  expect(text).toContain('https://u:********@r.example/hook?token=********&channel=visible&sig=********#key=fragment')
  expect(text.match(/visible/g)).toHaveLength(4)
  expect(text).toMatch(/ {4}secret:\n {6}password: "\*{8}"/)
})

test('secrets of the sources of users are masked, and where they are kept is shown', () => {
  const { effective } = loadText({
    file: `version: 0.1
storage: {filesystem: {}}
tokenserver:
  google_auth: {client_id: visible-1, client_secret: s3cret-a}
  github_auth: {client_id: i, client_secret_file: /visible-2, redis_token_db: {redis_options: {addr: visible-3, password: s3cret-b}}}
  ldap_auth: {bind_password_file: /visible-4}
  mongo_auth: {dial_info: {username: visible-5, password: s3cret-c, password_file: /visible-6}}
  acl_mongo: {dial_info: {password: s3cret-d}}
  xorm_auth: {database_type: visible-7, conn_string: "u:s3cret-e@tcp(h)/d"}
  acl_xorm: {conn_string: "password=s3cret-f"}
  token: {refreshtokens: always, keyid: libtrust}
`,
  })
  const text = printEffective(effective)
  expect(text).not.toContain('s3cret')
  for (let n = 1; n <= 7; n++) expect(text).toContain(`visible-${n}`)
  expect(text).toContain('refreshtokens: always')
})

test('what is printed loads to the same configuration', () => {
  const given =
    'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: {htpasswd: {realm: "yes", path: "1"}}\nhttp: {addr: ":7"}\n'
  const first = loadText({ file: given })
  const second = loadText({ file: printEffective(first.effective) })
  expect(second.problems).toEqual([])
  expect(second.config).toEqual(first.config)
  expect(first.config).toBeDefined()
})

test('problems never show a secret', () => {
  const { problems, warnings } = loadText({ file })
  const text = JSON.stringify([problems, warnings])
  for (const secret of secrets) expect(text).not.toContain(secret)
})

test('the list for programs says the same: each value, where it came from, and no secret', () => {
  const { effective } = loadText({ file, env: { REGISTRY_LOG_LEVEL: 'debug', REGISTRY_LOG_HOOKS: '[]' } })
  const values = effectiveValues(effective)
  const find = (key: string) => values.find((one) => one.key === key)
  expect(find('log.level')).toEqual({ key: 'log.level', value: 'debug', source: 'REGISTRY_LOG_LEVEL' })
  expect(find('log.hooks')).toEqual({ key: 'log.hooks', value: [], source: 'REGISTRY_LOG_HOOKS' })
  expect(find('http.secret')).toEqual({
    key: 'http.secret',
    value: '********',
    source: expect.stringMatching(/\/config\.yml:3$/),
  })
  expect(find('http.net')).toEqual({ key: 'http.net', value: 'tcp', source: 'default' })
  expect(find('tokenserver.mongo_auth.dial_info.addrs[0]')?.value).toBe('visible')
  for (const secret of secrets) expect(JSON.stringify(values)).not.toContain(secret)
  // As many as the other form has comments.
  expect(values).toHaveLength(printEffective(effective).match(/ # /g)?.length ?? 0)
})
