import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ContentManifest, ContentMove } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import { type DistributionFile, linkText, pathOf } from '../storage/distribution-path.ts'
import { openDistributionTarget } from './distribution-target.ts'
import type { ExportOptions } from './export.ts'
import { childrenOf } from './named.ts'
import { eachBlob, eachManifest, eachMove, eachRepository, eachTag, findManifest } from './pages.ts'
import { createPlaces, inFolder } from './place.ts'
import { placeBlob } from './place-blob.ts'
import { note, type Report } from './report.ts'
import { isSelected } from './selection.ts'
import { findingsOf } from './unlike.ts'

/** Milliseconds: the clock by which a file system dates what is written lags behind the one that is asked. */
const CLOCK_LAG = 1000

/**
 * Writes the tree that registry:2 and 3 serve. What Berth keeps as rows becomes links, and blobs for the bytes of
 * manifests; blobs get a second name at their path. The registry may go on meanwhile: tags never point to a manifest that
 * was left out, and what is pushed or deleted meanwhile may be there or not.
 * @throws ExportError
 */
export async function exportDistribution(options: ExportOptions, report: Report): Promise<void> {
  const { contents, directory, selection, dryRun, progress } = options
  const target = openDistributionTarget(directory, options)
  const places = createPlaces({ temporary: target.temporary, dryRun })
  const placing = { ...options, places, report }
  const begun = options.now() - CLOCK_LAG
  let links = 0

  const placeOf = (file: DistributionFile) => join(target.tree, pathOf(file, '.'))
  const blobPath = (digest: Digest) => join(directory, pathOf({ kind: 'blob', digest }))

  /** `at`: when the row says that it came, which adoption takes for the time again. */
  function link(file: DistributionFile, digest: Digest, at?: number): void {
    links++
    if (dryRun) return
    const path = placeOf(file)
    inFolder(path, () => writeFileSync(path, linkText(digest)))
    // Never in the future: what is newer than the end of an export was written by somebody else.
    const seconds = Math.min(at ?? begun, begun) / 1000
    if (at !== undefined) utimesSync(path, seconds, seconds)
  }

  /** Asked of the tree itself, for a repository may have more manifests than memory should hold. */
  const isWritten = (repository: string, digest: Digest) =>
    dryRun || existsSync(placeOf({ kind: 'revision', repository, digest }))

  function addManifest(repository: string, manifest: ContentManifest): void {
    const { digest, bytes } = manifest
    places.bytes(blobPath(digest), bytes)
    link({ kind: 'revision', repository, digest }, digest, manifest.pushedAt)
    report.manifests++
    progress.item()
    for (const finding of findingsOf(repository, manifest)) note(report, finding)
  }

  /** One that was pushed since the manifests were read, with those that it names: they were there before it. */
  async function addLate(repository: string, digest: Digest): Promise<void> {
    if (isWritten(repository, digest)) return
    const manifest = await findManifest(contents, repository, { digest })
    if (manifest === undefined) return
    for (const child of childrenOf(manifest)) {
      await addLate(repository, child.digest)
    }
    addManifest(repository, manifest)
  }

  /** What a tag pointed to before, if both are still there. */
  function addPast(repository: string, { tag, digest, at }: ContentMove): void {
    if (dryRun || !isWritten(repository, digest)) return
    const current = placeOf({ kind: 'current', repository, tag })
    if (!existsSync(current) || readFileSync(current, 'utf8') === linkText(digest)) return
    const file: DistributionFile = { kind: 'past', repository, tag, digest }
    // A tag that came back to a digest has one link for all its times: the last one counts.
    if (existsSync(placeOf(file))) links--
    link(file, digest, at)
  }

  for await (const { name: repository } of eachRepository(contents, (name) => isSelected(selection, name))) {
    report.repositories++
    for await (const manifest of eachManifest(contents, repository)) addManifest(repository, manifest)
    for await (const { name: tag, digest, updatedAt } of eachTag(contents, repository)) {
      await addLate(repository, digest)
      if (!isWritten(repository, digest)) continue
      // In this order, as the original writes them.
      link({ kind: 'past', repository, tag, digest }, digest, updatedAt)
      link({ kind: 'current', repository, tag }, digest, updatedAt)
      report.tags++
      progress.item()
    }
    for await (const move of eachMove(contents, repository)) addPast(repository, move)
    // Last, for a manifest's blobs were there before it.
    for await (const blob of eachBlob(contents, repository)) {
      const { digest } = blob
      if (!(await placeBlob(placing, repository, blob, blobPath(digest)))) continue
      link({ kind: 'layer', repository, digest }, digest)
      report.blobs++
      progress.item()
    }
  }
  target.finish(links)
}
