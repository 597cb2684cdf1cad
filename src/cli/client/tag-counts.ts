import { inParallel } from '../../transfer/parallel.ts'
import { UpstreamError } from '../../upstream/error.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { problemOf } from './incomplete.ts'

/** Repositories that are asked at a time. */
const ASKED = 8

/** How many tags a repository has; nothing where this account may not see them, a problem where they cannot be read. */
export interface TagCount {
  tags?: number
  problem?: string
}

/** For a registry that does not tell, in the order of the names: all tags are read. @throws UpstreamError where no repository can be read */
export async function countTags(upstream: Upstream, registry: string, names: readonly string[]): Promise<TagCount[]> {
  return await inParallel(names, ASKED, async (repository) => {
    let tags = 0
    try {
      for await (const _ of upstream.tags({ registry, repository })) tags++
      return { tags }
    } catch (error) {
      const fault = error instanceof UpstreamError ? error.fault : undefined
      // What is left of a repository whose last tag was deleted stays in the catalog of registry:2.
      if (fault === 'not-found') return { tags: 0 }
      if (fault === 'denied' || fault === 'unauthorized') return {}
      return { problem: problemOf(error, `the tags of ${registry}/${repository}`) }
    }
  })
}
