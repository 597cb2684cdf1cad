import { expect, test } from 'bun:test'
import type { Log } from '../telemetry/log.ts'
import { startPruningAccounts } from './prune-accounts.ts'

function fakeLog() {
  const lines: string[] = []
  const say = (message: string) => void lines.push(message)
  const log: Log = { error: say, warn: say, info: say, debug: say, with: () => log }
  return { log, lines }
}

function start(surplus: number, prune?: () => Promise<number>) {
  const { log, lines } = fakeLog()
  const asked: [number, number, number][] = []
  let left = surplus
  const job = startPruningAccounts({
    audit: {
      prune: async (before, keep, limit) => {
        asked.push([before, keep, limit])
        if (prune !== undefined) return await prune()
        const removed = Math.min(left, limit)
        left -= removed
        return removed
      },
    },
    removeEndedTokens: async () => 0,
    keep: () => ({ keepMs: 500, keepRows: 7 }),
    log,
    now: () => 2000,
  })
  return { job, asked, lines, left: () => left }
}

test('prunes at once, in portions, until nothing is left to prune', async () => {
  const { job, asked, left, lines } = start(2500)
  await job.stop()
  expect(left()).toBe(0)
  expect(asked).toEqual([
    [1500, 7, 1000],
    [1500, 7, 1000],
    [1500, 7, 1000],
  ])
  expect(lines).toEqual(['tokens and audit rows pruned'])
})

test('says nothing where there is nothing to do', async () => {
  const { job, lines } = start(0)
  await job.stop()
  expect(lines).toEqual([])
})

test('a database that does not answer is logged, and asked again next time', async () => {
  const { job, asked, lines } = start(0, () => Promise.reject(new Error('disk')))
  await job.run()
  await job.stop()
  expect(asked).toHaveLength(2)
  expect(lines).toEqual(['tokens and audit rows could not be pruned', 'tokens and audit rows could not be pruned'])
})

test('prunes again when many rows came, once for all that came before it', async () => {
  const { job, asked } = start(0)
  await job.run()
  const before = asked.length
  job.appended(19_999)
  await Promise.resolve()
  expect(asked).toHaveLength(before)
  for (let i = 0; i < 100; i++) job.appended(1000)
  await job.stop()
  expect(asked).toHaveLength(before + 1)
  job.appended(20_000)
  await job.stop()
  expect(asked).toHaveLength(before + 2)
})
