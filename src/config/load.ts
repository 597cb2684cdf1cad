import { checkTree } from './check.ts'
import type { Config, LogConfig, TokenServerConfig } from './config.ts'
import { type Distribution, distributionSchema } from './distribution.ts'
import { statuses } from './distribution-status.ts'
import { applyEnvironment, asType, type Environment, FILE_VARIABLE } from './environment.ts'
import { emptyMap, isGiven, isNull, type MapNode, nodeAt, putAt, scalar, toNode } from './node.ts'
import { createPlaces, type Places } from './places.ts'
import { createFindings, type Findings, type Problem } from './problem.ts'
import { readConfigFile } from './read-file.ts'
import { resolveAuth } from './resolve-auth.ts'
import { resolveHttp } from './resolve-http.ts'
import { resolveLog } from './resolve-log.ts'
import { resolveNotifications } from './resolve-notifications.ts'
import { resolveData, resolveRegistry } from './resolve-registry.ts'
import { DEFAULT_ISSUER, resolveTokenServer } from './resolve-token-server.ts'
import type { UnknownKeyRule } from './unknown-key.ts'

/** What a command line says in place of the configuration. */
export interface Flags {
  addr?: string | undefined
  data?: string | undefined
  /** A certificate of Berth's own authority. */
  tls?: 'auto' | undefined
  /** Names for it, beside those of the configuration. */
  tlsNames?: readonly string[] | undefined
}

export interface LoadInput {
  /** distribution's `config.yml`; REGISTRY_CONFIGURATION_PATH when not given. */
  file?: string | undefined
  /** docker_auth's `auth_config.yml`. */
  authFile?: string | undefined
  env: Environment
  flags: Flags
  /** Refuses unknown keys and variables instead of warning. */
  compat?: 'strict' | undefined
}

export interface Loaded {
  /** What refuses the configuration: all of it, never only the first. */
  problems: Problem[]
  warnings: Problem[]
  /** The raw configuration after files, environment, flags and defaults; `print.ts` shows it. */
  effective: MapNode
  /** Which of the modes it is: no file and no variable, variables alone, or a file. */
  mode: 'bare' | 'environment' | 'file'
}

export type LoadResult = Loaded & {
  /** Undefined when there is a problem. */
  config: Config | undefined
}

export type TokenServerResult = Loaded & {
  /** Whether the operator chose where the database is, so that it will be there again after a restart. */
  dataGiven: boolean
  config: { tokenServer: TokenServerConfig; data: Config['data']; log: LogConfig } | undefined
}

/** Reads files, environment and flags into the configuration of `berth serve`. Never throws: what is wrong is in the result. */
export function loadConfig(input: LoadInput): LoadResult {
  const findings = createFindings()
  const { root, mode, readable } = gather(input, findings, () => true)
  applyFlags(root, input.flags, ['http', 'addr'])
  fillDefaults(root, mode)
  const { raw, places } = check(root, input, findings, readable)
  if (raw === undefined) return finish(undefined, root, mode, findings)
  const registry = resolveRegistry(raw, places)
  const config: Config = {
    ...registry,
    http: resolveHttp(raw.http, registry.data.directory, places),
    notifications: resolveNotifications(raw.notifications, places),
    ...resolveAuth(raw, input.authFile !== undefined, places),
  }
  return finish(config, root, mode, findings)
}

/** Variables that a token server alone heeds; the others are a registry's and are left to it. */
const TOKEN_SERVER_VARIABLE = /^REGISTRY_(TOKENSERVER_|LOG_|LOGLEVEL$|METADATA_|AUTH_ANONYMOUS$)/

/**
 * Reads docker_auth's file for the token server alone (`berth auth`). It has a data directory of its own
 * (`./berth-auth-data` unless a flag says otherwise), because one process owns a data directory. `flags.addr` beats `server.addr`.
 */
