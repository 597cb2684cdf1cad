import type { ContentManifest, Contents, StoredBlob } from '../metadata/metadata.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { referrersTag } from '../oci/manifest.ts'
import { type Converted, convertDocker, isDockerMediaType } from './convert-docker.ts'
import type { Progress } from './export.ts'
import { blobsOf, childrenOf } from './named.ts'
import { type Layout, REF_NAME } from './oci-target.ts'
import { eachManifest, findBlob, findManifest } from './pages.ts'
import type { Places } from './place.ts'
import { note, type Report } from './report.ts'

export interface LayoutWriter {
  /** One of all manifests of the repository. */
  addManifest(manifest: ContentManifest): Promise<void>
  /** One of all tags, after the manifests; what it points to is added if it came since. */
  addTag(tag: string, digest: Digest): Promise<void>
  addBlob(blob: StoredBlob): Promise<void>
  /** The image of one tag with all that it needs, and what refers to it. False when there is no such tag. */
  addImage(tag: string): Promise<boolean>
  /** Writes the index. `keepOthers`: entries of an earlier export stay, unless their tag is in this one. */
  finish(options: { keepOthers: boolean }): void
}

export interface LayoutWriterOptions {
  repository: string
  contents: Contents
  layout: Layout
  places: Places
  report: Report
  verbatim: boolean
  progress: Progress
  place(blob: StoredBlob): Promise<void>
}

export function createLayoutWriter(options: LayoutWriterOptions): LayoutWriter {
  const { repository, contents, layout, places, report, verbatim } = options
  const named: Descriptor[] = []
  /** By digest, for one manifest may come here more than once. */
  const unnamed = new Map<Digest, Descriptor>()
  const closed = new Set<Digest>()

  function write({ digest, bytes }: { digest: Digest; bytes: Uint8Array }): void {
    places.bytes(layout.pathOf(digest), bytes)
  }

  function store(manifest: ContentManifest): void {
    write(manifest)
    report.manifests++
    // Whoever opens the layout finds what a named index leads to, and nothing else but what is named here.
    const isHidden = !manifest.isTagged && !manifest.isChild
    if (isHidden || manifest.subject !== undefined) unnamed.set(manifest.digest, descriptorOf(manifest))
  }

  async function converted(manifest: ContentManifest): Promise<Converted> {
    const result = await convertDocker(manifest, async (digest) => {
      const child = await findManifest(contents, repository, { digest })
      return child === undefined || !isDockerMediaType(child.mediaType) ? undefined : await converted(child)
    })
    write(result)
    return result
  }

  async function name(tag: string, manifest: ContentManifest): Promise<void> {
    const annotations = { [REF_NAME]: tag }
    report.tags++
    if (verbatim || !isDockerMediaType(manifest.mediaType)) {
      named.push({ ...descriptorOf(manifest), annotations })
      return
    }
    const { mediaType, digest, bytes } = await converted(manifest)
    named.push({ mediaType, digest, size: bytes.byteLength, annotations })
    unnamed.set(manifest.digest, descriptorOf(manifest))
    note(report, { kind: 'converted', repository, reference: tag, detail: `${manifest.digest} became ${digest}` })
  }

  /** A manifest with all that it needs and all that refers to it. */
  async function close(manifest: ContentManifest): Promise<void> {
    if (closed.has(manifest.digest)) return
    closed.add(manifest.digest)
    for (const { digest } of childrenOf(manifest)) {
      const child = await findManifest(contents, repository, { digest })
      if (child !== undefined) await close(child)
    }
    for (const digest of new Set(blobsOf(manifest).map((blob) => blob.digest))) {
      const blob = await findBlob(contents, repository, digest)
      // A layer that lies elsewhere, by its URLs.
      if (blob !== undefined) await options.place(blob)
    }
    store(manifest)
    options.progress.item()
    for await (const referrer of eachManifest(contents, repository, { subject: manifest.digest })) {
      await close(referrer)
      unnamed.set(referrer.digest, descriptorOf(referrer))
    }
    const fallback = referrersTag(manifest.digest)
    const index = await findManifest(contents, repository, { tag: fallback })
    if (index === undefined || closed.has(index.digest)) return
    await close(index)
    await name(fallback, index)
  }

  return {
    async addManifest(manifest) {
      store(manifest)
    },

    async addTag(tag, digest) {
      const manifest = await findManifest(contents, repository, { digest })
      if (manifest === undefined) return
      if (!layout.has(digest)) await close(manifest)
      await name(tag, manifest)
    },

    addBlob: options.place,

    async addImage(tag) {
      const manifest = await findManifest(contents, repository, { tag })
      if (manifest === undefined) return false
      await close(manifest)
      await name(tag, manifest)
      return true
    },

    finish({ keepOthers }) {
      const names = new Set(named.map(({ annotations }) => annotations?.[REF_NAME]))
      for (const entry of keepOthers ? layout.entries() : []) {
        const tag = entry.annotations?.[REF_NAME]
        if (tag === undefined && !unnamed.has(entry.digest)) unnamed.set(entry.digest, entry)
        else if (tag !== undefined && !names.has(tag)) named.push(entry)
      }
      layout.finish([...named, ...unnamed.values()])
    },
  }
}

/** A manifest's own, which its client meant for another place, would make it a tag here. */
function withoutRefName(annotations: Record<string, string>): Record<string, string> {
  const { [REF_NAME]: _, ...others } = annotations
  return others
}

/** As the answer of the referrers API has it (OCI Distribution Specification 1.1, "Listing Referrers"). */
function descriptorOf(manifest: ContentManifest): Descriptor {
  const { mediaType, digest, bytes, subject, artifactType, annotations } = manifest
  const size = bytes.byteLength
  if (subject === undefined) return { mediaType, digest, size }
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations: withoutRefName(annotations) }),
  }
}
