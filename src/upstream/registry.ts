import type { Descriptor } from '../oci/descriptor.ts'
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts'
import { jsonObject } from '../oci/json-object.ts'
import { parseManifest, referrersTag } from '../oci/manifest.ts'
import { isIndexMediaType, MEDIA_TYPES } from '../oci/media-type.ts'
import { isRepositoryName, isTag } from '../oci/name.ts'
import { CATALOG, repositoryAccess } from '../oci/scope.ts'
import { bytesOf } from './body.ts'
import { UpstreamError } from './error.ts'
import { createOverview, type OverviewRange, type OverviewRows } from './overview.ts'
import { guardPages, nextPage } from './pages.ts'
import { createPurge, type PurgeOutcome } from './purge.ts'
import { formatRepository, type RepositoryReference } from './reference.ts'
import type { Session } from './session.ts'

/** A manifest as the registry has it: its bytes have the digest. */
export interface FetchedManifest {
  digest: Digest
  mediaType: string
  bytes: Uint8Array
}

/** What a registry holds besides blobs (see `blobs.ts`), for any that speaks OCI Distribution 1.1 or Docker's registry API v2. */
export interface Registry {
  /** All repositories, in the order of the registry, page by page as they are asked for. `pageSize`: what is asked for at once. */
  catalog(registry: string, options?: { pageSize?: number; last?: string }): AsyncIterable<string>
  tags(repository: RepositoryReference, options?: { pageSize?: number; last?: string }): AsyncIterable<string>
  /** What Berth knows of tags besides, by name; undefined: the registry does not say (as every other one). */
  tagOverview(repository: RepositoryReference, range: OverviewRange): Promise<OverviewRows | undefined>
  catalogOverview(registry: string, range: OverviewRange): Promise<OverviewRows | undefined>
  /** Undefined when it is not there. `reference` is a tag or a digest. */
  head(repository: RepositoryReference, reference: string): Promise<Descriptor | undefined>
  /** @throws UpstreamError `not-found`; `invalid` when the bytes do not have the digest that was asked for */
  manifest(repository: RepositoryReference, reference: string): Promise<FetchedManifest>
  /** Stores it, and moves the tag if `reference` is one. Resolves to the digest. */
  putManifest(
    repository: RepositoryReference,
    reference: string,
    manifest: Pick<FetchedManifest, 'mediaType' | 'bytes'>,
  ): Promise<Digest>
  /** By digest: with all its tags. By tag: the tag alone, where the registry can (registry:2 cannot: `unsupported`). */
  delete(repository: RepositoryReference, reference: string): Promise<void>
  /** Takes what a deletion left of a manifest for good, where the registry is Berth: with its blobs, unless something needs them. */
  purge(repository: RepositoryReference, digest: Digest): Promise<PurgeOutcome>
  /** Manifests that name this one as their subject; where the registry has no such API, those of the fallback tag. */
  referrers(repository: RepositoryReference, subject: Digest, artifactType?: string): Promise<Descriptor[]>
  /** Whether the registry lists referrers itself: where it does not, whoever pushes one keeps the fallback tag. */
  listsReferrers(repository: RepositoryReference, subject: Digest): Promise<boolean>
}

/** Every type of manifest, the ones with a list first: a registry answers with what it has. */
const ACCEPT = [
  MEDIA_TYPES.ociIndex,
  MEDIA_TYPES.dockerList,
  MEDIA_TYPES.ociManifest,
  MEDIA_TYPES.dockerManifest,
  MEDIA_TYPES.dockerManifestV1Signed,
].join(', ')

