import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, createApp, systemClock } from '../../src/app.ts'
import { type OidcProvider, startOidcProvider } from '../../src/auth/oidc-provider.fixture.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type Listener, listen } from '../../src/http/listen.ts'
import { createBrowser } from '../../src/http/sign-in/browser.fixture.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { freePort } from '../free-port.ts'

/** A registry whose people sign in with a real OpenID provider. */

const PEOPLE = {
  ann: { email: 'ann@example.com', email_verified: true, groups: ['dev', 'qa'] },
  admin: { email: 'admin', email_verified: true },
}

let folder: string
let provider: OidcProvider
let app: App
let listener: Listener
let port: number

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-sign-in-'))
  // The provider wants to know where it may lead back to before there is a server.
  port = await freePort()
  const redirectUri = `http://127.0.0.1:${port}/oidc_auth`
  provider = await startOidcProvider({
    clientId: 'berth',
    clientSecret: 'client-secret',
    redirectUris: [redirectUri],
    people: PEOPLE,
    inIdToken: true,
  })
  const authFile = join(folder, 'auth_config.yml')
  writeFileSync(
    authFile,
    `server: {addr: "127.0.0.1:0"}
token: {issuer: Berth, expiration: 900}
users: {admin: {password: "$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC"}}
oidc_auth:
  issuer: ${provider.issuer}
  redirect_url: ${redirectUri}
  client_id: berth
  client_secret: client-secret
  labels_claims: [groups]
acl:
  - {match: {labels: {groups: dev}}, actions: [pull, push]}
  - {match: {account: admin}, actions: ["*"]}
`,
  )
  const flags = { addr: `127.0.0.1:${port}`, data: join(folder, 'data') }
  const { config, problems } = loadConfig({ authFile, env: { REGISTRY_AUTH_TOKEN_SERVICE: 'Berth' }, flags })
  if (config === undefined) throw new Error(JSON.stringify(problems))
  const log = createLog({ level: 'error', formatter: 'text', fields: {}, now: Date.now, write: () => {} })
  app = await createApp(config, { ...systemClock, log, onPassword: async () => {} })
  const address = { kind: 'tcp', hostname: '127.0.0.1', port } as const
  listener = await listen({ address, fetch: app.fetch, onError: () => {} })
}, 180_000)

afterAll(async () => {
  await listener.stop(0)
  await app.close()
  await provider.stop()
  rmSync(folder, { recursive: true })
})

/** Signs in as somebody whom the provider knows; resolves to the last page's text. */
async function signIn(person: string): Promise<string> {
  const browser = createBrowser()
  const login = await browser.visit(`${listener.url}/oidc_auth?start=1`)
  const consent = await browser.visit(login.url, { form: { prompt: 'login', login: person, password: 'x' } })
  const done = /\/interaction\//.test(consent.url)
    ? await browser.visit(consent.url, { form: { prompt: 'consent' } })
    : consent
  return done.text
}

async function actionsOf(account: string, password: string): Promise<unknown> {
  const query = 'service=Berth&scope=repository:app:pull,push,delete'
  const headers = { Authorization: `Basic ${btoa(`${account}:${password}`)}` }
  const response = await fetch(`${listener.url}/auth?${query}`, { headers })
  if (response.status !== 200) return response.status
  const { token } = (await response.json()) as { token: string }
  const { access } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  return access[0].actions
}

describe('people who sign in with a browser', () => {
  test('get a token that stands for their password, with the rights of their claims', async () => {
    const page = await signIn('ann')
    const token = /berth_p[0-9A-Za-z]{49}/.exec(page)?.[0] ?? ''
    expect(token).not.toBe('')
    expect(page).toContain('ann@example.com')
    expect(await actionsOf('ann@example.com', token)).toEqual(['pull', 'push'])
    expect(await actionsOf('admin', token)).toBe(401)
    expect(await actionsOf('ann@example.com', 'anything')).toBe(401)
    const rows = await app.control(new Request('http://berth/api/v1/users/ann%40example.com'))
    expect(await rows.json()).toMatchObject({ source: 'oidc', labels: { groups: ['dev', 'qa'] } })
    const disabled = JSON.stringify({ disabled: true })
    const headers = { 'Content-Type': 'application/json' }
    const change = { method: 'PATCH', body: disabled, headers }
    expect((await app.control(new Request('http://berth/api/v1/users/ann%40example.com', change))).status).toBe(200)
    expect(await actionsOf('ann@example.com', token)).toBe(401)
  })

  test('cannot take the name of an account that another source has', async () => {
    const page = await signIn('admin')
    expect(page).toContain('belongs to another account here')
    expect(page).not.toMatch(/berth_p/)
  })
})
