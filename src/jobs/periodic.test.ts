import { expect, test } from 'bun:test'
import type { Log } from '../telemetry/log.ts'
import { startPeriodic } from './periodic.ts'

const log: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {}, with: () => log }

test('what waits for the run before asks the clock when its turn has come, not when it began to wait', async () => {
  const [begun, first] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let runs = 0
  let isSteady = true
  const periodic = startPeriodic({
    ...{ everyMs: 3_600_000, failure: 'failed', log, background: false, clock: { isSteady: () => isSteady } },
    async work() {
      begun.resolve()
      if (++runs === 1) await first.promise
    },
  })
  const before = periodic.look()
  const waiting = periodic.look()
  await begun.promise
  isSteady = false
  first.resolve()
  await Promise.all([before, waiting])
  expect(runs).toBe(1)
  // Who asks for it himself does not wait for the clock.
  await periodic.run()
  isSteady = true
  await periodic.look()
  expect(runs).toBe(3)
  await periodic.stop()
})
