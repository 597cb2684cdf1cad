/**
 * Go's `path.Match`: `*` is any run without `/`, `?` one character but `/`, `[a-z]` and `[^a-z]` one character (which may
 * be `/`), `\c` the character itself; the whole name must match. A malformed pattern matches nothing.
 *
 * It works on bytes, each a character of the strings here, because Go's `*` skips bytes and not characters.
 */
export function matchGlob(glob: string, text: string): boolean {
  let pattern = toBytes(glob)
  let name = toBytes(text)
  while (pattern !== '') {
    const { star, chunk, rest } = scanChunk(pattern)
    pattern = rest
    if (star && chunk === '') return !name.includes('/')
    const end = matchChunk(chunk, name, 0)
    if (end >= 0 && (end === name.length || pattern !== '')) {
      name = name.slice(end)
      continue
    }
    if (!star) return false
    const found = skipAndMatch(chunk, name, pattern === '')
    if (found < 0) return false
    // The leftmost match of a chunk is kept, as in Go: there is no way back.
    name = name.slice(found)
  }
  return name === ''
}

/** Closed classes that hold something, whole ranges, no last backslash. */
const WELL_FORMED = /^(?:\\.|[^\\[]|\[\^?(?:(?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+\])*$/su

/** What Go's `path.Match` answers ErrBadPattern for; it matches nothing. */
export function isMalformedGlob(glob: string): boolean {
  return !WELL_FORMED.test(glob)
}

/** Where `chunk` ends when the star before it takes one or more bytes; -1 if it does not match. */
function skipAndMatch(chunk: string, name: string, last: boolean): number {
  for (let i = 0; i < name.length && name[i] !== '/'; i++) {
    const end = matchChunk(chunk, name, i + 1)
    if (end === MALFORMED) return -1
    if (end >= 0 && (!last || end === name.length)) return end
  }
  return -1
}

const ASCII = /^[\0-\x7f]*$/

function toBytes(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** Splits off leading stars and what follows them, up to the next star outside a class. */
function scanChunk(pattern: string): { star: boolean; chunk: string; rest: string } {
  let start = 0
  while (pattern[start] === '*') start++
  let inClass = false
  let i = start
  for (; i < pattern.length; i++) {
    const c = pattern[i]
    if (c === '\\') i++
    else if (c === '[') inClass = true
    else if (c === ']') inClass = false
    else if (c === '*' && !inClass) break
  }
  return { star: start > 0, chunk: pattern.slice(start, i), rest: pattern.slice(i) }
}

const NO_MATCH = -1
const MALFORMED = -2

/** Matches a chunk (no stars) at `at`; the offset behind it, or NO_MATCH or MALFORMED. */
function matchChunk(chunk: string, name: string, at: number): number {
  let p = 0
  let s = at
  let failed = false
  while (p < chunk.length) {
    if (s >= name.length) failed = true
    const c = chunk[p]
    if (c === '[') {
      const rune = failed ? { code: 0, size: 0 } : decodeRune(name, s)
      const found = matchClass(chunk, p + 1, rune.code)
      if (found === undefined) return MALFORMED
      if (!found.matches) failed = true
      p = found.end
      s += rune.size
    } else if (c === '?') {
      if (name[s] === '/') failed = true
      if (!failed) s += decodeRune(name, s).size
      p++
    } else {
      if (c === '\\') p++
      if (p >= chunk.length) return MALFORMED
      if (chunk[p] !== name[s]) failed = true
      s++
      p++
    }
  }
  return failed ? NO_MATCH : s
}

/** A character class from behind its `[`; undefined when it is malformed (unclosed, empty, a range without an end). */
function matchClass(chunk: string, start: number, code: number): { matches: boolean; end: number } | undefined {
  let p = start
  const negated = chunk[p] === '^'
  if (negated) p++
  let matches = false
  for (let ranges = 0; ; ranges++) {
    if (chunk[p] === ']' && ranges > 0) return { matches: matches !== negated, end: p + 1 }
    const low = classRune(chunk, p)
    if (low === undefined) return undefined
    p = low.end
    let high = low
    if (chunk[p] === '-') {
      const bound = classRune(chunk, p + 1)
      if (bound === undefined) return undefined
      high = bound
      p = bound.end
    }
    if (low.code <= code && code <= high.code) matches = true
  }
}

/** One character of a class, which something must follow (Go's `getEsc`). */
function classRune(chunk: string, start: number): { code: number; end: number } | undefined {
  let p = start
  if (p >= chunk.length || chunk[p] === '-' || chunk[p] === ']') return undefined
  if (chunk[p] === '\\') p++
  if (p >= chunk.length) return undefined
  const { code, size } = decodeRune(chunk, p)
  if (code === REPLACEMENT && size === 1) return undefined
  const end = p + size
  return end < chunk.length ? { code, end } : undefined
}

const REPLACEMENT = 0xfffd

/** The UTF-8 character at `at`; a byte that starts none is U+FFFD of size 1, as in Go. */
function decodeRune(bytes: string, at: number): { code: number; size: number } {
  const first = bytes.charCodeAt(at)
  if (first < 0x80) return { code: first, size: 1 }
  const size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 1
  const text = Buffer.from(bytes.slice(at, at + size), 'latin1').toString('utf8')
  const code = text.codePointAt(0) ?? REPLACEMENT
  const whole = text.length === (code > 0xffff ? 2 : 1) && Buffer.byteLength(text) === size
  const valid = whole && (code !== REPLACEMENT || bytes.slice(at, at + 3) === '\xef\xbf\xbd')
  return valid ? { code, size } : { code: REPLACEMENT, size: 1 }
}
