import { expect, test } from 'bun:test'
import { matchesEtag } from './etag.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  ['no header', null, false],
  ['an empty header', '', false],
  ['the tag', `"${digest}"`, true],
  ['a weak tag', `W/"${digest}"`, true],
  ['the digest alone', digest, true],
  ['any', '*', true],
  ['a list with it', `"x" , W/"${digest}","y"`, true],
  ['a list without it', '"x", "y"', false],
  ['a part of it', `"${digest.slice(0, -1)}"`, false],
  ['more than it', `"${digest}a"`, false],
  ['half a quotation', `"${digest}`, false],
  ['a small w', `w/"${digest}"`, false],
])('%s', (_, header, expected) => {
  expect(matchesEtag(header, digest)).toBe(expected)
})
