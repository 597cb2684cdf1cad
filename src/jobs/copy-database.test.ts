import { describe, expect, test } from 'bun:test'
import { createLog } from '../telemetry/log.ts'
import { startCopyingDatabase } from './copy-database.ts'

const DAY = 24 * 3_600_000

async function copied(
  there: readonly number[],
  given: { now: number; enabled?: boolean; keep?: number; room?: boolean; fails?: boolean },
): Promise<{ left: number[]; lines: string[] }> {
  const { now, enabled = true, keep = 3, room = true, fails = false } = given
  const files = new Set(there)
  const lines: string[] = []
  const job = startCopyingDatabase({
    copies: {
      list: async () => [...files],
      async write(at) {
        if (fails) throw new Error('no')
        files.add(at)
      },
      remove: async (at) => void files.delete(at),
    },
    settings: () => ({ enabled, keep }),
    hasRoom: async () => room,
    background: false,
    log: createLog({ level: 'info', formatter: 'json', fields: {}, write: (line) => lines.push(line), now: () => now }),
    now: () => now,
  })
  await job.run()
  await job.stop()
  return { left: [...files].sort((a, b) => a - b), lines }
}

describe('the daily copy of the database', () => {
  const cases: [string, number[], Parameters<typeof copied>[1], number[]][] = [
    ['is made when there is none', [], { now: 5 * DAY }, [5 * DAY]],
    ['is not made again on the same day', [4 * DAY + 1], { now: 5 * DAY }, [4 * DAY + 1]],
    ['is made once the last one is a day old', [4 * DAY], { now: 5 * DAY }, [4 * DAY, 5 * DAY]],
    ['takes the place of the oldest', [1, DAY, 2 * DAY], { now: 5 * DAY }, [DAY, 2 * DAY, 5 * DAY]],
    ['is the only one, if that is wanted', [1, DAY], { now: 5 * DAY, keep: 1 }, [5 * DAY]],
    ['replaces those of a clock that was ahead', [DAY, 9 * DAY], { now: 5 * DAY }, [DAY, 5 * DAY]],
    ['is not made when it is off', [1], { now: 5 * DAY, enabled: false }, [1]],
    ['is not made without room, and nothing goes', [1, 2, 3, 4], { now: 5 * DAY, room: false }, [1, 2, 3, 4]],
    ['that fails leaves the others', [1, 2, 3, 4], { now: 5 * DAY, fails: true }, [1, 2, 3, 4]],
  ]
  test.each(cases)('%s', async (_, there, given, left) => {
    expect((await copied(there, given)).left).toEqual(left)
  })

  test('tells of what it did, and of what it could not do', async () => {
    const lines = async (given: Partial<Parameters<typeof copied>[1]>) =>
      (await copied([], { now: DAY, ...given })).lines.join('')
    expect(await lines({})).toContain('the database was copied')
    expect(await lines({ room: false })).toContain('too little space')
    expect(await lines({ fails: true })).toContain('the database could not be copied')
  })
})
