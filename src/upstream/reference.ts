import { type Digest, isDigest } from '../oci/digest.ts'
import { isRepositoryName, isTag } from '../oci/name.ts'
import { UpstreamError } from './error.ts'

/** A repository of a registry: `registry` is `host[:port]` as people write it. */
export interface RepositoryReference {
  registry: string
  repository: string
}

/** An image: a tag, a digest, or both (the digest decides then). */
export interface ImageReference extends RepositoryReference {
  tag: string | undefined
  digest: Digest | undefined
}

/** What names without a registry belong to, as for docker. */
export const DOCKER_HUB = 'docker.io'
/** Where docker keeps the credentials of its hub. */
export const DOCKER_HUB_KEY = 'https://index.docker.io/v1/'

/** Of addresses, and of skopeo's and helm's names. */
const SCHEME = /^(?:https?|docker|oci):\/\//i

const HOST = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/

/** Ports past 65535 and numbers that are no IPv4 address (`256.0.0.1`) look like one. */
function isAddress(text: string): boolean {
  return HOST.test(text) && URL.canParse(`https://${text}/`)
}

/**
 * `host:5000/team/app:v1@sha256:…`; without a registry it is docker's hub. A name has a registry when its first part has
 * a dot or a colon or capitals, or is `localhost` (distribution, reference/normalize.go). Without tag and digest both stay
 * undefined.
 * @throws UpstreamError `usage`
 */
export function parseImage(text: string): ImageReference {
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !isDigest(digest)) {
    throw wrong(
      text,
      `${JSON.stringify(digest.slice(0, 140))} is no digest: write sha256: and 64 hex digits`,
      /^(sha256:)?[0-9a-f]{6,63}$/.test(digest) ? 'lists show whole digests with --no-trunc' : undefined,
    )
  }
  const named = at === -1 ? text : text.slice(0, at)
  const colon = named.lastIndexOf(':')
  const hasTag = colon > named.lastIndexOf('/')
  if (isRegistry(named)) throw registryAlone(text)
  const tag = hasTag ? named.slice(colon + 1) : undefined
  if (tag !== undefined && !isTag(tag)) {
    throw wrong(
      text,
      `${JSON.stringify(tag)} is no tag: up to 128 letters, digits, _ . and -, not beginning with . or -`,
    )
  }
  return { ...parseRepository(hasTag ? named.slice(0, colon) : named, text), tag, digest }
}

/** `host:5000/team/app`, without tag or digest. @throws UpstreamError `usage` */
export function parseRepository(text: string, whole = text): RepositoryReference {
  if (SCHEME.test(text)) throw wrong(whole, 'a reference has no scheme', `write ${whole.replace(SCHEME, '')}`)
  if (isRegistry(text)) throw registryAlone(text)
  const slash = text.indexOf('/')
  const first = slash === -1 ? '' : text.slice(0, slash)
  const hasRegistry = first !== '' && (isHost(first) || first !== first.toLowerCase())
  const registry = hasRegistry ? first : DOCKER_HUB
  const rest = hasRegistry ? text.slice(slash + 1) : text
  if (!isAddress(registry)) throw wrong(whole, `${JSON.stringify(registry)} is no registry: write HOST or HOST:PORT`)
  const isHub = registry === DOCKER_HUB || registry === 'index.docker.io'
  const repository = isHub && rest !== '' && !rest.includes('/') ? `library/${rest}` : rest
  if (!isRepositoryName(repository)) {
    const reason =
      repository === ''
        ? 'it names no repository'
        : `${JSON.stringify(repository.slice(0, 260))} is no repository: lower-case letters and digits, joined by . _ __ or -, in parts separated by /`
    const lower = repository.toLowerCase()
    // As `parseImage` would take it.
    const [plain = '', further] = rest.split(/([:@].+)/, 2)
    if (further !== undefined && text === whole && isRepositoryName(plain)) {
      const name = text.slice(0, -further.length)
      const hint = `berth ls ${name} lists its tags, berth inspect ${text} shows the image`
      throw wrong(whole, `it names an image, and here a repository is asked for`, hint)
    }
    const isCase = lower !== repository && isRepositoryName(lower)
    throw wrong(whole, reason, isCase ? `write ${hasRegistry ? `${registry}/` : ''}${rest.toLowerCase()}` : undefined)
  }
  return { registry: isHub ? DOCKER_HUB : registry, repository }
}

/** `HOST[:PORT]`; a scheme and a slash at the end are left out, as docker takes them. @throws UpstreamError `usage` */
export function parseRegistry(text: string): string {
  const host = text.replace(SCHEME, '').replace(/\/(v[12]\/?)?$/, '')
  if (!isAddress(host))
    throw new UpstreamError('usage', `${JSON.stringify(text)} is no registry: write HOST or HOST:PORT`, {
      hint: isAddress(host.split('/', 1)[0] ?? '') ? `write ${host.split('/', 1)[0]}` : undefined,
    })
  return host === 'index.docker.io' ? DOCKER_HUB : host
}

/** What the API takes as a manifest's reference. */
export function referenceOf({ tag, digest }: Pick<ImageReference, 'tag' | 'digest'>): string {
  return digest ?? tag ?? 'latest'
}

export function formatRepository({ registry, repository }: RepositoryReference): string {
  return `${registry}/${repository}`
}

/** As it was meant: `host/name`, `:tag`, `@digest`, each if it is there. */
export function formatImage(image: ImageReference): string {
  const tag = image.tag === undefined ? '' : `:${image.tag}`
  const digest = image.digest === undefined ? '' : `@${image.digest}`
  return `${formatRepository(image)}${tag}${digest}`
}

/** `host:port` alone: a name of the hub with a tag has no dot in it. */
function isRegistry(text: string): boolean {
  const colon = text.lastIndexOf(':')
  return HOST.test(text) && /:\d{1,5}$/.test(text) && isHost(text.slice(0, colon))
}

function registryAlone(text: string): UpstreamError {
  return wrong(text, 'it names a registry, and no repository there', `berth catalog ${text} lists them`)
}

function isHost(text: string): boolean {
  return text.includes('.') || text.includes(':') || text === 'localhost'
}

function wrong(
  text: string,
  reason: string,
  hint = 'HOST:PORT/NAME:TAG, such as registry.example:5000/team/app:v1',
): UpstreamError {
  return new UpstreamError('usage', `invalid reference ${JSON.stringify(text.slice(0, 300))}: ${reason}`, { hint })
}
