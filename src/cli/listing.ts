import { formatTable, printable } from './table.ts'

/** A list for people: rows under titles. */
export interface Listing {
  titles: readonly string[]
  rows: readonly (readonly string[])[]
  /** Titles of what the next command needs as it stands (ids, names): it is never cut. */
  keep?: readonly string[]
  /** Titles of ids that a terminal shows the first eight digits of: the next command takes them. */
  brief?: readonly string[]
  /** Titles of what is left out where there is no room for it, the last of these first. */
  spare?: readonly string[]
  /** Whether the last column is whole in any case, and the terminal breaks its lines: names of files, sentences. */
  wraps?: boolean
  /** A sentence that is said where there are no rows. */
  empty: string
}

/** Where it is shown. */
export interface Screen {
  out(text: string): void
  error(text: string): void
}

/**
 * Shows it. `room`: columns of the terminal, on which digests, then times, then columns are shortened until the table fits;
 * undefined: there is none, and all is shown whole. What is left out is said on standard error, as is that there is nothing.
 */
export function writeListing(screen: Screen, listing: Listing, room: number | undefined): void {
  if (listing.rows.length === 0) {
    screen.error(`${printable(listing.empty)}\n`)
    return
  }
  const { text, leftOut } = layOut(listing, room)
  screen.out(text)
  if (leftOut.length > 0) screen.error(`Left out: ${leftOut.join(', ')} (--no-trunc shows all)\n`)
}

interface Column {
  title: string
  cells: readonly string[]
  isKept: boolean
}

/** Columns between two columns. */
const GAP = 2
/** Columns from which on a cut cell is good to read, and below which it says nothing any more. */
const EASY = 28
const LEAST = 16
/** Steps before the first that costs more than a cut. */
const CUTTING = 4

function layOut({ titles, rows, keep = [], brief = [], spare = [], wraps = false }: Listing, room: number | undefined) {
  const whole = titles.map((title, index): Column => {
    return { title, cells: rows.map((row) => printable(row[index] ?? '')), isKept: keep.includes(title) }
  })
  if (room === undefined) return { text: tableOf(whole), leftOut: [] }
  let columns = mapped(whole, shortDigests).map((one) =>
    brief.includes(one.title) ? { ...one, cells: one.cells.map((cell) => cell.replace(UUID, '$1')) } : one,
  )
  // Of a last column that wraps no more counts than makes its lines good to read.
  const widths = (some = columns) =>
    some.map(naturalWidth).map((width, index) => {
      return wraps && index === some.length - 1 ? Math.min(width, EASY) : width
    })
  const fits = (some = columns) => widthOf(widths(some)) <= room
  const inDays = () => mapped(columns, (cell) => cell.replace(TO_DAYS, '$1'))
  const steps: (() => Column[])[] = [
    () => mapped(columns, (cell) => cell.replace(TO_MINUTES, '$1Z')),
    // Nobody needs an id where there is none.
    () => columns.filter((one, index) => index === 0 || one.cells.some((cell) => !/^-?$/.test(cell))),
    () => columns.filter((one) => !spare.includes(one.title) || one.cells.some((cell) => !NOUGHT.test(cell))),
    () => mapped(columns, (cell) => cell.replace(/^application\//, '')),
    // The time of day goes where that is enough, and else last: it tells events from one another.
    () => (fits(inDays()) ? inDays() : columns),
    ...spare.toReversed().map((title) => () => columns.filter((one) => one.title !== title)),
    inDays,
  ]
  for (const [index, step] of steps.entries()) {
    const isCut = index >= CUTTING && narrowed(columns, widths(), room, EASY) !== undefined
    if (!fits() && !isCut) columns = step()
  }
  const shown = columns.map(({ title }) => title)
  const leftOut = spare.filter((title) => !shown.includes(title) && isTold(whole, title))
  if (fits() || wraps) return { text: tableOf(columns), leftOut }
  const cuts = narrowed(columns, widths(), room, LEAST)
  if (cuts === undefined) return { text: recordsOf(mapped(whole, shortDigests)), leftOut: [] }
  return { text: tableOf(columns.map((one, index) => cut(one, cuts[index] ?? 0))), leftOut }
}

/** Whether a column that is not shown would have said anything. */
function isTold(columns: readonly Column[], title: string): boolean {
  return columns.some((one) => one.title === title && one.cells.some((cell) => !/^-?$/.test(cell)))
}

const UUID = /^([0-9a-f]{8})(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** A column of which nothing came about. */
const NOUGHT = /^(?:-|0(?: B)?)?$/
const TO_MINUTES = /^(\d{4}-\d\d-\d\dT\d\d:\d\d):\d\dZ$/
const TO_DAYS = /^(\d{4}-\d\d-\d\d)T\d\d:\d\dZ$/

/** 12 digits, as docker shows them: alone where the cell has nothing else. */
export function shortDigests(cell: string): string {
  return cell
    .replace(/^sha(?:256|512):([0-9a-f]{12})[0-9a-f]{52,}$/, '$1')
    .replace(/\b(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{52,}/g, '$1')
}

function mapped(columns: readonly Column[], change: (cell: string) => string): Column[] {
  return columns.map((one) => ({ ...one, cells: one.cells.map(change) }))
}

function naturalWidth({ title, cells }: Column): number {
  return cells.reduce((most, cell) => Math.max(most, Bun.stringWidth(cell)), Bun.stringWidth(title))
}

function widthOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1)
}

/** The widest columns give way first, to `least` at most. Undefined where the room is too small for all of them. */
function narrowed(
  columns: readonly Column[],
  natural: readonly number[],
  room: number,
  least: number,
): number[] | undefined {
  const widths = [...natural]
  const floors = columns.map(({ title, isKept }, index) => {
    return isKept ? (widths[index] ?? 0) : Math.max(least, Bun.stringWidth(title))
  })
  while (widthOf(widths) > room) {
    const loose = widths.map((width, index) => (width > (floors[index] ?? 0) ? width : 0))
    const widest = Math.max(...loose)
    if (widest === 0) return undefined
    widths[loose.indexOf(widest)] = widest - 1
  }
  return widths
}

function cut({ cells, ...column }: Column, width: number): Column {
  return { ...column, cells: cells.map((cell) => cutText(cell, width)) }
}

/** Of a sentence the beginning; of a name, whose end tells as much, both ends. */
export function cutText(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text
  const characters = [...text]
  const tail = text.includes(' ') ? 0 : Math.floor((width - 1) / 2)
  const end = taken(characters.toReversed(), tail).toReversed()
  return `${taken(characters, width - 1 - tail).join('')}…${end.join('')}`
}

/** The first of them that have room. */
function taken(characters: readonly string[], width: number): string[] {
  let used = 0
  const past = characters.findIndex((character) => {
    used += Bun.stringWidth(character)
    return used > width
  })
  return characters.slice(0, past === -1 ? undefined : past)
}

function tableOf(columns: readonly Column[]): string {
  const [first] = columns
  const rows = (first?.cells ?? []).map((_, row) => columns.map(({ cells }) => cells[row] ?? ''))
  return formatTable([columns.map(({ title }) => title), ...rows])
}

/** A block for each row, a line for each cell that says something: no terminal is too narrow for that. */
function recordsOf(columns: readonly Column[]): string {
  const [first] = columns
  const blocks = (first?.cells ?? []).map((_, row) => {
    const lines = columns.map(({ title, cells }) => [title, cells[row] ?? ''])
    return formatTable(lines.filter(([, cell = '']) => !/^-?$/.test(cell)))
  })
  return blocks.join('\n')
}
