import { expect, test } from 'bun:test'
import type { Log } from '../telemetry/log.ts'
import { createClockGuard } from './clock-guard.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = 1_800_000_000_000

/** Each question: how much time really passed since the one before, and what the clock shows then. */
type Question = [passed: number, shown: number, isSteady: boolean]
const rows: [sentence: string, lastUse: number | undefined, questions: Question[], said: string[]][] = [
  [
    'a clock that goes',
    START - 1000,
    [
      [0, START, true],
      [HOUR, START + HOUR, true],
      [HOUR, START + 2 * HOUR + 60_000, true],
    ],
    [],
  ],
  ['data that is new has no time before it', undefined, [[0, START, true]], []],
  [
    'a clock that is set ahead while it runs, and stays so',
    START,
    [
      [0, START, true],
      [HOUR, START + 3650 * DAY, false],
      [HOUR, START + 3650 * DAY + HOUR, true],
    ],
    ['warn the clock went ahead by 3650 days at once: nothing is removed by its age until the next look'],
  ],
  [
    'a clock that is set ahead, and back again',
    START,
    [
      [0, START, true],
      [HOUR, START + 10 * HOUR, false],
      [HOUR, START + 2 * HOUR, false],
      [HOUR, START + 3 * HOUR, true],
    ],
    [
      'warn the clock went ahead by 9 hours at once: nothing is removed by its age until the next look',
      'warn the clock went back by 9 hours at once: nothing is removed by its age until the next look',
    ],
  ],
  [
    'a start years ahead, set right a moment later',
    START,
    [
      [0, START + 3650 * DAY, false],
      [HOUR, START + HOUR, false],
      [HOUR, START + 2 * HOUR, true],
    ],
    [
      'info the clock went ahead by 3650 days since the data was last used: nothing is removed by its age until the next look',
      'warn the clock went back by 3650 days at once: nothing is removed by its age until the next look',
    ],
  ],
  [
    'a start after a long rest, which only waits for one look',
    START - 90 * DAY,
    [
      [0, START, false],
      [HOUR, START + HOUR, true],
    ],
    [
      'info the clock went ahead by 90 days since the data was last used: nothing is removed by its age until the next look',
    ],
  ],
  [
    'a start before the last use',
    START,
    [
      [0, 0, false],
      [HOUR, HOUR, true],
    ],
    [
      `warn the clock went back by ${(START / DAY) | 0} days since the data was last used: nothing is removed by its age until the next look`,
    ],
  ],
]

test.each(rows)('%s', (_, lastUse, questions, expected) => {
  const said: string[] = []
  const say = (level: string) => (message: string) => void said.push(`${level} ${message}`)
  const log: Log = { error: say('error'), warn: say('warn'), info: say('info'), debug: say('debug'), with: () => log }
  const clock = { shown: 0, passed: 0 }
  const guard = createClockGuard({ now: () => clock.shown, elapsed: () => clock.passed, lastUse, log })
  for (const [passed, shown, isSteady] of questions) {
    clock.passed += passed
    clock.shown = shown
    expect([shown, guard.isSteady()]).toEqual([shown, isSteady])
  }
  expect(said).toEqual(expected)
})
