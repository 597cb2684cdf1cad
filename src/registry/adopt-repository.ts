import type { AdoptedManifest, AdoptedNeed } from '../metadata/metadata.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { MAX_MANIFEST_SIZE } from '../oci/manifest.ts'
import { pathOf } from '../storage/distribution-path.ts'
import type { TreeLink, TreeTag, TreeUpload } from '../storage/tree.ts'
import { type AdoptionRun, at, damaged } from './adopt-blobs.ts'
import { readAdoptedManifest } from './adopt-manifest.ts'

/** Bytes of manifests that go to the database at once. */
const PORTION_BYTES = 4 * 1024 * 1024
/** Whole blobs that are remembered, for the manifests that tell another size of them. */
const REMEMBERED = 1000

export async function adoptLinks(run: AdoptionRun, repository: string, links: readonly TreeLink[]): Promise<void> {
  await nameAliases(run, repository, links)
  const { report, metadata, now } = run
  const wanted = links.map(({ digest, modified }) => ({ digest, at: at(run, modified) }))
  const { added, missing } = await metadata.adoption.links(repository, wanted, now())
  report.found.links += links.length - missing.length
  report.changed.links += added
  for (const digest of missing) {
    run.fault({
      kind: 'dangling-link',
      path: pathOf({ kind: 'layer', repository, digest }),
      detail: 'the blob is not there',
    })
  }
}

/** A blob that was pushed under another algorithm is stored by sha256, and its link says so: it becomes a blob of its own. */
async function nameAliases(run: AdoptionRun, repository: string, links: readonly TreeLink[]): Promise<void> {
  for (const { digest, target } of links) {
    if (digest === target) continue
    const blob = await run.metadata.blobs.locate(target)
    if (blob === undefined) continue
    const key = pathOf({ kind: 'blob', digest })
    if (run.dryRun || (await run.tree.alias(digest, target))) {
      await run.metadata.adoption.blobs([{ digest, key, size: blob.size, modified: run.now() }], run.now())
    } else {
      const path = pathOf({ kind: 'layer', repository, digest })
      run.fault({ kind: 'dangling-link', path, detail: `the file system gives the bytes of ${target} no second name` })
    }
  }
}

export async function adoptManifests(run: AdoptionRun, repository: string, links: readonly TreeLink[]): Promise<void> {
  let portion: AdoptedManifest[] = []
  let bytes = 0
  for (const link of links) {
    const manifest = await readManifest(run, repository, link)
    if (manifest === undefined) continue
    portion.push(manifest)
    bytes += manifest.bytes.byteLength
    if (bytes < PORTION_BYTES) continue
    await storeManifests(run, repository, portion)
    portion = []
    bytes = 0
  }
  if (portion.length > 0) await storeManifests(run, repository, portion)
}

async function readManifest(
  run: AdoptionRun,
  repository: string,
  { digest, modified }: TreeLink,
): Promise<AdoptedManifest | undefined> {
  const path = pathOf({ kind: 'revision', repository, digest })
  const bytes = await run.tree.read(digest, MAX_MANIFEST_SIZE)
  if (bytes === 'missing') {
    run.fault({ kind: 'missing-manifest', path, detail: 'its bytes are not among the blobs' })
  } else if (bytes === 'too-large') {
    run.fault({ kind: 'invalid-manifest', path, detail: `it has more than ${MAX_MANIFEST_SIZE} bytes` })
  } else if (!(bytes instanceof Uint8Array)) run.fault(bytes)
  else return readBytes(run, repository, path, { digest, bytes, at: at(run, modified) })
  return undefined
}

function readBytes(
  run: AdoptionRun,
  repository: string,
  path: string,
  { digest, bytes, at }: { digest: Digest; bytes: Uint8Array; at: number },
): AdoptedManifest | undefined {
  const actual = digestOf(bytes, digest.startsWith('sha512:') ? 'sha512' : 'sha256')
  if (actual !== digest) {
    run.fault({ kind: 'damaged-manifest', path, detail: `its bytes are ${actual}` })
    return undefined
  }
  const read = readAdoptedManifest(bytes, digest, at)
  if (read.kind === 'invalid') {
    run.fault({ kind: 'invalid-manifest', path, detail: read.why })
    return undefined
  }
  if (read.kind === 'schema-1') {
    run.fault({ kind: 'schema-1', path, detail: 'kept as it is; skopeo copy --format v2s2 makes one of today of it' })
  }
  const { references } = read.manifest
  const blobs = new Set(references.flatMap(({ digest, kind }) => (kind === 'blob' ? [digest] : [])))
  const children = references.flatMap(({ digest, kind }) => (kind === 'manifest' ? [digest] : []))
  const missing = new Set(
    children.filter((child) => run.tree.has({ kind: 'revision', repository, digest: child }) === false),
  )
  for (const child of missing) {
    if (blobs.has(child)) continue
    run.fault({ kind: 'missing-child', path, detail: `the repository does not have ${child}` })
  }
  // What is named as both, and is a manifest, needs not be a blob, too.
  const found = new Set(children.filter((child) => blobs.has(child) && !missing.has(child)))
  return {
    ...read.manifest,
    references: references.map((one) => (found.has(one.digest) ? { ...one, required: false } : one)),
  }
}