export function loadTokenServer(input: Omit<LoadInput, 'file' | 'authFile'> & { authFile: string }): TokenServerResult {
  const findings = createFindings()
  const own = { ...input, env: { ...input.env, [FILE_VARIABLE]: undefined } }
  const { root, readable } = gather(own, findings, (name) => TOKEN_SERVER_VARIABLE.test(name))
  applyFlags(root, input.flags, ['tokenserver', 'server', 'addr'])
  const dataGiven = input.flags.data !== undefined || isGiven(root, ['metadata', 'path'])
  fill(root, ['storage', 'filesystem', 'rootdirectory'], './berth-auth-data')
  const { raw, places } = check(root, input, findings, readable)
  if (raw === undefined) return { ...finish(undefined, root, 'file', findings), dataGiven }
  const anonymous = raw.auth?.anonymous ?? 'none'
  const tokenServer =
    raw.tokenserver && resolveTokenServer(raw.tokenserver, { isFile: true, issuer: undefined, anonymous }, places)
  const config = tokenServer && { tokenServer, data: resolveData(raw, places), log: resolveLog(raw, places) }
  return { ...finish(config, root, 'file', findings), dataGiven }
}

/** The tree of files and variables. `readable` is false when a file could not be read: what it says is then unknown. */
function gather(
  input: Omit<LoadInput, 'flags'>,
  findings: Findings,
  heeds: (name: string) => boolean,
): { root: MapNode; mode: Loaded['mode']; readable: boolean } {
  const rule: UnknownKeyRule = { authFile: undefined, strict: input.compat === 'strict' }
  const file = input.file ?? (input.env[FILE_VARIABLE] || undefined)
  const main = file === undefined ? undefined : readConfigFile(file, [], findings, { ...rule, authFile: undefined })
  const root = main ?? emptyMap({ kind: 'default' })
  if (main !== undefined) checkVersion(main, findings)

  let auth: MapNode | undefined
  if (input.authFile !== undefined) {
    auth = readConfigFile(input.authFile, ['tokenserver'], findings, { ...rule, authFile: input.authFile })
    if (isGiven(root, ['tokenserver'])) {
      const { where } = createPlaces(root, undefined, findings)
      const message = `the token server is described here and in ${input.authFile}`
      findings.problem({ where: where(['tokenserver']), path: 'tokenserver', message, fix: 'Keep one of the two.' })
    }
    if (auth !== undefined) putAt(root, ['tokenserver'], auth)
  }
  normalizeTypes(root)
  const env = Object.fromEntries(Object.entries(input.env).filter(([name]) => heeds(name)))
  const applied = applyEnvironment(root, distributionSchema, env, rule, findings)
  normalizeTypes(root)
  const mode = file !== undefined ? 'file' : applied.length > 0 ? 'environment' : 'bare'
  const readable = (file === undefined || main !== undefined) && (input.authFile === undefined || auth !== undefined)
  return { root, mode, readable }
}

function check(
  root: MapNode,
  input: Pick<LoadInput, 'authFile' | 'compat'>,
  findings: Findings,
  readable: boolean,
): { raw: Distribution | undefined; places: Places } {
  const places = createPlaces(root, input.authFile, findings)
  const rule = { authFile: input.authFile, strict: input.compat === 'strict' }
  const raw = checkTree(distributionSchema, statuses, places, rule)
  // With a file missing, what its keys would have said looks like more mistakes: the file comes first.
  return { raw: readable ? raw : undefined, places }
}

function finish<T>(config: T | undefined, effective: MapNode, mode: Loaded['mode'], { problems, warnings }: Findings) {
  if (config === undefined && problems.length === 0) {
    problems.push({ where: 'configuration', path: '', message: 'could not be read' })
  }
  return { config: problems.length > 0 ? undefined : config, problems, warnings, effective, mode }
}

/** distribution: configuration/parser.go accepts one version of the format. */
function checkVersion(root: MapNode, findings: Findings): void {
  const node = nodeAt(root, ['version'])
  const version = node?.kind === 'scalar' ? node.text : ''
  if (version === '0.1') return
  const { problem } = createPlaces(root, undefined, findings)
  problem(['version'], `unsupported version: ${JSON.stringify(version)}`, 'The file must have the line "version: 0.1".')
}

