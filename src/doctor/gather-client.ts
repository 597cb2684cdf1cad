import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { DOCKER_HUB } from '../upstream/reference.ts'
import { createUpstream, type UpstreamOptions } from '../upstream/upstream.ts'
import { answerOf, type Line } from './answer.ts'
import { probeBodies } from './body-probe.ts'
import type { Answer, ClientFacts, RealmFacts } from './client-facts.ts'
import { dockerFiles } from './docker-files.ts'
import { viewOf } from './docker-view.ts'
import { askRights } from './gather-rights.ts'
import { isLoopbackAddress } from './host.ts'
import { probeTls } from './tls-probe.ts'

export interface ClientInput {
  registry: string
  repository: string | undefined
  reference: string | undefined
  wanted: readonly string[] | undefined
  /** Folder that docker's files are below, `/` for this machine's own. */
  root: string
  /** No upload is begun. */
  isReadOnly: boolean
  upstream: UpstreamOptions
  timeoutMs: number
}

const REALM_PATIENCE = 10_000
/** Where docker's hub has its registry. */
const HUB_ADDRESS = 'registry-1.docker.io'

/** Asks the registry and its token server, as a client would. A password goes only where it would go with docker. @throws what interrupts it, and nothing else */
export async function gatherClient(input: ClientInput): Promise<ClientFacts> {
  const end = new AbortController()
  const { signal } = input.upstream
  const signals = signal === undefined ? [end.signal] : [signal, end.signal]
  try {
    return await gather({ ...input, upstream: { ...input.upstream, signal: AbortSignal.any(signals) } })
  } finally {
    // An answer that was given up must not keep the process.
    end.abort(new Error('enough is known'))
  }
}

async function gather(input: ClientInput): Promise<ClientFacts> {
  const { registry, repository, reference, wanted, root, timeoutMs } = input
  const address = registry === DOCKER_HUB ? HUB_ADDRESS : registry
  const { hostname, port } = partsOf(address)
  const addresses = await addressesOf(hostname)
  const docker = dockerFiles(registry, root)
  const isPlainAsked = input.upstream.plainHttp === true
  let probe = await probeTls(hostname, port ?? (isPlainAsked ? 80 : 443), timeoutMs)
  if (probe.kind === 'unreachable' && port === undefined && !isPlainAsked) {
    const plain = await probeTls(hostname, 80, timeoutMs)
    if (plain.kind !== 'unreachable') probe = { kind: 'plain' }
  }
  const facts: ClientFacts = {
    registry,
    hostname,
    repository,
    reference,
    wanted,
    caFile: input.upstream.caFile,
    proxy: ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'].find(
      (name) => input.upstream.env[name],
    ),
    docker,
    view: viewOf(registry, addresses, docker),
    isLocal: addresses.some(isLoopbackAddress),
    probe,
    base: `${probe.kind === 'plain' || isPlainAsked ? 'http' : 'https'}://${address}`,
    entry: undefined,
    challenges: [],
    realm: undefined,
    credential: undefined,
    withheld: undefined,
    grants: [],
    image: undefined,
    upload: undefined,
    bodies: undefined,
  }
  if (probe.kind === 'unreachable') return facts
  const certDirs = ['etc/docker/certs.d', 'etc/containers/certs.d'].map((folder) => join(root, folder))
  const own = root === '/' ? {} : { certDirs }
  const options = { ...input.upstream, ...own, plainHttp: probe.kind === 'plain', retries: 0, timeoutMs }
  // Questions that show nothing of ours are asked whatever the certificate.
  const anonymous: Line = {
    upstream: createUpstream({ ...options, insecure: true, headers: {}, as: undefined }),
    now: options.now,
    timeoutMs,
  }
  const entry = await anonymousEntry(anonymous, facts)
  const withEntry = { ...facts, ...entry }
  if (entry.entry === undefined || !entry.entry.isRegistry) return withEntry
  const realm = await realmOf(anonymous, withEntry)
  const withheld = withholding(withEntry, input)
  const bodies = await probeBodies(
    {
      isTls: probe.kind === 'tls',
      host: hostname,
      port: port ?? (probe.kind === 'tls' ? 443 : 80),
      authority: address,
      path: `${repository ?? 'berth-doctor'}/blobs/uploads/berth-doctor`,
    },
    timeoutMs,
  )
  const asked = { ...withEntry, realm, withheld, bodies }
  if (withheld !== undefined) return asked
  return await askRights({ upstream: createUpstream(options), now: options.now, timeoutMs }, asked, input.isReadOnly)
}

async function anonymousEntry(
  { upstream, now, timeoutMs }: Line,
  { registry, base }: ClientFacts,
): Promise<Pick<ClientFacts, 'entry' | 'challenges'>> {
  try {
    const response = await upstream.transport.send(registry, { method: 'GET', url: `${base}/v2/` })
    const { answer, challenges } = await answerOf(response, now(), timeoutMs)
    return { entry: answer, challenges }
  } catch {
    return { entry: undefined, challenges: [] }
  }
}

async function realmOf(
  { upstream, now, timeoutMs }: Line,
  { registry, challenges }: ClientFacts,
): Promise<RealmFacts | undefined> {
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
  if (bearer === undefined) return undefined
  const realm = bearer.parameters.get('realm') ?? ''
  const service = bearer.parameters.get('service') ?? ''
  const url = URL.parse(realm) ?? undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    return { realm, service, url: undefined, probe: undefined, answer: undefined }
  const isSecure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const probe = await probeTls(host, Number(url.port) || (isSecure ? 443 : 80), Math.min(timeoutMs, REALM_PATIENCE))
  if (probe.kind === 'unreachable') return { realm, service, url, probe, answer: undefined }
  let answer: Answer | { fault: string }
  try {
    const asked = new URL(url)
    if (service !== '') asked.searchParams.set('service', service)
    const response = await upstream.transport.send(registry, { method: 'GET', url: asked.href })
    answer = (await answerOf(response, now(), timeoutMs)).answer
  } catch (error) {
    answer = { fault: error instanceof Error ? error.message : String(error) }
  }
  return { realm, service, url, probe, answer }
}

/** Why no password may go there; undefined: it may. */
function withholding({ probe, view, registry }: ClientFacts, { upstream }: ClientInput): string | undefined {
  if (upstream.insecure === true || upstream.plainHttp === true || view.kind === 'loopback') return undefined
  if (probe.kind === 'plain' && view.kind !== 'listed') {
    return `${registry} has no TLS: nothing was asked with your name (--plain-http does, and sends the password in clear)`
  }
  return undefined
}

function partsOf(registry: string): { hostname: string; port: number | undefined } {
  const match = /^(.*?)(?::(\d+))?$/.exec(registry)
  return {
    hostname: (match?.[1] ?? registry).replace(/^\[|\]$/g, ''),
    port: match?.[2] === undefined ? undefined : Number(match[2]),
  }
}

async function addressesOf(hostname: string): Promise<string[]> {
  if (isIP(hostname) !== 0) return [hostname]
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address)
  } catch {
    return []
  }
}
