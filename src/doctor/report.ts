import { type Finding, isFault, isTrouble } from './finding.ts'
import { roomOf, wrapped } from './wrapped.ts'

export interface Report {
  /** What was examined, in one line. */
  subject: string
  findings: readonly Finding[]
}

export interface Look {
  colour: boolean
  /** Columns of the terminal; undefined: lines are as long as they are. */
  width: number | undefined
}

const SIGNS: Record<Finding['severity'], { word: string; code: string }> = {
  ok: { word: 'ok', code: '32' },
  note: { word: 'note', code: '2' },
  warning: { word: 'WARNING', code: '33' },
  fault: { word: 'FAULT', code: '31' },
}

/** For people: what is well in a line each, then what is not, each with what to do; the worst last, where the eye is. With faults the summary is left to whoever says that it failed. */
export function formatReport({ subject, findings }: Report, { colour, width }: Look): string {
  const paint = (code: string, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const order: Finding['severity'][] = ['ok', 'note', 'warning', 'fault']
  const sorted = order.flatMap((severity) => findings.filter((one) => one.severity === severity))
  const widest = Math.max(...sorted.map(({ severity }) => SIGNS[severity].word.length))
  const blocks = sorted.map((one) => {
    const { severity, id, about, message, fix } = one
    const { word, code } = SIGNS[severity]
    const head = `${paint(code, word.padEnd(widest))}  `
    const title = isTrouble(one) ? `${paint('1', id)}  ${about}` : `${id}  ${about}: ${message}`
    const indent = ' '.repeat(widest + 2)
    const room = roomOf(width)
    const lines = isTrouble(one)
      ? [
          title,
          ...wrapped(message, { first: indent, room }),
          ...fix.map((line) => `${indent}${paint('36', 'fix:')} ${line}`),
        ]
      : wrapped(title, { first: indent, room }).map((line, index) => (index === 0 ? line.trimStart() : line))
    return `${head}${lines.join('\n')}\n`
  })
  const end = findings.some(isFault) ? '' : `\n${summary(findings)}\n`
  return `${paint('1', subject)}\n\n${blocks.join('')}${end}`
}

/** One line, as the last of the report. */
export function summary(findings: readonly Finding[]): string {
  const faults = findings.filter(isFault).length
  const warnings = findings.filter(({ severity }) => severity === 'warning').length
  if (faults === 0 && warnings === 0) {
    const notes = findings.filter(({ severity }) => severity === 'note').length
    return notes === 0 ? 'All is well.' : `Nothing wrong was found; ${notes} could not be looked at.`
  }
  const parts = [
    ...(faults === 0 ? [] : [`${faults} ${faults === 1 ? 'fault' : 'faults'}`]),
    ...(warnings === 0 ? [] : [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`]),
  ]
  return `${parts.join(', ')}${faults === 0 ? ': nothing that keeps it from working' : ''}.`
}

/** For programs. */
export function jsonReport({ subject, findings }: Report): string {
  const count = (severity: Finding['severity']) => findings.filter((one) => one.severity === severity).length
  return JSON.stringify(
    {
      subject,
      healthy: !findings.some(isFault),
      faults: count('fault'),
      warnings: count('warning'),
      findings: findings.map(({ severity, id, about, message, fix }) => ({
        severity,
        id,
        about,
        message,
        fix: [...fix],
      })),
    },
    undefined,
    2,
  )
}
