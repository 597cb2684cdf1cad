import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { visibleJson, visibleQuoted } from './visible.ts'

const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u

describe('JSON for terminals', () => {
  const rows: [string, string, string][] = [
    ['what can be read stays', '{"a":"ünï 字 😀 \\n"}', '{"a":"ünï 字 😀 \\n"}'],
    ['C1 and DEL', '"\u009b31m\u007f"', '"\\u009b31m\\u007f"'],
    ['text that runs backwards', '"\u202e\u2066\u061c"', '"\\u202e\\u2066\\u061c"'],
    ['separators of lines and paragraphs', '"\u2028\u2029"', '"\\u2028\\u2029"'],
    ['what has no width', '"\u200b\ufeff\u{e0041}"', '"\\u200b\\ufeff\\udb40\\udc41"'],
  ]
  test.each(rows)('%s', (_, json, expected) => expect(visibleJson(json)).toBe(expected))

  test('has nothing unseen in it, and says the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const line = visibleJson(JSON.stringify(text))
        expect(UNSEEN.test(line)).toBe(false)
        expect(JSON.parse(line)).toBe(text)
      }),
      { seed: 20_260_101 },
    )
  })
})

describe('quoted text for terminals', () => {
  const rows: [string, string, string][] = [
    ['what can be read stays', 'docker/20 (ünï)', 'docker/20 (ünï)'],
    ['quotes and backslashes', 'a"b\\c', 'a\\"b\\\\c'],
    ['bytes that steer a terminal', 'a\u001b]0;b\u0007\u007f\u009b31m', 'a\\x1b]0;b\\x07\\x7f\\x9b31m'],
    ['characters that do', '\u202e\u2028', '\\u{202e}\\u{2028}'],
  ]
  test.each(rows)('%s', (_, text, expected) => expect(visibleQuoted(text)).toBe(expected))
})
