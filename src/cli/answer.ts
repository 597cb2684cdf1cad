import type { AdminContext, AdminFlags, Answer } from './control.ts'
import { type Listing, writeListing } from './listing.ts'
import { formatTable, printable, printableJson, shellWord } from './table.ts'

/** Shows an answer as `--format` wants it: names and values, a line each. */
export function show<T>(
  context: AdminContext,
  flags: AdminFlags,
  answer: Answer<T>,
  rows: (json: T) => readonly (readonly string[])[],
): void {
  context.out(flags.format === 'json' ? printableJson(answer.text) : formatTable(rows(answer.json)))
}

export interface ListFlags extends AdminFlags {
  /** False with `--no-trunc`. */
  trunc?: boolean
}

/** As `show`, a list; and how to see what comes after it. */
export function showList<T>(
  context: AdminContext,
  flags: ListFlags,
  answer: Answer<T>,
  listing: (json: T) => Listing,
): void {
  if (flags.format === 'json') context.out(printableJson(answer.text))
  else writeListing(context, listing(answer.json), roomOf(context, flags))
  tellOfMore(context, answer)
}

/** How to see what comes after an answer, where there is more. */
export function tellOfMore<T>(context: AdminContext, answer: Answer<T>): void {
  const [name, value] =
    answer.next?.get('before') == null ? ['last', answer.next?.get('last')] : ['before', answer.next.get('before')]
  if (value != null) context.error(`There is more: add --${name} ${shellWord(printable(value))}\n`)
}

/** Columns that a list has; undefined: as many as it wants. */
export function roomOf({ columns }: AdminContext, { trunc }: ListFlags): number | undefined {
  return trunc === false ? undefined : columns
}

/** What is said in place of no rows: of all there is, or of those that were asked for. */
export function emptyText(all: string, conditions: readonly unknown[]): string {
  return conditions.every((one) => one === undefined) ? all : 'Nothing fits what was asked for.'
}

/** What has happened: for people on standard error; a program reads the answer. */
export function tell<T>(context: AdminContext, flags: AdminFlags, answer: Answer<T>, message: string): void {
  if (flags.format === 'json' && answer.text !== '') context.out(printableJson(answer.text))
  context.error(`${printable(message)}\n`)
}
