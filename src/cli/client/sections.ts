import { folded, formatTable, printable } from '../table.ts'

/** A part of a description under a title of its own; without one it stands at the top. */
export interface Section {
  title?: string
  /** Names before values, a line each; what has no value is left out. */
  fields?: readonly (readonly [string, string | undefined])[]
  lines?: readonly string[]
}

/** Columns of a value below which it is broken no further. */
const LEAST = 20
const INDENT = '  '

/**
 * The sections of which there is anything, as text. `room`: columns of the terminal, within which values are broken into lines (nothing
 * of them is left out); undefined: there is none.
 */
export function formatSections(sections: readonly Section[], room: number | undefined): string {
  return sections
    .map(({ title, fields = [], lines = [] }) => {
      const indent = title === undefined ? '' : INDENT
      const text = [
        ...fieldLines(fields, indent, room),
        ...lines.flatMap((line) => brokenLine(line, indent, room)),
      ].join('')
      return text === '' || title === undefined ? text : `${printable(title)}\n${text}`
    })
    .join('')
}

/** What follows on the first line stands further in than that. */
function brokenLine(text: string, indent: string, room: number | undefined): string[] {
  if (room === undefined) return [`${indent}${printable(text)}\n`]
  const left = Math.max(LEAST, room - indent.length)
  const lines = folded(printable(text), left, left - INDENT.length)
  return lines.map((line, index) => `${indent}${index === 0 ? '' : INDENT}${line}`.trimEnd()).map((line) => `${line}\n`)
}

function fieldLines(fields: Section['fields'] = [], indent: string, room: number | undefined): string[] {
  const pairs = fields.flatMap(([name, value = '']) => (value === '' ? [] : [[name, value] as const]))
  const width = Math.max(0, ...pairs.map(([name]) => Bun.stringWidth(name)))
  const left = room === undefined ? undefined : room - indent.length - width - INDENT.length
  const rows = pairs.flatMap(([name, value]) => {
    const lines = left === undefined ? [printable(value)] : folded(printable(value), Math.max(LEAST, left))
    return lines.map((line, index) => [index === 0 ? name : '', line])
  })
  const table = formatTable(rows)
  return table.split('\n').flatMap((line) => (line === '' ? [] : [`${indent}${line}\n`]))
}
