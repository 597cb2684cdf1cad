import type { Mutant } from './mutants.ts'

/** The text of the mutant's file with the mistake in it. @throws Error when it does not fit the text exactly once. */
export function applied({ name, file, from, to }: Mutant, text: string): string {
  const parts = text.split(from)
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} places for the mutant "${name}", not one`)
  return parts.join(to)
}
