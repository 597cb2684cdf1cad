import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { referenceMarkdown } from './reference.ts'

test('docs/configuration.md is what the schema says: bin/berth config schema --markdown > docs/configuration.md', async () => {
  const document = await Bun.file(join(import.meta.dir, '../../docs/configuration.md')).text()
  expect(document).toBe(referenceMarkdown())
})

test('every key that is no section has a line, with words', () => {
  const rows = referenceMarkdown()
    .split('\n')
    .filter((line) => /^\| `[a-z]/.test(line) && line.split(' | ').length > 3)
  expect(rows.length).toBeGreaterThan(100)
  expect(rows.filter((line) => /\| *\.? *\|$/.test(line))).toEqual([])
})
