import type { FindingView, VerifyRunView, VerifyStatusView } from '../http/api/verification-schemas.ts'
import { bytesText, counted, countText } from './progress.ts'
import { timeCell } from './table.ts'

/** Images that a finding shows; the API has more of them. */
const SHOWN = 10

/** What it is, what is wrong with it, what it breaks, what was done and what is to do: a line each. */
export function findingText(finding: FindingView): string[] {
  const { severity, what, detail, affected, outcome, done, advice } = finding
  const word = outcome === 'mended' ? 'mended' : severity
  const lines = [`${word.padEnd(7)}  ${what}`, `         ${detail}`]
  const names = affected.slice(0, SHOWN).map(nameOf)
  const more = affected.length > SHOWN ? `, and ${affected.length - SHOWN} more` : ''
  if (names.length > 0) lines.push(`         affects ${names.join(', ')}${more}`)
  if (done !== null) lines.push(`         done: ${done}`)
  if (advice !== null) lines.push(`         to do: ${advice}`)
  return lines
}

function nameOf({ repository, tag, manifest }: FindingView['affected'][number]): string {
  return tag === null ? `${repository}@${manifest}` : `${repository}:${tag}`
}

const STEPS: Record<string, string> = {
  rows: 'comparing rows',
  manifests: 'reading manifests',
  blobs: 'looking at blobs',
  uploads: 'looking at uploads',
  files: 'looking for files that nothing needs',
  quotas: 'counting what quotas count',
}

export function progressText({ progress, faults }: VerifyRunView): string {
  const { step, done, total, bytes, totalBytes } = progress
  const amount = total === null ? countText(done) : `${countText(done)} of ${countText(total)}`
  const hashed = step === 'blobs' && totalBytes !== null ? `, ${bytesText(bytes)} of ${bytesText(totalBytes)}` : ''
  return `${STEPS[step] ?? step}: ${amount}${hashed}; ${counted(faults, 'fault')} so far`
}

export function sumText({ deep, faults, left, notes, progress, state }: VerifyRunView): string {
  if (state !== 'done') return ''
  const looked = deep ? `; ${bytesText(progress.bytes)} were hashed` : '; what blobs hold was not hashed (--deep)'
  const also = notes === 0 ? '' : ` ${counted(notes, 'note')}.`
  if (faults === 0) return `All is well${looked}.${also}\n`
  const mended = faults - left
  if (left === 0) return `${counted(faults, 'fault')}, set right${looked}.${also}\n`
  const done = mended === 0 ? '' : `, ${countText(mended)} set right, ${countText(left)} left`
  return `${counted(faults, 'fault')}${done}${looked}.${also}\n`
}

export function verifyStatusRows({ scrub, damaged }: VerifyStatusView): string[][] {
  const rows: string[][] = []
  if (scrub === null) rows.push(['scrub', 'has not begun'])
  else {
    const { startedAt, endedAt, blobs, bytes } = scrub
    const times = endedAt === null ? `since ${timeCell(startedAt)}` : `${timeCell(startedAt)} to ${timeCell(endedAt)}`
    rows.push(['scrub', `${times}: ${countText(blobs)} blobs, ${bytesText(bytes)}, ${scrub.damaged} found damaged`])
  }
  if (damaged.length === 0) rows.push(['damaged', 'nothing'])
  for (const { digest, reason, foundAt, affected } of damaged) {
    const needs = affected.slice(0, SHOWN).map(nameOf).join(' ')
    rows.push(['damaged', digest, reason, timeCell(foundAt), needs === '' ? '-' : needs])
  }
  return rows
}
