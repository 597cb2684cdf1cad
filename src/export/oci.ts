import { join } from 'node:path'
import { LRUCache } from 'lru-cache'
import type { StoredBlob } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { ExportOptions } from './export.ts'
import { createLayoutWriter, type LayoutWriter } from './oci-layout.ts'
import { openLayout, openOciTarget, pathTaken } from './oci-target.ts'
import { eachBlob, eachManifest, eachRepository, eachTag } from './pages.ts'
import { createPlaces } from './place.ts'
import { placeBlob } from './place-blob.ts'
import { note, type Report } from './report.ts'
import { isSelected, singleRepository, tagsOf } from './selection.ts'

/** Blobs whose place in another layout is remembered, so that their bytes need not be copied twice. */
const REMEMBERED = 50_000

/**
 * Writes OCI image layouts: one for each repository, in a folder of its name; a single repository that is named exactly
 * becomes the layout itself. Their indexes name each tag, and all that could not be found otherwise (referrers, manifests
 * without a tag).
 * @throws ExportError
 */
export async function exportOci(options: ExportOptions, report: Report): Promise<void> {
  const { contents, directory, selection, dryRun, now } = options
  const single = singleRepository(selection)
  const target = openOciTarget(directory, { single, dryRun, now })
  const places = createPlaces({ temporary: target.temporary, dryRun })
  const placing = { ...options, places, report }
  const placed = new LRUCache<Digest, string>({ max: REMEMBERED })
  const missing = new Set(selection.images.keys())

  for await (const { name } of eachRepository(contents, (repository) => isSelected(selection, repository))) {
    missing.delete(name)
    const taken = single === undefined ? pathTaken(name) : undefined
    if (taken !== undefined) {
      const detail = `${taken}; export it alone (berth export DIR --layout oci ${name})`
      note(report, { kind: 'path-taken', repository: name, reference: name, detail })
      continue
    }
    report.repositories++
    const layout = openLayout(single === undefined ? join(directory, name) : directory, places, dryRun)
    const writer = createLayoutWriter({
      ...options,
      repository: name,
      layout,
      places,
      report,
      async place(blob: StoredBlob) {
        const path = layout.pathOf(blob.digest)
        if (!(await placeBlob(placing, name, blob, path, placed.get(blob.digest)))) return
        placed.set(blob.digest, path)
        report.blobs++
      },
    })
    const tags = tagsOf(selection, name)
    if (tags === undefined) await writeAll(options, name, writer)
    else await writeTags(tags, name, writer, report)
    writer.finish({ keepOthers: tags !== undefined })
  }
  for (const repository of missing) {
    note(report, { kind: 'not-found', repository, reference: repository, detail: 'there is no such repository' })
  }
  target.finish()
}

async function writeAll({ contents, progress }: ExportOptions, name: string, writer: LayoutWriter): Promise<void> {
  for await (const manifest of eachManifest(contents, name)) {
    await writer.addManifest(manifest)
    progress.item()
  }
  for await (const tag of eachTag(contents, name)) {
    await writer.addTag(tag.name, tag.digest)
    progress.item()
  }
  for await (const blob of eachBlob(contents, name)) {
    await writer.addBlob(blob)
    progress.item()
  }
}

async function writeTags(tags: readonly string[], name: string, writer: LayoutWriter, report: Report): Promise<void> {
  for (const tag of tags) {
    if (await writer.addImage(tag)) continue
    note(report, { kind: 'not-found', repository: name, reference: tag, detail: `there is no ${name}:${tag}` })
  }
}
