import type { Descriptor } from '../../src/oci/descriptor.ts'
import { isManifestMediaType } from '../../src/oci/media-type.ts'

const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

/** Everything that a registry serves of some repositories: `GET path` → what came. */
export type RegistryContents = Map<string, Served>

export interface Served {
  status: number
  type: string | null
  digest: string | null
  bytes: string
}

/**
 * Reads a registry as a stranger would, from its catalog: tags, each manifest by tag and by digest, children of indexes, and
 * all blobs. `more`: digests of manifests that nothing leads to, by repository.
 */
export async function readRegistry(
  url: string,
  more: Record<string, readonly string[]> = {},
): Promise<{ repositories: string[]; tags: Map<string, string[]>; contents: RegistryContents }> {
  const { repositories } = (await (await fetch(`${url}/v2/_catalog?n=1000`)).json()) as { repositories: string[] }
  const tags = new Map<string, string[]>()
  const contents: RegistryContents = new Map()

  async function read(path: string): Promise<Served> {
    const answer = await fetch(`${url}${path}`, { headers: { Accept: ACCEPT } })
    const isThere = answer.status === 200
    const bytes = Buffer.from(await answer.arrayBuffer())
    const served = {
      status: answer.status,
      type: path.includes('/blobs/') || !isThere ? null : answer.headers.get('content-type'),
      digest: answer.headers.get('docker-content-digest'),
      // Each has words of its own for what is not there.
      bytes: isThere ? bytes.toString('base64') : '',
    }
    contents.set(path, served)
    return served
  }

  async function readManifest(repository: string, reference: string): Promise<void> {
    const path = `/v2/${repository}/manifests/${reference}`
    if (contents.has(path)) return
    const { status, digest, bytes } = await read(path)
    if (status !== 200) return
    const json = JSON.parse(Buffer.from(bytes, 'base64').toString()) as Record<string, Descriptor[] | undefined> & {
      config?: Descriptor
    }
    if (digest !== null) await readManifest(repository, digest)
    const children = Map.groupBy(json.manifests ?? [], ({ mediaType }) => isManifestMediaType(mediaType))
    for (const child of children.get(true) ?? []) await readManifest(repository, child.digest)
    for (const blob of [json.config, ...(json.layers ?? []), ...(children.get(false) ?? [])]) {
      if (blob !== undefined) await read(`/v2/${repository}/blobs/${blob.digest}`)
    }
  }

  for (const repository of repositories) {
    const list = (await (await fetch(`${url}/v2/${repository}/tags/list`)).json()) as { tags?: string[] | null }
    // registry:2.8 lists tags in the order of the folder.
    tags.set(repository, [...(list.tags ?? [])].sort())
    for (const tag of tags.get(repository) ?? []) await readManifest(repository, tag)
    for (const digest of more[repository] ?? []) await readManifest(repository, digest)
  }
  return { repositories: [...repositories].sort(), tags, contents }
}
