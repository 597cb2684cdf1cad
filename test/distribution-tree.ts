import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Digest, digestOf } from '../src/oci/digest.ts'
import { MEDIA_TYPES } from '../src/oci/media-type.ts'
import { type DistributionFile, linkText, pathOf } from '../src/storage/distribution-path.ts'

export interface TreeSize {
  repositories: number
  /** Of each repository. */
  images: number
  /** Of each image, apart from its config; each has some bytes of its own. */
  layers: number
  /** Of each repository; they go round its images. */
  tags: number
}

/** What a registry must serve of it: digests by tag, by repository. */
export type TreeTags = Map<string, Map<string, Digest>>

/** Writes a directory as registry:2 leaves it, with images that can be pulled. */
export function writeTree(directory: string, size: TreeSize): TreeTags {
  const made = new Set<string>()
  const write = (file: DistributionFile, content: string) => {
    const path = join(directory, pathOf(file))
    const folder = dirname(path)
    if (!made.has(folder)) mkdirSync(folder, { recursive: true })
    made.add(folder)
    writeFileSync(path, content)
  }
  const blob = (content: string): Digest => {
    const digest = digestOf(Buffer.from(content))
    write({ kind: 'blob', digest }, content)
    return digest
  }
  const result: TreeTags = new Map()
  for (let number = 0; number < size.repositories; number++) {
    const repository = `team-${number % 10}/app-${number}`
    const digests: Digest[] = []
    for (let image = 0; image < size.images; image++) {
      const contents = Array.from({ length: size.layers }, (_, layer) => `layer ${layer} of ${repository} ${image}`)
      const config = `{"of":"${repository} ${image}"}`
      const descriptor = (mediaType: string, content: string) => {
        const digest = blob(content)
        write({ kind: 'layer', repository, digest }, linkText(digest))
        return { mediaType, digest, size: Buffer.byteLength(content) }
      }
      const manifest = blob(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: MEDIA_TYPES.ociManifest,
          config: descriptor('application/vnd.oci.image.config.v1+json', config),
          layers: contents.map((content) => descriptor('application/vnd.oci.image.layer.v1.tar', content)),
        }),
      )
      write({ kind: 'revision', repository, digest: manifest }, linkText(manifest))
      digests.push(manifest)
    }
    const tags = new Map<string, Digest>()
    for (let index = 0; index < size.tags; index++) {
      const digest = digests[index % digests.length]
      if (digest === undefined) continue
      const tag = `v${index}`
      write({ kind: 'past', repository, tag, digest }, linkText(digest))
      write({ kind: 'current', repository, tag }, linkText(digest))
      tags.set(tag, digest)
    }
    result.set(repository, tags)
  }
  return result
}
