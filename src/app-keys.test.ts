import { expect, test } from 'bun:test'
import { tmpdir } from 'node:os'
import { createKeys } from './app-keys.ts'
import { createLog } from './telemetry/log.ts'

test('where no token server runs there are no keys, and none to rotate', () => {
  const log = createLog({ level: 'error', formatter: 'text', fields: {}, now: () => 0, write: () => {} })
  const keys = createKeys({ directory: tmpdir(), log, now: () => 0 })
  expect([keys.list(), keys.rotate()]).toEqual([[], undefined])
})
