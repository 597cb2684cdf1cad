import { afterAll, beforeAll, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type OidcProvider, startOidcProvider } from '../../src/auth/oidc-provider.fixture.ts'
import { createBrowser } from '../../src/http/sign-in/browser.fixture.ts'
import { logInAt } from '../../src/http/sign-in/oidc.fixture.ts'
import { freePort } from '../free-port.ts'
import { must, run } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { ask } from './exchange.ts'
import { basic, hashOf, within } from './live-server.ts'
import { formsOf, leaksIn } from './secret-forms.ts'

const SERVICE = 'Berth'

/** Each with characters that base64, URLs and JSON spell otherwise. */
const word = (name: string) => `${name}&s3cret+"${name}% 1`
const SECRETS: Record<string, string> = Object.fromEntries(
  [
    ...['static', 'htpasswd', 'database', 'changed', 'refused', 'short', 'external', 'wrong', 'guess', 'query', 'form'],
    ...['bearer', 'basic', 'cookie', 'code', 'state', 'garbage', 'scope', 'referer', 'sql', 'mongo', 'client', 'bind'],
    ...['own', 'unknown', 'registry'],
  ].map((name) => [name, word(name)]),
)
const secret = (name: string): string => SECRETS[name] ?? ''

let folder: string
let data: string
let authConfig: string
let berth: Berth
let port: number
let ldap: Server
let provider: OidcProvider
const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' }
const JSON_BODY = { 'Content-Type': 'application/json' }
const formOf = (fields: Record<string, string>) => String(new URLSearchParams({ service: SERVICE, ...fields }))