async function storeManifests(run: AdoptionRun, repository: string, manifests: AdoptedManifest[]): Promise<void> {
  const { report, metadata, validated, now } = run
  const { added, needs } = await metadata.adoption.manifests(repository, manifests, { relink: validated, now: now() })
  report.found.manifests += manifests.length
  report.found.referrers += manifests.filter(({ subject }) => subject !== undefined).length
  report.changed.manifests += added
  for (const need of needs) await tellNeed(run, repository, need)
}

async function tellNeed(run: AdoptionRun, repository: string, need: AdoptedNeed): Promise<void> {
  const path = pathOf({ kind: 'revision', repository, digest: need.manifest })
  if (need.kind === 'size') await examine(run, need)
  else if (need.kind === 'missing') run.fault({ kind: 'missing-blob', path, detail: need.digest })
  else {
    const done = run.validated ? 'linked now' : 'not linked, for validation.disabled let anybody name it'
    run.fault({ kind: 'unlinked-blob', path, detail: `${need.digest}: ${done}` })
  }
}

/** Either the bytes are not whole, or the manifest tells a lie: only the bytes can say. */
async function examine(run: AdoptionRun, need: Extract<AdoptedNeed, { kind: 'size' }>): Promise<void> {
  const { digest, size, found } = need
  if (run.good.has(digest)) return
  const blob = await run.metadata.blobs.locate(digest)
  if (blob === undefined || blob.size === size) return
  const actual = await run.tree.hash(blob.key, found)
  if (actual === digest) {
    if (run.good.size >= REMEMBERED) run.good.clear()
    run.good.add(digest)
    return
  }
  await run.metadata.adoption.distrust(digest, size)
  const { path, detail } = damaged(blob.key, actual)
  run.fault({ kind: 'damaged-blob', path, detail: `${detail}; it has ${found} bytes where manifests tell ${size}` })
}

export async function adoptTags(run: AdoptionRun, repository: string, tags: readonly TreeTag[]): Promise<void> {
  const { report, metadata, isExport, now } = run
  const wanted = tags.map(({ name, digest, modified, past }) => ({
    name,
    digest,
    at: at(run, modified),
    past: past.map((entry) => ({ digest: entry.digest, at: at(run, entry.at) })),
  }))
  const outcomes = await metadata.adoption.tags(repository, wanted, { isTruth: isExport, now: now() })
  for (const [index, outcome] of outcomes.entries()) {
    const tag = tags[index]
    if (outcome === 'dangling') {
      const path = pathOf({ kind: 'current', repository, tag: tag?.name ?? '' })
      run.fault({ kind: 'dangling-tag', path, detail: `the repository does not have ${tag?.digest}` })
      continue
    }
    report.found.tags++
    if (outcome === 'new') report.changed.tags++
    else if (outcome === 'moved') report.changed.movedTags++
    else if (outcome === 'kept') report.changed.keptTags++
  }
}

export async function adoptUploads(
  run: AdoptionRun,
  repository: string,
  uploads: readonly TreeUpload[],
): Promise<void> {
  const { report, metadata, tree, bootId, dryRun } = run
  for (const { id, startedAt, modified } of uploads) {
    const known = await metadata.uploads.find(repository, id)
    if (known !== undefined) {
      report.found.uploads++
      continue
    }
    const path = pathOf({ kind: 'upload-data', repository, upload: id })
    // Whoever copies the folder of a repository copies what was under way in it: only the first of them goes on.
    if (await metadata.uploads.exists(id)) {
      run.fault({ kind: 'broken-upload', path, detail: 'another repository has the upload; the client begins again' })
      continue
    }
    const isThere = !dryRun || tree.has({ kind: 'upload-data', repository, upload: id }) === true
    const upload = dryRun ? { id, size: 0, state: '' } : await tree.takeUpload(repository, id)
    if (!isThere || upload === undefined) {
      run.fault({ kind: 'broken-upload', path, detail: 'its bytes are not there; the client begins again' })
      continue
    }
    const times = { startedAt: at(run, startedAt), updatedAt: at(run, modified) }
    await metadata.uploads.start({ ...upload, repository, digest: undefined, bootId, ...times })
    report.found.uploads++
    report.changed.uploads++
  }
}
