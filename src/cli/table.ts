/** What a terminal would obey, or show as something else: control characters, and those that turn the direction of text. */
const HIDDEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** Names come from strangers, too: none may move the cursor of whoever reads the log. */
export function printable(text: string): string {
  return text.replace(HIDDEN, escaped)
}

function escaped(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
}

/** Of a column; a cell that is wider stands out. One of a stranger with a million signs must not widen all the others. */
const MOST_WIDTH = 1000

/** Columns two spaces apart, without space at the ends of lines. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable))
  const widths: number[] = []
  for (const row of cells) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.min(MOST_WIDTH, Math.max(widths[column] ?? 0, Bun.stringWidth(cell)))
    }
  }
  const pad = (cell: string, column: number) =>
    cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - Bun.stringWidth(cell)))
  return cells.map((row) => `${row.map(pad).join('  ').trimEnd()}\n`).join('')
}

/**
 * A text in lines of so many columns, the first of `room` and the others of `rest`, broken after a space where there is one: put
 * together again they are the text.
 */
export function folded(text: string, room: number, rest = room): string[] {
  const lines: string[] = []
  let line = ''
  let used = 0
  for (const character of text) {
    const width = Bun.stringWidth(character)
    if (line !== '' && used + width > (lines.length === 0 ? room : rest)) {
      const space = line.lastIndexOf(' ')
      lines.push(space > 0 ? line.slice(0, space + 1) : line)
      line = space > 0 ? line.slice(space + 1) : ''
      used = Bun.stringWidth(line)
    }
    line += character
    used += width
  }
  return [...lines, line]
}

/** The same JSON; what JSON leaves as it is and a terminal would obey is escaped. */
export function printableJson(text: string): string {
  const safe = text.replace(HIDDEN, (character) => {
    if (character === '\n' || character === '\t' || character === '\r') return character
    return [...Array(character.length).keys()]
      .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
      .join('')
  })
  return safe.endsWith('\n') ? safe : `${safe}\n`
}

/** `2026-01-02T03:04:05.678Z` without the fraction, also in another zone. */
export function timeCell(iso: string | null, none = '-'): string {
  return iso === null ? none : iso.replace(/\.\d+(?=Z$|[+-]\d\d:\d\d$)/, '')
}

/** `team=a,b role=x` */
export function labelsCell(labels: Record<string, readonly string[]>): string {
  return Object.entries(labels)
    .map(([label, values]) => `${label}=${values.join(',')}`)
    .join(' ')
}

export function shellWord(text: string): string {
  return /^[\w./@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
