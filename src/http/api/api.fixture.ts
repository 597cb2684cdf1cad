import { ACTOR, openAccounts } from '../../auth/accounts.fixture.ts'
import { UnavailableError } from '../../auth/authenticator.ts'
import { parseBasic } from '../../auth/credentials.ts'
import type { UserRow } from '../../metadata/metadata.ts'
import { undescribed } from '../reference/described.fixture.ts'
import { type AclQuestion, type ApiDeps, type Caller, type CallFrom, createApi, type KeyRotation } from './api.ts'

/** Who is behind which name; the password is `123` for all. */
const CALLERS: Record<string, Caller> = {
  root: { account: 'root', source: 'berth', admin: true },
  jo: { account: 'jo', source: 'berth', admin: false },
  lea: { account: 'lea', source: 'ldap', admin: false },
  'root-token': { account: 'root', source: 'berth', admin: true, token: { limited: false } },
  'jo-token': { account: 'jo', source: 'berth', admin: false, token: { limited: false } },
  'root-limited': { account: 'root', source: 'berth', admin: true, token: { limited: true } },
}

export interface Ask {
  /** Empty: without credentials. */
  as?: string
  body?: unknown
  headers?: Record<string, string>
  from?: CallFrom
}

/** Made once: to hash a password takes a tenth of a second. */
let users: Promise<UserRow[]> | undefined

async function makeUsers(): Promise<UserRow[]> {
  const { accounts, metadata } = openAccounts()
  await accounts.create({ name: 'root', password: '123', admin: true }, ACTOR)
  await accounts.create({ name: 'jo', password: '123' }, ACTOR)
  return await metadata.users.list({ limit: 2 })
}

/** The API on rows in memory, each answer held to its description, with the users root (administrator) and jo, whose password is `123`. */
export async function openApi(more: Partial<ApiDeps> = {}, basePath = '/api/v1') {
  const opened = openAccounts()
  const { accounts, metadata } = opened
  users ??= makeUsers()
  for (const row of await users) await metadata.users.put({ ...row })
  const questions: AclQuestion[] = []
  const rotations: KeyRotation[] = []
  const errors: unknown[] = []
  const deps: ApiDeps = {
    ...opened,
    audit: metadata.audit,
    notifications: undefined,
    snapshots: undefined,
    verification: undefined,
    verifyRate: undefined,
    collection: undefined,
    trash: undefined,
    repositories: undefined,
    trashWindow: undefined,
    immutable: undefined,
    retention: undefined,
    quotas: undefined,
    contents: {
      repositories: async () => [],
      manifests: async () => ({ manifests: [], more: false }),
      tags: async () => [],
      moves: async () => [],
      blobs: async () => [],
    },
    async whoIs(request) {
      const authorization = request.headers.get('authorization')
      if (authorization === null) return 'anonymous'
      const basic = parseBasic(authorization)
      if (basic?.user === 'broken') throw new UnavailableError('authn #1 returned error: the directory does not answer')
      return (basic?.password === '123' ? CALLERS[basic.user] : undefined) ?? 'refused'
    },
    async findAccount(account, source) {
      const known = await accounts.find(account)
      if (known !== undefined && (source === undefined || source === known.source)) return { source: known.source }
      return account === 'max' && source !== 'berth' ? { source: 'static' } : undefined
    },
    async explain(question) {
      questions.push(question)
      const { scope } = question
      const lacks = [{ condition: 'account', wanted: 'root', had: question.account }]
      return {
        source: question.account === 'nobody-here' ? undefined : 'berth',
        granted: scope.actions.filter((action) => action === 'pull'),
        rule: 'auth_config.yml:12',
        trace: [
          { rule: 'auth_config.yml:9', comment: undefined, lacks, actions: [] },
          { rule: 'auth_config.yml:12', comment: 'all may pull', lacks: [], actions: ['pull'] },
        ],
      }
    },
    inForce: () => ({ accounts: true, rules: true }),
    keys: {
      list: async () => [{ id: 'k1', algorithm: 'ES256', state: 'signing', signsFrom: undefined, endsAt: undefined }],
      async rotate(rotation) {
        rotations.push(rotation)
        return { id: 'k2', algorithm: 'RS256', state: 'next', signsFrom: opened.now(), endsAt: undefined }
      },
    },
    log: { error: (_, fields) => errors.push(fields) },
    ...more,
  }
  const api = createApi(deps)

  /** @param what method and path below `/api/v1` */
  async function ask(what: string, { as = 'root', body, headers, from }: Ask = {}) {
    const [method = '', path = ''] = what.split(' ')
    const request = new Request(`http://registry.example:5000${basePath}${path}`, {
      method,
      headers: {
        host: 'registry.example:5000',
        ...(as === '' ? {} : { authorization: `Basic ${btoa(`${as}:123`)}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const response = await api(request, { ...(from ?? { address: '192.0.2.9' }), basePath })
    const text = await response.text()
    const seen = { status: response.status, text, header: (name: string) => response.headers.get(name) ?? undefined }
    const wrong = undescribed(method, `/api/v1${path.split('?', 1)[0]}`, seen)
    if (wrong !== undefined) throw new Error(wrong)
    return { status: response.status, headers: response.headers, text, json: text === '' ? undefined : parse(text) }
  }

  return { ...opened, api, ask, questions, rotations, errors }
}

function parse(text: string): Record<string, unknown> {
  const json: unknown = JSON.parse(text)
  if (typeof json !== 'object' || json === null) throw new Error(`not an object: ${text}`)
  return { ...json }
}