/** `looking`: manifests are fetched to be shown, which Berth does not count as pulls. */
export function createRegistry({ session, looking = false }: { session: Session; looking?: boolean }): Registry {
  const overview = createOverview(session)
  const look = looking ? '?look' : ''

  async function* pages(
    first: Parameters<Session['request']>[0],
    namesIn: (json: Record<string, unknown>) => unknown,
  ): AsyncIterable<string> {
    const guard = guardPages(first.what)
    let path: string | undefined = first.path
    while (path !== undefined) {
      guard.ask(path)
      const response = await session.request({ ...first, path })
      const bytes = await bytesOf(response, first.what)
      const next = nextPage(response)
      // The last one may be like the one before: an empty list twice.
      if (next !== undefined) guard.got(bytes)
      const json = jsonObject(bytes)
      if (json === undefined) {
        throw new UpstreamError('invalid', `${first.what}: the registry answers with something that is no JSON`)
      }
      const names = namesIn(json) ?? []
      if (!Array.isArray(names))
        throw new UpstreamError('invalid', `${first.what}: the registry answers without a list`)
      yield* names.filter((name) => typeof name === 'string')
      path = next
    }
  }

  async function head(repository: RepositoryReference, reference: string): Promise<Descriptor | undefined> {
    const response = await session.request({
      ...whatOf(repository, reference, 'pull'),
      method: 'HEAD',
      path: `${repository.repository}/manifests/${reference}`,
      headers: { Accept: ACCEPT },
      expected: [200, 404],
    })
    if (response.status === 404) return undefined
    const digest = response.headers.get('docker-content-digest') ?? reference
    if (
      isDigest(reference) &&
      isDigest(digest) &&
      algorithmOf(digest) === algorithmOf(reference) &&
      digest !== reference
    ) {
      const { what } = whatOf(repository, reference)
      throw new UpstreamError('invalid', `${what}: the registry answers with another manifest, ${digest}`)
    }
    const size = Number(response.headers.get('content-length'))
    const mediaType = response.headers.get('content-type') ?? ''
    if (isDigest(digest) && Number.isSafeInteger(size) && size > 0) return { mediaType, digest, size }
    // A registry that does not say so at HEAD says it with the manifest.
    const { bytes, ...fetched } = await manifest(repository, reference)
    return { ...fetched, size: bytes.byteLength }
  }

  async function manifest(repository: RepositoryReference, reference: string): Promise<FetchedManifest> {
    const request = whatOf(repository, reference, 'pull')
    const response = await session.request({
      ...request,
      method: 'GET',
      path: `${repository.repository}/manifests/${reference}${look}`,
      headers: { Accept: ACCEPT },
      expected: [200],
    })
    const bytes = await bytesOf(response, request.what)
    const said = isDigest(reference) ? reference : response.headers.get('docker-content-digest')
    const digest = digestOf(bytes, said !== null && isDigest(said) ? algorithmOf(said) : 'sha256')
    if (said !== null && isDigest(said) && said !== digest) {
      throw new UpstreamError(
        'invalid',
        `${request.what}: the registry answers with other bytes, whose digest is ${digest}`,
        {
          hint: 'the manifest is damaged there, or something in between changes it',
        },
      )
    }
    return { digest, mediaType: (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim() ?? '', bytes }
  }

  return {
    catalog(registry, { pageSize = 1000, last } = {}) {
      const query = new URLSearchParams({ n: String(pageSize), ...(last === undefined ? {} : { last }) })
      const request = { registry, needed: [CATALOG], what: `the catalog of ${registry}`, expected: [200] }
      return pages({ ...request, method: 'GET', path: `_catalog?${query}` }, ({ repositories }) => repositories)
    },

    tags(repository, { pageSize = 1000, last } = {}) {
      const query = new URLSearchParams({ n: String(pageSize), ...(last === undefined ? {} : { last }) })
      const what = `the tags of ${formatRepository(repository)}`
      mustBeRepository(repository)
      const path = `${repository.repository}/tags/list?${query}`
      return pages(
        {
          ...repository,
          needed: repositoryAccess(repository.repository, 'pull'),
          what,
          expected: [200],
          method: 'GET',
          path,
        },
        ({ tags }) => tags,
      )
    },

    tagOverview({ registry, repository }, range) {
      const needed = repositoryAccess(repository, 'pull')
      const path = `${repository}/_berth/tags/list`
      return overview({ registry, repository, needed, path, range, rowsIn: ({ tags }) => tags })
    },

    catalogOverview(registry, range) {
      const path = '_berth/catalog/list'
      return overview({ registry, needed: [CATALOG], path, range, rowsIn: ({ repositories }) => repositories })
    },

    head,
    manifest,

    async putManifest(repository, reference, { mediaType, bytes }) {
      const request = whatOf(repository, reference, 'pull', 'push')
      const response = await session.request({
        ...request,
        method: 'PUT',
        path: `${repository.repository}/manifests/${reference}`,
        headers: { 'Content-Type': mediaType },
        body: () => new Uint8Array(bytes),
        repeatable: true,
        expected: [201, 202, 200],
      })
      await response.body?.cancel()
      const digest = isDigest(reference) ? reference : digestOf(bytes)
      const said = response.headers.get('docker-content-digest')
      if (said !== null && isDigest(said) && algorithmOf(said) === algorithmOf(digest) && said !== digest) {
        throw new UpstreamError('invalid', `${request.what}: the registry stored it as ${said}, but it is ${digest}`)
      }
      return digest
    },

    async delete(repository, reference) {
      const response = await session.request({
        ...whatOf(repository, reference, 'delete'),
        method: 'DELETE',
        path: `${repository.repository}/manifests/${reference}`,
        expected: [202, 200, 204],
      })
      await response.body?.cancel()
    },

    purge(repository, digest) {
      mustBeRepository(repository)
      return createPurge(session)(repository, digest)
    },

    async referrers(repository, subject, artifactType) {
      const what = `the referrers of ${repository.registry}/${repository.repository}@${subject}`
      const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`
      const found = new Map<Digest, Descriptor>()
      const guard = guardPages(what)
      let path: string | undefined = `${repository.repository}/referrers/${subject}${query}`
      while (path !== undefined) {
        guard.ask(path)
        const response: Response = await referrersPage(repository, what, path)
        if (response.status === 404) {
          await response.body?.cancel()
          return filtered(await fallback(repository, subject), artifactType)
        }
        const bytes = await bytesOf(response, what)
        path = nextPage(response)
        if (path !== undefined) guard.got(bytes)
        for (const one of childrenOf(bytes, MEDIA_TYPES.ociIndex, what)) found.set(one.digest, one)
      }
      // A registry need not filter (OCI Distribution Specification 1.1, "Listing Referrers").
      return filtered([...found.values()], artifactType)
    },

    async listsReferrers(repository, subject) {
      const what = `the referrers of ${repository.registry}/${repository.repository}@${subject}`
      const response = await referrersPage(repository, what, `${repository.repository}/referrers/${subject}`)
      await response.body?.cancel()
      return response.status === 200
    },
  }

  /** 404 of a registry without such an API. */
  function referrersPage(repository: RepositoryReference, what: string, path: string): Promise<Response> {
    const needed = repositoryAccess(repository.repository, 'pull')
    return session.request({ ...repository, needed, what, method: 'GET', path, expected: [200, 404] })
  }

  async function fallback(repository: RepositoryReference, subject: Digest): Promise<readonly Descriptor[]> {
    const tag = referrersTag(subject)
    if ((await head(repository, tag)) === undefined) return []
    const { bytes, mediaType } = await manifest(repository, tag)
    return isIndexMediaType(mediaType)
      ? childrenOf(bytes, mediaType, `${repository.registry}/${repository.repository}:${tag}`)
      : []
  }
}

function childrenOf(bytes: Uint8Array, mediaType: string, what: string): readonly Descriptor[] {
  try {
    return parseManifest(bytes, mediaType).manifests
  } catch (error) {
    throw new UpstreamError('invalid', `${what}: the registry answers with something that is no index`, {
      cause: error,
    })
  }
}

function filtered(descriptors: readonly Descriptor[], artifactType: string | undefined): Descriptor[] {
  return descriptors.filter((one) => artifactType === undefined || one.artifactType === artifactType)
}

/** A name may come from a registry, too, and goes into a path: `../../other/manifests/v1` would be another repository. */
function mustBeRepository({ registry, repository }: RepositoryReference): void {
  if (isRepositoryName(repository)) return
  throw new UpstreamError('invalid', `${registry} names ${quoted(repository)}, which is no repository`)
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 300))
}

function whatOf(target: RepositoryReference, reference: string, ...actions: string[]) {
  const { registry, repository } = target
  mustBeRepository(target)
  if (!isTag(reference) && !isDigest(reference)) {
    throw new UpstreamError('invalid', `${formatRepository(target)} names ${quoted(reference)}, which is no tag`)
  }
  const what = `${registry}/${repository}${isDigest(reference) ? '@' : ':'}${reference}`
  return { registry, repository, needed: repositoryAccess(repository, ...actions), what }
}
