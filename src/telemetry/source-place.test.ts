import { afterAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sourcePlace } from './source-place.ts'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'berth-source-place-')))
afterAll(() => rmSync(folder, { recursive: true }))

/** Line and column of a text in a file, as a stack counts them. */
function placeOf(path: string, text: string) {
  const lines = readFileSync(path, 'utf8').split('\n')
  const line = lines.findIndex((each) => each.includes(text))
  return { path, line: line + 1, column: (lines[line]?.indexOf(text) ?? -1) + 1 }
}

test('a place in a bundle is the one in the source, where the map lies aside', async () => {
  const source = join(folder, 'source.ts')
  const bundle = join(folder, 'source.js')
  writeFileSync(source, "type Unused = string\n\nexport function first() {\n  return globalThis.String('here')\n}\n")
  await Bun.build({ entrypoints: [source], outdir: folder, target: 'bun', format: 'cjs', sourcemap: 'external' })
  mkdirSync(join(folder, 'maps'))
  renameSync(`${bundle}.map`, join(folder, 'maps/source.js.map'))

  const place = placeOf(bundle, 'globalThis')
  expect(place.line).not.toBe(4)
  expect(sourcePlace(place)).toEqual({ path: source, line: 4 })
  // Before the first line of the source there is nothing of it.
  expect(sourcePlace({ path: bundle, line: 1, column: 1 })).toEqual({ path: bundle, line: 1 })
})

test('a place in a file without a map is itself', () => {
  const path = join(folder, 'unmapped.js')
  expect(sourcePlace({ path, line: 7, column: 3 })).toEqual({ path, line: 7 })
})
