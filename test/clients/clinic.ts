import { expect } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Authority, makeAuthority } from '../authority.ts'
import { freePort } from '../free-port.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { type DebianRegistry, serveConfigured } from './debian-registry.ts'
import { USERS } from './first-document.ts'
import { selfSigned, type TokenPair } from './token-certificates.ts'
import { openVerbShell } from './verb-shell.ts'

/** What `berth doctor --format json` found. */
export interface Finding {
  severity: 'ok' | 'note' | 'warning' | 'fault'
  id: string
  about: string
  message: string
  fix: string[]
}

export interface Examined {
  code: number
  error: string
  findings: Finding[]
}

/** Files of a registry and its token server before either is started, as people write them. */
export interface Plan {
  /** Name by which clients call both: one of this machine's that docker takes for that of another machine (0.0.0.0), or localhost. */
  host: string
  registry: string
  realm: string
  configFile: string
  authFile: string
  pair: TokenPair
}

export interface PlanOptions {
  /** TLS of the registry, and of the token server where `realm` is not given. */
  tls?: { certificate: string; key: string } | undefined
  host?: string
  realm?: string
  /** Lines of `auth.token` in the place of those that are right: `issuer: Other`. */
  token?: Record<string, string>
  /** Keys of the token server's `token` in the place of those that are right. */
  signing?: Record<string, string>
  /** Lines of `acl`. */
  acl?: string
  /** Of the registry's, at the end. */
  more?: string
}

export interface Clinic {
  folder: string
  /** Folder with the `etc/docker` of the client's machine. */
  root: string
  authority: Authority
  write(name: string, text: string): string
  plan(options?: PlanOptions): Promise<Plan>
  startRegistry(plan: Plan): Promise<DebianRegistry>
  startTokenServer(plan: Plan): Promise<Berth>
  /** Both; a token server of the same kind serves until the end. */
  start(options?: PlanOptions): Promise<Plan & { log(): string }>
  own<T extends { dispose(): Promise<void> }>(part: T): T
  doctor(args: readonly string[], password?: string): Promise<Examined>
  /** As `admin`, of the documents. */
  asAdmin(args: readonly string[]): Promise<Examined>
  /** Ends what was started since the last time. */
  clear(): Promise<void>
  dispose(): Promise<void>
}

export const ADMIN = ['--user', 'admin', '--password-stdin'] as const

