import type { Amount, Missing } from '../run-backup.ts'
import { bytesText, countText } from './progress.ts'
import { printable } from './table.ts'

/** Blobs that are named one by one; the report as JSON has all. */
const SHOWN = 10

export function amountText({ files, bytes }: Amount): string {
  return `${countText(files)} (${bytesText(bytes)})`
}

export function missingLines(missing: readonly Missing[]): string {
  const lines = missing.slice(0, SHOWN).map(({ digest, detail }) => `problem: ${digest}: ${detail}`)
  if (missing.length > SHOWN) lines.push(`problem: and ${countText(missing.length - SHOWN)} more`)
  return lines.map((line) => `${printable(line)}\n`).join('')
}
