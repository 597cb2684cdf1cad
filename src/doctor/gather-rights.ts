import { type Access, CATALOG, covers, repositoryAccess } from '../oci/scope.ts'
import { UpstreamError } from '../upstream/error.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Line } from './answer.ts'
import type { ClientFacts, Grant } from './client-facts.ts'
import { askGrant } from './gather-grant.ts'

/** What whoever asks may do: by tokens, by an image that is named, by an upload that is begun (unless `isReadOnly`) and taken back. */
export async function askRights(line: Line, facts: ClientFacts, isReadOnly: boolean): Promise<ClientFacts> {
  const { upstream } = line
  const { registry, repository, reference, wanted } = facts
  let credential: Awaited<ReturnType<Upstream['credentials']['find']>>
  try {
    credential = await upstream.credentials.find(registry, repository)
  } catch (error) {
    return { ...facts, withheld: error instanceof Error ? error.message : String(error) }
  }
  const named = credential && {
    name: credential.kind === 'registry-token' ? '' : credential.username,
    source: credential.source,
  }
  const known = { ...facts, credential: named }
  const first = await askGrant(line, known, [], `${facts.base}/v2/`)
  const isTaken =
    first.outcome.kind !== 'refused' && first.outcome.kind !== 'failed' && (first.verdict?.status ?? 200) < 400
  if (!isTaken) return { ...known, grants: [first] }
  const grants: Grant[] = [first]
  if (repository === undefined || wanted?.includes('catalog') === true) {
    grants.push(await askGrant(line, known, [CATALOG], `${facts.base}/v2/_catalog?n=1`))
  }
  if (repository === undefined) return { ...known, grants }
  const actions = (wanted ?? ['pull', 'push']).filter((action) => action !== 'catalog')
  const needed = repositoryAccess(
    repository,
    ...(actions.includes('push') ? [...new Set(['pull', ...actions])] : actions),
  )
  if (needed.length > 0) grants.push(await askGrant(line, known, needed, undefined))
  const granted = grants.at(-1)
  const image = reference === undefined ? undefined : await imageOf(upstream, { registry, repository }, reference)
  const isPush = actions.includes('push') && granted !== undefined && mayPush(granted, repository)
  const upload = isPush && !isReadOnly ? await uploadOf(upstream, registry, repository) : undefined
  return { ...known, grants, image, upload }
}

function mayPush({ outcome }: Grant, repository: string): boolean {
  if (outcome.kind === 'none') return true
  const access: readonly Access[] = repositoryAccess(repository, 'pull', 'push')
  return (
    outcome.kind === 'token' &&
    outcome.token !== undefined &&
    access.every((one) => covers(outcome.token?.access ?? [], one))
  )
}

async function imageOf(
  upstream: Upstream,
  place: { registry: string; repository: string },
  reference: string,
): Promise<ClientFacts['image']> {
  try {
    return { found: (await upstream.head(place, reference)) !== undefined }
  } catch (error) {
    const status = error instanceof UpstreamError ? error.status : undefined
    return { fault: error instanceof Error ? error.message : String(error), status }
  }
}

/** Begins an upload, to see where the registry sends it, and takes it back. Undefined: the registry would not. */
async function uploadOf(upstream: Upstream, registry: string, repository: string): Promise<ClientFacts['upload']> {
  const what = `an upload to ${registry}/${repository}`
  const needed = repositoryAccess(repository, 'pull', 'push')
  try {
    const response = await upstream.session.request({
      ...{ registry, repository, needed, what, method: 'POST', path: `${repository}/blobs/uploads/` },
      headers: { 'Content-Length': '0' },
      expected: [202],
    })
    await response.body?.cancel()
    const location = response.headers.get('location') ?? ''
    await takeBack(upstream, registry, repository, location)
    return { location }
  } catch (error) {
    if (error instanceof UpstreamError) return undefined
    throw error
  }
}

/**
 * By the path alone, whatever host it names. registry:2 wants the right to delete for it, and forgets the upload by itself where
 * that is not granted; Berth takes the right to push.
 */
async function takeBack(upstream: Upstream, registry: string, repository: string, location: string): Promise<void> {
  const at = location.indexOf('/v2/')
  if (at === -1) return
  const request = {
    ...{ registry, repository, what: 'the upload', method: 'DELETE' as const },
    path: location.slice(at + '/v2/'.length),
    needed: repositoryAccess(repository, 'pull', 'push', 'delete'),
    expected: [204, 202, 200, 401, 403, 404, 405],
  }
  const response = await upstream.session.request(request).catch(() => undefined)
  await response?.body?.cancel()
}