/** Knows nobody: every bind is refused (RFC 4511 section 4.2.2, invalidCredentials). */
async function startRefusingLdap(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (request: Buffer) => {
      const id = request.at(4) ?? 1
      socket.write(Buffer.from([0x30, 0x0c, 0x02, 0x01, id, 0x61, 0x07, 0x0a, 0x01, 0x31, 0x04, 0x00, 0x04, 0x00]))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

const text = (value: string) => JSON.stringify(value)
/** Sources that nobody answers for: whoever signs up while one is away might take a name that somebody there has. */
const deadSources = () =>
  [
    'ldap_auth:',
    `  addr: 127.0.0.1:${portOf(ldap)}`,
    '  base: dc=example,dc=org',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of the configuration
    '  filter: (uid=${account})',
    '  bind_dn: cn=reader,dc=example,dc=org',
    `  bind_password_file: ${folder}/bind-password`,
    '  timeout: 1s',
    'mongo_auth:',
    '  dial_info:',
    `    {addrs: ["127.0.0.1:1"], timeout: 1s, database: auth, username: reader, password: ${text(secret('mongo'))}}`,
    '  collection: users',
    'xorm_auth:',
    '  database_type: postgres',
    `  conn_string: ${text(`postgres://reader:${encodeURIComponent(secret('sql'))}@127.0.0.1:1/auth?sslmode=disable`)}`,
  ].join('\n')

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-secrets-'))
  data = join(folder, 'data')
  authConfig = join(folder, 'auth_config.yml')
  port = await freePort()
  ldap = await startRefusingLdap()
  provider = await startOidcProvider({
    clientId: 'berth',
    clientSecret: secret('client'),
    redirectUris: [`http://127.0.0.1:${port}/oidc_auth`],
    people: { olga: { email: 'olga@example.com', email_verified: true } },
  })
  const script = join(folder, 'ext_auth.sh')
  writeFileSync(script, '#!/bin/sh\nread line\necho "debug: $line" >&2\ncase $line in eve*) exit 0;; esac\nexit 2\n')
  chmodSync(script, 0o755)
  writeFileSync(join(folder, 'bind-password'), secret('bind'))
  writeFileSync(join(folder, 'htpasswd'), `hank:${await hashOf(secret('htpasswd'))}\n`)
  writeFileSync(
    authConfig,
    [
      'server: {addr: "127.0.0.1:0"}',
      'token: {issuer: Berth, expiration: 900}',
      'accounts: true',
      'throttle: {peraddress: 1000}',
      `users: {ann: {password: "${await hashOf(secret('static'))}"}}`,
      `htpasswd: {path: "${folder}/htpasswd"}`,
      `ext_auth: {command: "${script}"}`,
      'oidc_auth:',
      `  issuer: ${provider.issuer}`,
      `  redirect_url: http://127.0.0.1:${port}/oidc_auth`,
      '  client_id: berth',
      `  client_secret: ${text(secret('client'))}`,
      'acl: [{match: {account: "/.+/"}, actions: ["*"]}]',
    ].join('\n'),
  )
  berth = await startBerth({
    args: ['--auth-config', authConfig, '--addr', `127.0.0.1:${port}`],
    env: { REGISTRY_LOG_LEVEL: 'debug' },
    dataDirectory: data,
    listeners: 2,
  })
}, 180_000)
afterAll(async () => {
  await berth?.dispose()
  ldap?.close()
  await provider?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The status of a request that carries secrets; its answer, where that holds new ones. */
async function send(method: string, path: string, headers: Record<string, string> = {}, body?: string) {
  const answer = await ask(port, method, path, { headers, ...(body === undefined ? {} : { body }) })
  return { status: answer.status, text: answer.text }
}

function field(text: string, name: string): string {
  const value = (JSON.parse(text) as Record<string, unknown>)[name]
  if (typeof value !== 'string' || value === '') throw new Error(`no ${name} in ${text}`)
  return value
}

/** Logs in everywhere, rightly and wrongly, in every way that a client may think of; new secrets are added to SECRETS. */
async function useEverything(): Promise<void> {
  const seen = async (name: string, expected: number, work: ReturnType<typeof send>) => {
    const { status, text } = await work
    expect({ name, status, text: status === expected ? '' : text }).toEqual({ name, status: expected, text: '' })
    return text
  }
  const TOKEN = `/auth?service=${SERVICE}&scope=repository:app:pull,push`
  SECRETS.admin = readFileSync(join(data, 'berth-admin-password'), 'utf8').trim()
  const admin = () => basic('admin', secret('admin'))

  // Right ones, from each source.
  const issued = await seen('static', 200, send('GET', TOKEN, basic('ann', secret('static'))))
  SECRETS.jwt = field(issued, 'token')
  await seen('htpasswd', 200, send('GET', TOKEN, basic('hank', secret('htpasswd'))))
  await seen('generated', 200, send('GET', TOKEN, admin()))
  await seen('external', 200, send('GET', TOKEN, basic('eve', secret('external'))))
  const user = JSON.stringify({ name: 'dora', password: secret('database') })
  await seen('new user', 201, send('POST', '/api/v1/users', { ...admin(), ...JSON_BODY }, user))
  await seen('database', 200, send('GET', TOKEN, basic('dora', secret('database'))))
  const change = JSON.stringify({ oldPassword: secret('database'), newPassword: secret('changed') })
  const dora = () => basic('dora', secret('changed'))
  const before = basic('dora', secret('database'))
  await seen('own password', 204, send('PUT', '/api/v1/me/password', { ...before, ...JSON_BODY }, change))

  // What stands for a password.
  const form = { username: 'dora', password: secret('changed'), grant_type: 'password', offline_token: 'true' }
  const offline = await seen('refresh', 200, send('POST', '/auth', FORM, formOf({ ...form, client_id: 'docker' })))
  SECRETS.refresh = field(offline, 'refresh_token')
  const refresh = { grant_type: 'refresh_token', refresh_token: SECRETS.refresh }
  await seen('refreshed', 200, send('POST', '/auth', FORM, formOf(refresh)))
  await seen('refreshed by the URL', 200, send('POST', `/auth?${formOf(refresh)}`, FORM, ''))
  const made = JSON.stringify({ name: 'laptop' })
  SECRETS.personal = field(
    await seen('token', 201, send('POST', '/api/v1/me/tokens', { ...dora(), ...JSON_BODY }, made)),
    'secret',
  )
  await seen('token for a password', 200, send('GET', TOKEN, basic('dora', SECRETS.personal)))
  await seen('token at the API', 200, send('GET', '/api/v1/me', basic('dora', SECRETS.personal)))
  const robot = JSON.stringify({ name: 'robot-ci', grants: ['repository:app:pull'] })
  await seen('robot', 201, send('POST', '/api/v1/robots', { ...admin(), ...JSON_BODY }, robot))
  const robotToken = send('POST', '/api/v1/robots/robot-ci/tokens', { ...admin(), ...JSON_BODY }, made)
  SECRETS.robot = field(await seen('robot token', 201, robotToken), 'secret')
  await seen('robot login', 200, send('GET', TOKEN, basic('robot-ci', SECRETS.robot)))
  await seen('registry', 200, send('GET', '/v2/', { Authorization: `Bearer ${SECRETS.jwt}` }))

  // Wrong ones.
  await seen('wrong', 401, send('GET', TOKEN, basic('ann', secret('wrong'))))
  await seen('wrong form', 401, send('POST', '/auth', FORM, formOf({ username: 'dora', password: secret('form') })))
  await seen('unknown', 401, send('GET', TOKEN, basic('nobody', secret('unknown'))))
  await seen('at the API', 401, send('GET', '/api/v1/users', basic('dora', secret('guess'))))
  // A wait that is over on a machine that stood still is twice as long the next time.
  let guessed = 401
  for (let i = 0; i < 30 && guessed === 401; i++)
    guessed = (await send('GET', TOKEN, basic('hank', `${secret('guess')}${i}`))).status
  expect(guessed).toBe(429)
  await seen('Basic at the registry', 401, send('GET', '/v2/', basic('ann', secret('registry'))))
  await seen('half a token', 401, send('GET', '/v2/', { Authorization: `Bearer ${SECRETS.jwt.slice(0, -3)}xyz` }))
  await seen(
    'no token',
    401,
    send('GET', '/v2/', { Authorization: `Bearer ${Buffer.from(secret('bearer')).toString('base64')}` }),
  )
  const damaged = SECRETS.refresh.slice(0, -1)
  await seen('no refresh token', 401, send('POST', '/auth', FORM, formOf({ ...refresh, refresh_token: damaged })))

  // In the wrong places, and in requests that are wrong.
  const query = formOf({ account: 'ann', username: 'ann', password: secret('query'), access_token: SECRETS.jwt })
  for (const path of ['/auth', '/auth/token', '/v2/', '/api/v1/me', '/nothing', '/oidc_auth']) {
    for (const method of ['GET', 'POST', 'PUT'])
      await send(method, `${path}?${query}`, {}, method === 'GET' ? undefined : '')
  }
  await send(
    'GET',
    `/auth?p%61ssword=${encodeURIComponent(secret('query'))}&client_secret=${encodeURIComponent(secret('query'))}`,
  )
  await send('GET', TOKEN, { Referer: `https://x/?password=${encodeURIComponent(secret('referer'))}` })
  await send('GET', TOKEN, { Authorization: `Basic ${Buffer.from(secret('basic')).toString('base64')}` })
  await send('GET', TOKEN, { Authorization: `Basic ${encodeURIComponent(secret('basic'))}` })
  await send('GET', TOKEN, {
    Authorization: secret('basic'),
    Cookie: `berth-sign-in=${encodeURIComponent(secret('cookie'))}`,
  })
  await send('POST', '/auth', JSON_BODY, JSON.stringify({ username: 'ann', password: secret('form') }))
  await send('POST', '/auth?scope=bad', FORM, formOf({ username: 'ann', password: secret('scope') }))
  await send(
    'POST',
    '/auth',
    { ...FORM, ...basic('ann', secret('static')) },
    formOf({ account: 'bob', password: secret('form') }),
  )
  await send(
    'POST',
    '/api/v1/users',
    { ...admin(), ...JSON_BODY },
    `{"name": "x", "password": "${encodeURIComponent(secret('garbage'))}"`,
  )
  const refusals = [
    { name: 'Bad Name', password: secret('refused') },
    { name: 'erin', password: secret('refused').repeat(5) },
    { name: 'dora', password: secret('refused') },
    { name: 'erin', password: secret('refused'), [secret('refused')]: 1 },
    { name: 'erin', password: { secret: secret('refused') } },
  ]
  for (const refused of refusals) {
    const { status } = await send('POST', '/api/v1/users', { ...admin(), ...JSON_BODY }, JSON.stringify(refused))
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
  }
  const wrongChange = JSON.stringify({ oldPassword: secret('own'), newPassword: secret('short') })
  expect((await send('PUT', '/api/v1/me/password', { ...dora(), ...JSON_BODY }, wrongChange)).status).toBe(400)
  const old = await ask(port, 'GET', TOKEN, {
    version: 'HTTP/1.0',
    headers: { Host: [], ...basic('ann', secret('wrong')) },
  })
  expect(old.status).toBe(401)

  await signIn()
  // Last, for then nobody new can be told from somebody there.
  writeFileSync(authConfig, `${readFileSync(authConfig, 'utf8')}\n${deadSources()}`)
  const isInForce = (log: string) => log.includes('was read again and is in force')
  await within('sources that are away', () => berth.log(), isInForce)
  await seen('nobody can tell', 503, send('GET', TOKEN, basic('nobody', secret('unknown'))))
}

async function signIn(): Promise<void> {
  const base = `http://127.0.0.1:${port}/oidc_auth`
  const browser = createBrowser()
  const isCallback = (url: string) => url.startsWith(`${base}?`) && !url.includes('start=')
  const callback = await logInAt({ start: `${base}?start=1`, isCallback }, browser, 'olga')
  const { searchParams } = new URL(callback)
  SECRETS.oidcCode = searchParams.get('code') ?? ''
  SECRETS.oidcState = searchParams.get('state') ?? ''
  const page = await browser.visit(callback)
  const token = /\bberth_p[0-9A-Za-z]{49}\b/.exec(page.text)?.[0]
  expect({ status: page.status, token: typeof token }).toEqual({ status: 200, token: 'string' })
  SECRETS.signedIn = token ?? ''
  const login = await send('GET', `/auth?service=${SERVICE}`, basic('olga@example.com', secret('signedIn')))
  expect(login.status).toBe(200)
  // The code again, and codes that nobody gave out.
  await browser.visit(callback)
  await send('GET', `/oidc_auth?${formOf({ code: secret('code'), state: secret('state') })}`)
  await send('GET', `/oidc_auth?${formOf({ error: 'access_denied', state: secret('state') })}`)
}

/** Everything that the database wrote, with its log of changes. */
function databaseText(): string {
  return readdirSync(data)
    .filter((name) => name.startsWith('berth.db'))
    .map((name) => readFileSync(join(data, name), 'latin1'))
    .join('')
}

test('the search finds a secret in each of its forms', () => {
  const value = word('x')
  const { Authorization } = basic('ann', value)
  for (const text of [
    value,
    JSON.stringify({ value }),
    `/?x=${encodeURIComponent(value)}`,
    formOf({ x: value }),
    Authorization,
  ]) {
    expect({ text, found: leaksIn(`before ${text} after`, { value }).length > 0 }).toEqual({ text, found: true })
  }
  for (const user of ['a', 'ab', 'abc', 'abcd']) {
    expect(leaksIn(basic(user, value).Authorization ?? '', { value })).not.toEqual([])
  }
  expect(formsOf(value).every((form) => form.length >= 8)).toBe(true)
})

test('no secret is in the log, in the audit file or in the database, whatever was done with it', async () => {
  await useEverything()
  process.kill(berth.pid, 'SIGHUP')
  await Bun.sleep(500)
  const whileRunning = databaseText()
  expect(await berth.stop()).toBe(0)

  const log = berth.log()
  const audit = readFileSync(join(data, 'audit.log'), 'utf8')
  // What is searched has what was done in it.
  for (const text of [
    'GET /auth?',
    'password=***',
    'POST /api/v1/users',
    'wrote to its error output',
    'error authorizing context',
  ])
    expect(log).toContain(text)
  for (const account of ['ann', 'hank', 'dora', 'eve', 'robot-ci', 'olga@example.com', 'admin', 'nobody']) {
    expect(audit).toContain(`"account":"${account}"`)
    if (account !== 'eve') expect(databaseText()).toContain(account)
  }
  expect(Object.keys(SECRETS).filter((name) => secret(name).length < 12)).toEqual([])
  expect(leaksIn(log, SECRETS)).toEqual([])
  expect(leaksIn(audit, SECRETS)).toEqual([])
  expect(leaksIn(`${whileRunning}${databaseText()}`, SECRETS)).toEqual([])
  // Not their hashes either, where people read; and no key.
  for (const text of [log, audit]) {
    expect(text).not.toMatch(/\$2[aby]\$\d\d\$|\$argon2|PRIVATE KEY/)
  }
  expect(databaseText()).toMatch(/\$2b\$10\$/)
}, 180_000)

test('`berth config print` masks what stands in the files', async () => {
  const command = [BERTH, 'config', 'print', '--auth-config', authConfig, '--data', data]
  const shown = await must(command, { cwd: folder })
  for (const key of ['client_secret', 'conn_string', 'password']) expect(shown).toMatch(new RegExp(`${key}: "?\\*{8}`))
  expect(leaksIn(shown, SECRETS)).toEqual([])
  expect(shown).not.toMatch(/\$2[aby]\$/)
  const strict = await run([...command, '--compat', 'strict'], { cwd: folder })
  expect(leaksIn(`${strict.stdout}${strict.stderr}`, SECRETS)).toEqual([])
})

test('a mistake in a file is reported without the secrets around it', async () => {
  const broken = join(folder, 'broken.yml')
  const good = readFileSync(authConfig, 'utf8')
  const cases: [string, number][] = [
    [good.replace('client_secret: ', 'client_secret: ['), 1],
    [good.replace('client_secret: "', 'client_secret: ["'), 1],
    [good.replace('password: "$2', 'password: "$9'), 0],
    [good.replace('database_type: postgres', 'database_type: oracle'), 1],
    [good.replace('conn_string: "', 'conn_string: "?').replace('client_id:', 'clientid:'), 1],
    [good.slice(0, good.indexOf('client_secret') + 30), 1],
  ]
  for (const [text, expected] of cases) {
    writeFileSync(broken, text)
    const { code, stdout, stderr } = await run([BERTH, 'config', 'check', '--auth-config', broken, '--data', data], {
      cwd: folder,
    })
    expect({ code, isNamed: `${stdout}${stderr}`.includes(`${broken}:`) }).toEqual({ code: expected, isNamed: true })
    expect(leaksIn(`${stdout}${stderr}`, SECRETS)).toEqual([])
    expect(`${stdout}${stderr}`).not.toMatch(/\$2[aby]\$\d\d\$/)
  }
}, 180_000)
