/** Characters that steer a terminal or hide from a reader: control (C0, DEL, C1), format (bidirectional too), separators of lines. */
const UNSEEN = /[\p{Cc}\p{Cf}\u2028\u2029]/gu

/** JSON (or a string in it) without such characters, that says the same: each is escaped (RFC 8259 section 7). */
export function visibleJson(json: string): string {
  return json.replace(UNSEEN, (character) => {
    let escaped = ''
    for (let i = 0; i < character.length; i++) escaped += `\\u${hex(character.charCodeAt(i), 4)}`
    return escaped
  })
}

/** Text between quotes as Apache's httpd logs it: what would end the field or be unseen is escaped (`\"`, `\x9b`, `\u{202e}`). */
export function visibleQuoted(text: string): string {
  return text.replace(UNQUOTABLE, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`
    const code = character.codePointAt(0) ?? 0
    return code > 0xff ? `\\u{${hex(code, 4)}}` : `\\x${hex(code, 2)}`
  })
}

const UNQUOTABLE = /["\\\p{Cc}\p{Cf}\u2028\u2029]/gu

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0')
}
