/** Columns below which a line says nothing any more. */
const LEAST = 40

export interface Margins {
  /** What the first line begins with. */
  first?: string
  /** What the others begin with; as the first does, unless told. */
  rest?: string
  /** Columns, margins included. */
  room: number
}

/** Of a terminal; undefined: there is none, and lines are as long as they are. */
export function roomOf(width: number | undefined): number {
  return width === undefined ? Number.POSITIVE_INFINITY : Math.max(LEAST, width)
}

/** A sentence in lines that fit, broken between words; what is longer than a line, as paths and commands may be, is never broken. */
export function wrapped(sentence: string, { first = '', rest = first, room }: Margins): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of sentence.split(' ')) {
    const longer = line === '' ? `${first}${word}` : `${line} ${word}`
    if (line === '' || Bun.stringWidth(longer) <= room) {
      line = longer
      continue
    }
    lines.push(line)
    line = `${rest}${word}`
  }
  return [...lines, line]
}
