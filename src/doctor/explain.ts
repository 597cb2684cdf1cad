import { ERROR_TEXTS, type ErrorText } from './error-texts.ts'
import { formOf } from './key-name.ts'
import { roomOf, wrapped } from './wrapped.ts'

/** What is known of a text, the closest first; of a longer one (a log) every text that stands in it. */
export function explain(text: string): ErrorText[] {
  const normal = normalized(text)
  return ERROR_TEXTS.map((entry) => ({
    entry,
    length: Math.max(...entry.texts.map((known) => lengthIn(normal, known))),
  }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => b.length - a.length)
    .map(({ entry }) => entry)
}

/** Letters of the known text that the given one has, in this order; 0: not all of them. */
function lengthIn(text: string, known: string): number {
  let at = 0
  let length = 0
  for (const part of normalized(known).split('…')) {
    const found = text.indexOf(part, at)
    if (found === -1) return 0
    at = found + part.length
    length += part.length
  }
  return length
}

/** Logs quote quotes, shells and terminals break lines. */
function normalized(text: string): string {
  return text.replaceAll('\\"', '"').replace(/[’‘]/g, "'").replace(/\s+/g, ' ').trim().toLowerCase()
}

/** What the id of a key in the text tells by itself. */
export function keyIdIn(text: string): string | undefined {
  const id = /untrusted key with ID: \\?"?([\w:-]{20,})/i.exec(text)?.[1]
  const form = id === undefined ? undefined : formOf(id)
  if (form === undefined) return undefined
  return form === 'libtrust'
    ? `the id ${id} is libtrust's fingerprint, by which registry 2.x knows keys; registry 3 does not`
    : `the id ${id} is an RFC 7638 thumbprint, by which registry 3 knows keys; registry 2.x does not`
}

/** `width`: columns of the terminal, where it has some; the lines of `fix:` are to be copied, and stay whole. */
export function formatExplanation(
  { texts, seen, cause, remedy }: ErrorText,
  more: string | undefined,
  width?: number,
): string {
  const prose = [`said by ${seen}`, cause, ...(more === undefined ? [] : [`Here ${more}.`])]
  const lines = prose.flatMap((text) => wrapped(text, { first: '  ', room: roomOf(width) }))
  return `${texts[0]}\n${lines.join('\n')}\n${remedy.map((line) => `  fix: ${line}\n`).join('')}`
}
