import type { AdoptionRun } from './adopt-blobs.ts'

/** Who deleted it, for the history of tags. */
const ACTOR = 'registry:2'

/** Rows looked at together. */
const PAGE = 500

/**
 * Deletes what the other registry deleted. Only for a tree that Berth wrote itself, with everything that it had, and that nothing
 * was pushed to Berth since: there, what is missing was taken away. What cannot be looked at stays.
 */
export async function dropDeleted(run: AdoptionRun): Promise<void> {
  const { contents } = run.metadata
  let last: string | undefined
  for (;;) {
    const page = await contents.repositories({ last, limit: PAGE })
    for (const { name } of page) {
      await dropTags(run, name)
      await dropManifests(run, name)
      await dropLinks(run, name)
    }
    last = page.at(-1)?.name
    if (page.length < PAGE) return
  }
}

async function dropTags({ metadata, tree, report, now }: AdoptionRun, repository: string): Promise<void> {
  let last: string | undefined
  for (;;) {
    const page = await metadata.contents.tags(repository, { last, limit: PAGE })
    for (const { name } of page) {
      if (tree.has({ kind: 'current', repository, tag: name }) !== false) continue
      await metadata.tags.delete(repository, name, { now: now(), actor: ACTOR })
      report.changed.deletedTags++
    }
    last = page.at(-1)?.name
    if (page.length < PAGE) return
  }
}

async function dropManifests({ metadata, tree, report, now }: AdoptionRun, repository: string): Promise<void> {
  let last: string | undefined
  for (;;) {
    const page = await metadata.contents.manifests(repository, {}, { last, limit: PAGE })
    for (const { digest } of page.manifests) {
      if (tree.has({ kind: 'revision', repository, digest }) !== false) continue
      await metadata.manifests.delete(repository, digest, { now: now(), actor: ACTOR })
      report.changed.deletedManifests++
    }
    last = page.manifests.at(-1)?.digest
    if (!page.more) return
  }
}

async function dropLinks({ metadata, tree, report, now }: AdoptionRun, repository: string): Promise<void> {
  let last: string | undefined
  for (;;) {
    const page = await metadata.contents.blobs(repository, {}, { last, limit: PAGE })
    for (const { digest } of page) {
      if (tree.has({ kind: 'layer', repository, digest }) !== false) continue
      // One that a manifest needs stays: the other registry does not ask, and the image would be broken.
      const outcome = await metadata.blobs.unlink(repository, digest, { now: now() })
      if (outcome === 'unlinked') report.changed.deletedLinks++
    }
    last = page.at(-1)?.digest
    if (page.length < PAGE) return
  }
}
