import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Dockerd, startDockerd } from '../dockerd.ts'
import { buildImage, expectedSums, importBase } from '../image.ts'
import { type Ended, must, run } from '../programs.ts'
import { BERTH, type Berth, type StartOptions, startBerth } from '../start-berth.ts'

/** Name of the image that every `push` sends, and bytes of its layers' files. */
const IMAGE = 'small:1'
const SIZES = [3_000, 40_000]
const SEED = 'token-server'
/** What a container of the image prints. */
export const SUMS = expectedSums(SIZES, SEED)

/** What docker says of a push that is refused. */
export const DENIED = 'denied: requested access to the resource is denied\n'
/** Where it may see the layers, it asks for several scopes, and shows every answer. */
export const DENIED_AFTER_LAYERS = `errors:\n${DENIED}unauthorized: authentication required\n\n`

/** Somebody with a docker client, and credentials, of their own. Commands that fail are results, not errors. */
export interface DockerUser {
  /** DOCKER_HOST and DOCKER_CONFIG. */
  env: Record<string, string>
  configFile: string
  login(host: string, name: string, password: string): Promise<Ended>
  push(reference: string): Promise<Ended>
  /** Pulls what is not there any more: the reference is removed first. */
  pull(reference: string): Promise<Ended>
  /** Pulls with all its layers, for the image itself is removed first; answers what a container of it prints. */
  pullWhole(reference: string): Promise<string>
  /** What docker keeps for a registry; undefined when nothing. */
  stored(host: string): { user: string; password: string; identityToken: string | undefined } | undefined
}

/** A dockerd with one small image, a folder, and whatever is started on the way; `dispose` ends all of it. */
export interface DockerSite {
  folder: string
  user(): DockerUser
  start(options: StartOptions): Promise<Berth>
  /** Ends `part` with the site. */
  own<T extends { dispose(): Promise<void> }>(part: T): T
  dispose(): Promise<void>
}

export async function openDockerSite(): Promise<DockerSite> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-site-'))
  const parts: { dispose(): Promise<void> }[] = []
  const dispose = async () => {
    for (const part of parts.reverse()) await part.dispose()
    rmSync(folder, { recursive: true, force: true })
  }
  const own = <T extends { dispose(): Promise<void> }>(part: T): T => {
    parts.push(part)
    return part
  }
  try {
    const dockerd = own(await startDockerd())
    const builder = dockerd.client()
    await importBase(builder)
    await buildImage(builder, IMAGE, SIZES, SEED)
    return {
      folder,
      own,
      dispose,
      user: () => userOf(dockerd),
      start: async (options) => own(await startBerth(options)),
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

function userOf(dockerd: Dockerd): DockerUser {
  const docker = dockerd.client()
  const configFile = join(docker.env.DOCKER_CONFIG ?? '', 'config.json')
  return {
    env: docker.env,
    configFile,
    login: (host, name, password) =>
      docker.run(['login', '--username', name, '--password-stdin', host], { stdin: password }),
    async push(reference) {
      await docker.must(['tag', IMAGE, reference])
      return await docker.run(['push', reference])
    },
    async pull(reference) {
      await docker.run(['rmi', reference])
      return await docker.run(['pull', reference])
    },
    async pullWhole(reference) {
      const id = await docker.must(['image', 'inspect', '--format', '{{.Id}}', IMAGE])
      await docker.must(['rmi', '--force', id.trim()])
      await docker.must(['pull', reference])
      await docker.must(['tag', reference, IMAGE])
      return await docker.must(['run', '--rm', '--network', 'host', IMAGE])
    },
    stored(host) {
      const entry = JSON.parse(readFileSync(configFile, 'utf8')).auths[host]
      if (entry === undefined) return undefined
      const [user = '', password = ''] = Buffer.from(entry.auth, 'base64').toString().split(/:(.*)/s)
      return { user, password, identityToken: entry.identitytoken }
    },
  }
}

/** `berth VERB...` beside a server that owns the data directory; fails unless the exit code is 0. Answers stdout. */
export function administer({ dataDirectory }: Berth, args: readonly string[], stdin?: string): Promise<string> {
  return must([BERTH, ...args, '--data', dataDirectory], stdin === undefined ? {} : { stdin })
}

/** `token list --format json`, the last first. */
export async function listTokens(berth: Berth, kind: 'personal' | 'refresh'): Promise<ListedToken[]> {
  const answer = await administer(berth, ['token', 'list', '--kind', kind, '--format', 'json'])
  return JSON.parse(answer).tokens
}

export interface ListedToken {
  id: string
  kind: string
  account: string
  source: string
  name: string
}

/** The token of an answer of `berth auth` or `berth serve`, whatever its certificate; fails unless it gives one. */
export async function fetchToken(
  realm: string,
  credentials: string,
  query: Record<string, string>,
): Promise<{ token: string; header: Record<string, unknown>; claims: Record<string, unknown> }> {
  const url = `${realm}?${new URLSearchParams(query)}`
  const { code, stdout, stderr } = await run(['curl', '--silent', '--insecure', '--fail', '--user', credentials, url])
  if (code !== 0) throw new Error(`curl ends with ${code} for ${url}: ${stderr}`)
  const { token } = JSON.parse(stdout)
  const [header = '', claims = ''] = String(token).split('.')
  return { token, header: decode(header), claims: decode(claims) }
}

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
