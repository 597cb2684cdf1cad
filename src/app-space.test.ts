import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRoom } from './app-space.ts'
import type { SpaceConfig } from './config/config.ts'
import { RESERVE_FILE } from './files/reserve-file.ts'
import { createLog } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'

const MIB = 1024 * 1024
const HOUR = 3_600_000
let folder = ''
let lines: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-room-'))
  lines = []
})
afterEach(() => rmSync(folder, { recursive: true }))

function roomOf(space: SpaceConfig, clock = () => 0) {
  const write = (line: string) => lines.push(line)
  const log = createLog({ level: 'info', formatter: 'text', fields: {}, write, now: () => 1 })
  const data = { directory: folder, metadata: folder }
  return createRoom({ data, config: () => ({ space }), log, metrics: createMetrics(), clock })
}
const file = () => join(folder, RESERVE_FILE)

test('the reserve is made, follows the configuration, is given free once, and comes back', async () => {
  const space: SpaceConfig = { minFree: { bytes: 0 }, reserveBytes: MIB }
  const room = roomOf(space)
  await room.look()
  expect([statSync(file()).size, room.finding(), lines]).toEqual([MIB, undefined, []])
  space.reserveBytes = 2 * MIB
  await room.look()
  expect(statSync(file()).size).toBe(2 * MIB)
  expect([room.relieve(), room.relieve(), existsSync(file())]).toEqual([true, false, false])
  await room.look()
  expect(statSync(file()).size).toBe(2 * MIB)
  expect(lines.map((line) => /msg="([^"]+)"/.exec(line)?.[1])).toEqual([
    'the disk is full: its reserve was given free, so that deletions and the collection of garbage can go on',
    'the disk has room again: the reserve is set aside anew',
  ])
  space.reserveBytes = 0
  await room.look()
  expect([existsSync(file()), room.relieve()]).toEqual([false, false])
})

test('a reserve that cannot be made is told once, and tried again after longer and longer times', async () => {
  let time = 0
  const room = roomOf({ minFree: { bytes: 0 }, reserveBytes: MIB }, () => time)
  mkdirSync(file())
  for (time of [0, 1, HOUR, HOUR + 1, 3 * HOUR]) await room.look()
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('no space could be set aside for a full disk')
  rmSync(file(), { recursive: true })
  await room.look()
  expect(existsSync(file())).toBe(false)
  time = 30 * HOUR
  await room.look()
  expect(statSync(file()).size).toBe(MIB)
})

test('what an operator is told has the place and the figures, and what the reserve lacks', async () => {
  const space: SpaceConfig = { minFree: { percent: 100 }, reserveBytes: MIB }
  const room = roomOf(space)
  expect(room.finding()).toMatch(
    /^[\d.]+ [MGT]iB are free at \S+: pushes are refused below [\d.]+ [MGT]iB, which is with its reserve \(/,
  )
  await room.look()
  expect(room.finding()).toMatch(
    /^[\d.]+ [MGT]iB are free at \S+: pushes are refused below [\d.]+ [MGT]iB \(space\.minfree\)$/,
  )
  expect(() => room.space.admit()).toThrow('takes no push')
  space.minFree = { bytes: 0 }
  space.reserveBytes = 0
  room.space.admit(Number.MAX_SAFE_INTEGER)
})
