import { afterEach, beforeEach, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkStorage } from './check-storage.ts'
import { dataFacts } from './data-facts.ts'
import type { ServerFacts } from './server-facts.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-data-facts-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const check = (directory: string) =>
  checkStorage({ data: dataFacts(directory), settings: undefined, minFree: undefined } as unknown as ServerFacts)

test('a folder that is not there yet can be made', () => {
  expect(check(join(folder, 'a/b'))).toMatchObject([{ severity: 'ok' }])
})

test.each([
  ['in the place of the data directory', 'file', /\/file is a file, where the data directory should be: /],
  ['above it', 'file/data', /\/file is a file, so \S+\/file\/data cannot be made: /],
])('a file %s is a fault', (_, path, message) => {
  writeFileSync(join(folder, 'file'), '')
  expect(check(join(folder, path))).toMatchObject([
    { severity: 'fault', id: 'data-not-writable', message: expect.stringMatching(message) },
  ])
})

const isRoot = process.getuid?.() === 0
test.skipIf(isRoot)(`a database that this user may not write is a fault${isRoot ? ' [not as root]' : ''}`, () => {
  writeFileSync(join(folder, 'berth.db'), '')
  chmodSync(join(folder, 'berth.db'), 0o400)
  expect(check(folder)).toMatchObject([{ severity: 'fault', id: 'data-not-writable', about: join(folder, 'berth.db') }])
})
