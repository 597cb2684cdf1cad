import type { Finding, Report } from '../run-export.ts'
import { bytesText, countText } from './progress.ts'
import { formatTable, printable } from './table.ts'

/** Findings of a kind that are shown in full; the report as JSON has more. */
const SHOWN = 10

type Kind = Finding['kind']

/** What a kind stands for. */
const MEANING: Record<Kind, string> = {
  'missing-bytes': 'blobs whose bytes are not there',
  'path-taken': 'repositories whose layout would lie within another one',
  'not-found': 'images that are not there',
  'media-type': 'manifests that name no media type themselves, which the original takes for OCI manifests',
  sha512: 'manifests with a sha512 digest, which the original serves, but does not take when they are pushed again',
  referrer: 'manifests that refer to another one, which the original does not list: it has no referrers API',
  converted: "tags that lead to an OCI manifest in place of Docker's, as skopeo writes it (--verbatim leaves them)",
}

const PROBLEMS: readonly Kind[] = ['missing-bytes', 'path-taken', 'not-found']

export function formatReport(report: Report): string {
  const { repositories, tags, manifests, blobs, linked, copied, present } = report
  const amount = ({ files, bytes }: Report['linked']) => `${countText(files)} (${bytesText(bytes)})`
  return formatTable([
    ['REPOSITORIES', 'TAGS', 'MANIFESTS', 'BLOBS', 'LINKED', 'COPIED', 'THERE ALREADY'],
    [...[repositories, tags, manifests, blobs].map(countText), ...[linked, copied, present].map(amount)],
  ])
}

/** Problems one by one, the rest in numbers with an example. */
export function reportProblems({ findings, counts }: Report): string {
  const lines: string[] = []
  for (const [kind, count] of Object.entries(counts) as [Kind, number][]) {
    const of = findings.filter((finding) => finding.kind === kind)
    const isProblem = PROBLEMS.includes(kind)
    const shown = of.slice(0, isProblem ? SHOWN : 1)
    if (isProblem) lines.push(...shown.map((finding) => `problem: ${lineOf(finding)}`))
    else
      lines.push(...shown.map((finding) => `note: ${MEANING[kind]}: ${countText(count)}, such as ${lineOf(finding)}`))
    if (isProblem && count > shown.length)
      lines.push(`problem: and ${countText(count - shown.length)} more ${MEANING[kind]}`)
  }
  return lines.map((line) => `${printable(line)}\n`).join('')
}

function lineOf({ repository, reference, detail }: Finding): string {
  const separator = reference.includes(':') ? '@' : ':'
  const name = reference === repository ? repository : `${repository}${separator}${reference}`
  return `${name}: ${detail}`
}

/** What to do with it. */
export function nextSteps({ layout, directory, inPlace, dryRun }: Report): string {
  if (dryRun) return `Nothing was written to ${directory} (--dry-run).\n`
  if (layout === 'oci') return `The layouts are in ${directory}; skopeo reads them as oci:FOLDER:TAG.\n`
  if (!inPlace) return `A registry:2 or 3 whose rootdirectory is ${directory} serves all of it.\n`
  return (
    `A registry:2 or 3 whose rootdirectory is ${directory} goes on from here. Stop it before Berth starts there again, ` +
    'which then adopts what has changed.\n'
  )
}
