import type {
  ContentManifest,
  ContentMove,
  Contents,
  ContentTag,
  RepositoryContents,
  StoredBlob,
} from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'

/** Rows asked for at once: what comes over a socket goes through memory. */
const REPOSITORIES = 100
const MANIFESTS = 200
const NAMES = 1000

/** The repositories that are wanted, in byte order. Nothing of what was read before is kept. */
export async function* eachRepository(
  contents: Contents,
  isWanted: (name: string) => boolean,
): AsyncGenerator<RepositoryContents> {
  const list = (last: string | undefined) => contents.repositories({ last, limit: REPOSITORIES })
  for await (const entry of pages(list, REPOSITORIES, ({ name }) => name)) if (isWanted(entry.name)) yield entry
}

export async function* eachManifest(
  contents: Contents,
  repository: string,
  filter: { subject?: Digest } = {},
): AsyncGenerator<ContentManifest> {
  let last: string | undefined
  for (;;) {
    const page = await contents.manifests(repository, filter, { last, limit: MANIFESTS })
    yield* page.manifests
    last = page.manifests.at(-1)?.digest
    if (!page.more || last === undefined) return
  }
}

export function eachTag(contents: Contents, repository: string): AsyncGenerator<ContentTag> {
  return pages(
    (last) => contents.tags(repository, { last, limit: NAMES }),
    NAMES,
    ({ name }) => name,
  )
}

export function eachBlob(contents: Contents, repository: string): AsyncGenerator<StoredBlob> {
  return pages(
    (last) => contents.blobs(repository, {}, { last, limit: NAMES }),
    NAMES,
    ({ digest }) => digest,
  )
}

export async function* eachMove(contents: Contents, repository: string): AsyncGenerator<ContentMove> {
  let last: number | undefined
  for (;;) {
    const page = await contents.moves(repository, { last, limit: NAMES })
    yield* page
    last = page.at(-1)?.id
    if (page.length < NAMES || last === undefined) return
  }
}

export async function findManifest(
  contents: Contents,
  repository: string,
  filter: { tag: string } | { digest: Digest },
): Promise<ContentManifest | undefined> {
  return (await contents.manifests(repository, filter, { limit: 1 })).manifests[0]
}

export async function findBlob(
  contents: Contents,
  repository: string,
  digest: Digest,
): Promise<StoredBlob | undefined> {
  return (await contents.blobs(repository, { digest }, { limit: 1 }))[0]
}

async function* pages<T>(
  list: (last: string | undefined) => Promise<T[]>,
  limit: number,
  keyOf: (entry: T) => string,
): AsyncGenerator<T> {
  let last: string | undefined
  for (;;) {
    const page = await list(last)
    yield* page
    const end = page.at(-1)
    if (page.length < limit || end === undefined) return
    last = keyOf(end)
  }
}
