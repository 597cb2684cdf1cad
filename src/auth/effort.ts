/**
 * How much one request may still cost where labels multiply the patterns of rules. One unit is about 60 ns: the whole is
 * some 60 ms, in which nothing else is answered.
 */
export interface Effort {
  left: number
}

const WHOLE = 1_000_000

export function newEffort(): Effort {
  return { left: WHOLE }
}

/** @throws RangeError when there is not so much left; the question is refused rather than answered late. */
export function spend(effort: Effort, units: number): void {
  effort.left -= units
  if (effort.left < 0) throw new RangeError('too many combinations of labels')
}

/** Looking for a value of a label in a text of that length. */
export const costOfLook = (text: string): number => 1 + (text.length >> 8)
/** Filling a pattern, and matching it. */
export const costOfMatch = (pattern: string, text: string): number => 25 + ((pattern.length * text.length) >> 8)
export const costOfCompiling = (expression: string): number => 1_500 + 16 * expression.length
