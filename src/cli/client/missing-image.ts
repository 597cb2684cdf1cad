import { nearestName } from '../../config/nearest.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatRepository, type ImageReference, type RepositoryReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'

/** Tags that are looked at: a page or two. */
const MOST = 2000
const SHOWN = 3

/** What to do about an image that is not there: its tag may be misspelt, or its repository. Asks the registry. */
export async function missingHint(upstream: Upstream, { tag, digest, ...repository }: ImageReference): Promise<string> {
  const tags = await someOf(upstream.tags(repository))
  if (tags === undefined) return await repositoryHint(upstream, repository)
  const list = `berth ls ${formatRepository(repository)}`
  if (tags.length === 0) return `${formatRepository(repository)} has no tags`
  const near = digest === undefined ? nearest(tag ?? 'latest', tags) : []
  return near.length === 0 ? list : `there is ${near.join(', ')} (${list} shows all)`
}

/** The same error, with that hint where an image is missing. */
export async function withMissingHint(upstream: Upstream, image: ImageReference, error: unknown): Promise<unknown> {
  if (!(error instanceof UpstreamError) || error.fault !== 'not-found' || error.hint !== undefined) return error
  const { fault, message, status, code } = error
  return new UpstreamError(fault, message, { status, code, hint: await missingHint(upstream, image), cause: error })
}

async function repositoryHint(upstream: Upstream, { registry, repository }: RepositoryReference): Promise<string> {
  const near = nearest(repository, (await someOf(upstream.catalog(registry))) ?? [])
  const list = `berth catalog ${registry}`
  return near.length === 0 ? list : `there is ${near.join(', ')} (${list} shows all)`
}

/** Undefined where they cannot be had: the error at hand is what counts. */
async function someOf(list: AsyncIterable<string>): Promise<string[] | undefined> {
  const names: string[] = []
  try {
    for await (const name of list) {
      names.push(name)
      if (names.length === MOST) break
    }
    return names
  } catch {
    return undefined
  }
}

function nearest(wanted: string, tags: readonly string[]): string[] {
  const found: string[] = []
  for (;;) {
    const name = nearestName(
      wanted,
      tags.filter((tag) => !found.includes(tag)),
    )
    if (name === undefined || found.length === SHOWN) return found
    found.push(name)
  }
}
