import { type Adoption, faultWords } from '../run-adopt.ts'
import { bytesText, countText } from './progress.ts'
import { formatTable, printable } from './table.ts'

/** The report as a table: what was found, what was done, what is wrong. */
export function reportText(adoption: Adoption): string {
  const { found, changed, dryRun } = adoption
  const rows = [
    ['FOUND', 'COUNT', dryRun ? 'WOULD BE NEW' : 'NEW'],
    ['repositories', countText(found.repositories), ''],
    ['manifests', countText(found.manifests), countText(changed.manifests)],
    ['  that refer to another', countText(found.referrers), ''],
    ['tags', countText(found.tags), countText(changed.tags)],
    ['blobs', `${countText(found.blobs)} (${bytesText(found.bytes)})`, countText(changed.blobs)],
    ['  that no manifest needs', `${countText(found.unreferencedBlobs)} (${bytesText(found.unreferencedBytes)})`, ''],
    ['links to blobs', countText(found.links), countText(changed.links)],
    ['uploads under way', countText(found.uploads), countText(changed.uploads)],
  ]
  const later: [string, number][] = [
    ['tags that registry:2 moved since', changed.movedTags],
    ['tags that Berth moved later (kept)', changed.keptTags],
    ['tags that registry:2 deleted', changed.deletedTags],
    ['manifests that registry:2 deleted', changed.deletedManifests],
    ['links that registry:2 deleted', changed.deletedLinks],
  ]
  for (const [what, times] of later) if (times > 0) rows.push([what, '', countText(times)])
  return `${formatTable(rows)}\n${faultText(adoption)}`
}

function faultText({ faults, examples }: Adoption): string {
  const kinds = Object.entries(faults) as [keyof Adoption['faults'], number][]
  if (kinds.length === 0) return 'Nothing is broken.\n'
  const lines = kinds.flatMap(([kind, times]) => [
    `${countText(times)} ${faultWords(kind)}`,
    ...examples.filter((fault) => fault.kind === kind).map(({ path, detail }) => `  ${path}: ${detail}`),
  ])
  return lines.map((line) => `${printable(line)}\n`).join('')
}

/** What is left to say, below the table. */
export function closingLines({ dryRun, retired, file, verified }: Adoption): string[] {
  const lines: string[] = []
  if (dryRun) lines.push('Nothing was changed (--dry-run).')
  if (!verified) lines.push('The bytes of blobs were not hashed (--verify does it).')
  if (retired !== undefined) lines.push(`What registry:2 knew of its images is in ${retired} now.`)
  if (file !== undefined) lines.push(`The full report is in ${file}.`)
  return lines
}