/** `storage: inmemory` and `auth: none` are types without parameters; `None` is `none`. */
function normalizeTypes(root: MapNode): void {
  for (const key of ['storage', 'auth']) {
    const entry = root.entries.get(key)
    if (entry !== undefined) entry.node = asType(entry.node)
  }
  // An own section that is there asks for the token server, filled in or not.
  const tokenServer = root.entries.get('tokenserver')
  if (tokenServer !== undefined && isNull(tokenServer.node)) tokenServer.node = emptyMap(tokenServer.at)
  const auth = root.entries.get('auth')?.node
  if (auth?.kind !== 'map') return
  for (const [key, entry] of [...auth.entries]) {
    if (key === 'none' || key.toLowerCase() !== 'none') continue
    auth.entries.delete(key)
    auth.entries.set('none', entry)
  }
}

function applyFlags(root: MapNode, flags: Flags, addr: readonly string[]): void {
  if (flags.addr !== undefined) {
    const at = { kind: 'flag', name: '--addr' } as const
    putAt(root, addr, { kind: 'scalar', at, value: flags.addr, text: flags.addr })
    // HOST:PORT is what the flag takes, whatever the file listens on.
    const net = [...addr.slice(0, -1), 'net']
    if (isGiven(root, net)) putAt(root, net, { kind: 'scalar', at, value: 'tcp', text: 'tcp' })
  }
  if (flags.tls !== undefined) {
    const at = { kind: 'flag', name: '--tls' } as const
    putAt(root, ['http', 'tls', 'auto'], scalar(true, at))
  }
  if (flags.tlsNames !== undefined && flags.tlsNames.length > 0) {
    const at = { kind: 'flag', name: '--tls-name' } as const
    const named = nodeAt(root, ['http', 'tls', 'names'])
    const items = flags.tlsNames.map((name) => scalar(name, at))
    putAt(root, ['http', 'tls', 'names'], {
      kind: 'list',
      at,
      items: [...(named?.kind === 'list' ? named.items : []), ...items],
    })
  }
  if (flags.data !== undefined) {
    const at = { kind: 'flag', name: '--data' } as const
    putAt(root, ['storage', 'filesystem', 'rootdirectory'], { kind: 'scalar', at, value: flags.data, text: flags.data })
  }
}

/**
 * Without a file: what the official image's file says, and authentication, because an open registry must be asked for.
 * With neither file nor variables, only this machine is served, from a directory beside the caller.
 */
function fillDefaults(root: MapNode, mode: Loaded['mode']): void {
  if (mode === 'file') {
    fill(root, ['http', 'addr'], ':5000')
    const filesystem = nodeAt(root, ['storage', 'filesystem'])
    if (filesystem !== undefined) fill(root, ['storage', 'filesystem', 'rootdirectory'], '/var/lib/registry')
    return
  }
  const isBare = mode === 'bare'
  fill(root, ['version'], '0.1')
  fill(root, ['http', 'addr'], isBare ? '127.0.0.1:5000' : ':5000')
  fill(root, ['http', 'headers'], { 'X-Content-Type-Options': ['nosniff'] })
  // Who runs it by hand reads along: the access log has a line for each request already.
  if (isBare) fill(root, ['log', 'requests', 'disabled'], true)
  const storage = nodeAt(root, ['storage'])
  const sections = ['cache', 'redirect', 'tag', 'delete', 'maintenance', 'filesystem']
  const isOther = storage?.kind === 'map' && [...storage.entries.keys()].some((key) => !sections.includes(key))
  if (!isOther) fill(root, ['storage', 'filesystem', 'rootdirectory'], isBare ? './berth-data' : '/var/lib/registry')
  fill(root, ['storage', 'delete', 'enabled'], true)
  const auth = nodeAt(root, ['auth'])
  const kinds = auth?.kind === 'map' ? [...auth.entries.keys()].filter((key) => key !== 'anonymous') : []
  if (kinds.length === 0 && !isGiven(root, ['tokenserver']))
    fill(root, ['auth', 'token'], { service: 'Berth', issuer: DEFAULT_ISSUER })
}

/** Sets a key that is not given; never in place of a value of another type, which is reported as such. */
function fill(root: MapNode, path: readonly string[], value: unknown): void {
  for (let length = 1; length <= path.length; length++) {
    const node = nodeAt(root, path.slice(0, length))
    if (isNull(node)) break
    if (length === path.length || node?.kind !== 'map') return
  }
  putAt(root, path, toNode(value, { kind: 'default' }))
}
