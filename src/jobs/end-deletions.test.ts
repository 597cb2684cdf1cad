import { expect, test } from 'bun:test'
import type { ResumedDeletion } from '../registry/repositories.ts'
import { createLog } from '../telemetry/log.ts'
import { startEndingDeletions } from './end-deletions.ts'

test('all deletions that were left go on at the start, later those that nobody is at; what became of them is in the log', async () => {
  const lines: string[] = []
  const write = (line: string) => lines.push(line)
  const log = createLog({ level: 'info', formatter: 'text', fields: {}, now: () => 0, write })
  const of = { batch: 'b', manifests: 3 }
  const outcomes: ResumedDeletion[] = [
    { ...of, repository: 'failing', state: 'running', error: new Error('no disk') },
    { ...of, repository: 'ended', state: 'done' },
    { ...of, repository: 'undone', state: 'undone' },
  ]
  const asked: number[] = []
  let isStopping = () => false
  const job = startEndingDeletions({
    repositories: {
      async *resume(options) {
        asked.push(options.idleMs)
        if (options.isStopping !== undefined) isStopping = options.isStopping
        yield* outcomes
      },
    },
    log,
  })
  await job.run()
  expect(asked).toEqual([0, 60_000])
  expect(lines.slice(0, 2).map((line) => [/level=(\w+)/.exec(line)?.[1], /repository=(\w+)/.exec(line)?.[1]])).toEqual([
    ['error', 'failing'],
    ['info', 'ended'],
  ])
  expect(lines).toHaveLength(4)
  expect(isStopping()).toBe(false)
  await job.stop()
  expect(isStopping()).toBe(true)
})