/** A place where registries are made ill on purpose. */
export async function openClinic(): Promise<Clinic> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-clinic-'))
  const root = join(folder, 'client')
  mkdirSync(root)
  const authority = makeAuthority(join(folder, 'authority'), 'example-authority')
  const pair = await selfSigned(join(folder, 'signing'), 'RSA 2048')
  const shell = openVerbShell(folder)
  chmodSync(pair.key, 0o600)
  let parts: { dispose(): Promise<void> }[] = []
  let count = 0
  const servers = new Map<string, { plan: Plan; server: Berth }>()

  const write = (name: string, text: string) => {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const own = <T extends { dispose(): Promise<void> }>(part: T): T => {
    parts.push(part)
    return part
  }
  const clear = async () => {
    for (const part of parts.reverse()) await part.dispose()
    parts = []
    rmSync(join(root, 'etc'), { recursive: true, force: true })
  }

  async function makePlan(options: PlanOptions = {}): Promise<Plan> {
    const { tls, host = 'localhost', token = {}, signing = {}, more = '' } = options
    const [port, tokenPort] = [await freePort(), await freePort()]
    const realm = options.realm ?? `${tls === undefined ? 'http' : 'https'}://${host}:${tokenPort}/auth`
    const place = `set-up-${++count}`
    const keys = { realm, service: 'Docker registry', issuer: 'Auth Service', rootcertbundle: pair.bundle, ...token }
    const configFile = write(
      `${place}/config.yml`,
      `version: 0.1
storage:
  filesystem:
    rootdirectory: ${join(folder, place, 'data')}
http:
  addr: 127.0.0.1:${port}
${tls === undefined ? '' : `  tls:\n    certificate: ${tls.certificate}\n    key: ${tls.key}\n`}auth:
  token:
${lines(keys, '    ')}${more}`,
    )
    const signed = {
      issuer: 'Auth Service',
      expiration: '900',
      certificate: pair.certificate,
      key: pair.key,
      ...signing,
    }
    const isServed = tls !== undefined && realm.startsWith('https:')
    const authFile = write(
      `${place}/auth_config.yml`,
      `server:
  addr: 127.0.0.1:${URL.parse(realm)?.port || tokenPort}
${isServed ? `  certificate: ${tls.certificate}\n  key: ${tls.key}\n` : ''}token:
${lines(signed, '  ')}users:
  admin:
    password: "${USERS.admin.hash}"
  user01:
    password: "${USERS.user01.hash}"
acl:
${options.acl ?? '  - match: {account: admin}\n    actions: ["*"]\n'}`,
    )
    return { host, registry: `${host}:${port}`, realm, configFile, authFile, pair }
  }

  const urlOf = ({ registry, configFile }: Plan) => {
    const isTls = /^ {2}tls:/m.test(readFileSync(configFile, 'utf8'))
    return `${isTls ? 'https' : 'http'}://127.0.0.1:${registry.split(':').at(-1)}`
  }
  const startRegistry = async (made: Plan) => own(await serveConfigured(made.configFile, urlOf(made)))
  const startServer = (made: Plan) =>
    startBerth({ verb: 'auth', args: [made.authFile, '--data', join(dirname(made.authFile), 'auth-data')] })
  const startTokenServer = async (made: Plan) => own(await startServer(made))

  async function doctor(args: readonly string[], password?: string): Promise<Examined> {
    const all = ['doctor', ...args, '--root', root, '--format', 'json']
    const { out, error, code } =
      password === undefined ? await shell.run(...all) : await shell.runWith(password, ...all)
    if (out === '') return { code, error, findings: [] }
    const { findings, healthy } = JSON.parse(out)
    expect(code).toBe(healthy ? 0 : 1)
    return { code, error, findings }
  }

  return {
    folder,
    root,
    authority,
    write,
    plan: makePlan,
    startRegistry,
    startTokenServer,
    async start(options = {}) {
      const { tls, host, signing, acl, realm } = options
      const kind = JSON.stringify({ tls, host, signing, acl, realm })
      let served = servers.get(kind)
      if (served === undefined) {
        const plan = await makePlan(options)
        served = { plan, server: await startServer(plan) }
        servers.set(kind, served)
      }
      const made = { ...(await makePlan({ ...options, realm: served.plan.realm })), authFile: served.plan.authFile }
      const { log } = await startRegistry(made)
      return { ...made, log }
    },
    own,
    doctor,
    asAdmin: (args) => doctor([...args, ...ADMIN], USERS.admin.password),
    clear,
    async dispose() {
      await clear()
      for (const { server } of servers.values()) await server.dispose()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function lines(keys: Record<string, string>, indent: string): string {
  return Object.entries(keys)
    .map(([key, value]) => `${indent}${key}: ${value}\n`)
    .join('')
}

/** The finding of that id, which must be there once, of that severity, and say so. Answers its remedies. */
export function expectFound(
  { findings }: Examined,
  wanted: Pick<Finding, 'severity' | 'id'> & { says: RegExp; about?: string },
): string[] {
  const found = findings.filter(({ id }) => id === wanted.id)
  expect(found.map(({ severity }) => severity)).toEqual([wanted.severity])
  expect(found[0]?.message).toMatch(wanted.says)
  if (wanted.about !== undefined) expect(found[0]?.about).toBe(wanted.about)
  return found[0]?.fix ?? []
}

/** Nothing is wrong but that. */
export function expectOnly({ findings }: Examined, ...ids: string[]): void {
  const wrong = findings.filter(({ severity }) => severity === 'warning' || severity === 'fault')
  expect(wrong.map(({ id }) => id)).toEqual(ids)
}
