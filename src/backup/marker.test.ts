import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MARKER_FILE, readMarker, writeMarker } from './marker.ts'

describe('the marker of a backup', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-marker-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const whole = { snapshot: '2026-11-28T10-33-34-804Z', at: '2026-11-28T10:33:34.804Z', blobs: 27, bytes: 7 }

  test('is read as it was written', () => {
    writeMarker(folder, whole)
    expect(readMarker(folder)).toMatchObject(whole)
  })

  const others: [what: string, text: string][] = [
    ['nothing', ''],
    ['a half', '{"kind":"berth-backup"'],
    ['something else', '{"kind":"letter","format":1}'],
    ['null', 'null'],
    ['a format to come', '{"kind":"berth-backup","format":2}'],
    ['one whose snapshot is outside', '{"kind":"berth-backup","format":1,"snapshot":"../../etc"}'],
    ['one whose snapshot is the folder of all', '{"kind":"berth-backup","format":1,"snapshot":".."}'],
    ['one whose snapshot is a number', '{"kind":"berth-backup","format":1,"snapshot":5}'],
    ['one whose snapshot is a list', '{"kind":"berth-backup","format":1,"snapshot":[".."]}'],
    ['one that lacks blobs by a word', '{"kind":"berth-backup","format":1,"missing":"all"}'],
  ]
  test.each(others)('%s is none', (_, text) => {
    writeFileSync(join(folder, MARKER_FILE), text)
    expect(readMarker(folder)).toBeUndefined()
  })
})
