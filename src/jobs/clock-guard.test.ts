import { describe, expect, test } from 'bun:test'
import type { Log } from '../telemetry/log.ts'
import { type ClockHold, createClockGuard } from './clock-guard.ts'

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
    'a clock that is set years ahead while it runs, and stays so, counts after a day',
    START,
    [
      [0, START, true],
      [HOUR, START + 3650 * DAY, false],
      [60_000, START + 3650 * DAY + 60_000, false],
      [22 * HOUR, START + 3650 * DAY + 22 * HOUR + 60_000, false],
      [2 * HOUR, START + 3650 * DAY + DAY + 60_000, true],
    ],
    [
      'warn the clock went ahead by 3650 days at once: nothing is removed by its age for 24 hours, unless it is set right before',
    ],
  ],
  [
    'a clock that is set ahead by two hours is held for as long',
    START,
    [
      [0, START, true],
      [60_000, START + 2 * HOUR + 60_000, false],
      [HOUR, START + 3 * HOUR + 60_000, false],
      [HOUR, START + 4 * HOUR + 60_000, true],
    ],
    [
      'warn the clock went ahead by 2 hours at once: nothing is removed by its age for 2 hours, unless it is set right before',
    ],
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
      'warn the clock went ahead by 9 hours at once: nothing is removed by its age for 9 hours, unless it is set right before',
      'warn the clock went back by 9 hours at once: nothing is removed by its age until the next look',
    ],
  ],
  [
    'a clock that is set back, and right again, is held for an hour: what was pushed meanwhile looks old',
    START,
    [
      [0, START, true],
      [HOUR, START - 400 * DAY, false],
      [HOUR, START + 2 * HOUR, false],
      [60_000, START + 2 * HOUR + 60_000, false],
      [HOUR, START + 3 * HOUR + 60_000, true],
    ],
    [
      'warn the clock went back by 400 days at once: nothing is removed by its age until the next look',
      'warn the clock went ahead by 400 days at once: nothing is removed by its age for 60 minutes, unless it is set right before',
    ],
  ],
  [
    'a clock that was taken for right after a day, and goes ahead once more',
    START,
    [
      [0, START, true],
      [HOUR, START + 10 * DAY, false],
      [DAY, START + 11 * DAY, true],
      [HOUR, START + 11 * DAY + 3 * HOUR, false],
      [HOUR, START + 11 * DAY + 4 * HOUR, false],
      [HOUR, START + 11 * DAY + 5 * HOUR, true],
    ],
    [
      'warn the clock went ahead by 10 days at once: nothing is removed by its age for 24 hours, unless it is set right before',
      'warn the clock went ahead by 2 hours at once: nothing is removed by its age for 2 hours, unless it is set right before',
    ],
  ],
  [
    'a start years ahead, set right a moment later',
    START,
    [
      [0, START + 3650 * DAY, false],
      [60_000, START + 60_000, false],
      [HOUR, START + HOUR, true],
    ],
    [
      'info the clock went ahead by 3650 days since the data was last used: nothing is removed by its age for 60 minutes, unless it is set right before',
      'warn the clock went back by 3650 days at once: nothing is removed by its age until the next look',
    ],
  ],
  [
    'a start after a long rest, which waits for an hour',
    START - 90 * DAY,
    [
      [0, START, false],
      [60_000, START + 60_000, false],
      [HOUR, START + HOUR + 60_000, true],
    ],
    [
      'info the clock went ahead by 90 days since the data was last used: nothing is removed by its age for 60 minutes, unless it is set right before',
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

test.each([
  ['an hour, where less was promised', HOUR / 2, HOUR],
  ['as long as was promised', 5 * HOUR, 5 * HOUR],
  ['a day at most', 30 * DAY, DAY],
])('what was pushed while the clock was back has %s once it is set right', (_, promised, held) => {
  const log = { info() {}, warn() {}, error() {} } as unknown as Log
  let time = { passed: 0, shown: START }
  const guard = createClockGuard({
    ...{ now: () => time.shown, elapsed: () => time.passed, lastUse: START, promised: () => promised, log },
  })
  const at = (passed: number, shown: number) => {
    time = { passed, shown }
    return guard.isSteady()
  }
  expect([at(0, START), at(HOUR, START - 3650 * DAY)]).toEqual([true, false])
  const right = 2 * HOUR
  expect(at(right, START + right)).toBe(false)
  expect(at(right + held - 1, START + right + held - 1)).toBe(false)
  expect(at(right + held, START + right + held)).toBe(true)
})

describe('a hold outlives the program', () => {
  const WRONG = START + 3650 * DAY
  const quiet: Log = { error() {}, warn() {}, info() {}, debug() {}, with: () => quiet }

  /** A machine, whose clock was set years ahead an hour ago under a server; programs start on it again. */
  function machine() {
    const clock = { shown: START, passed: 0, boot: 'one' }
    let kept: ClockHold | undefined
    let written = 0
    const start = (lastUse: number) => {
      const memory = {
        boot: clock.boot,
        read: () => kept,
        write(hold: ClockHold) {
          kept = hold
          written++
        },
      }
      return createClockGuard({ now: () => clock.shown, elapsed: () => clock.passed, lastUse, memory, log: quiet })
    }
    const pass = (ms: number) => {
      clock.passed += ms
      clock.shown += ms
    }
    const boot = (name: string) => {
      clock.boot = name
      clock.passed = 0
    }
    const first = start(START)
    expect(first.isSteady()).toBe(true)
    clock.shown = WRONG
    expect(first.isSteady()).toBe(false)
    pass(HOUR)
    expect(first.isSteady()).toBe(false)
    return { clock, start, pass, boot, written: () => written }
  }

  test('as long as it would have lasted', () => {
    const { clock, start, pass } = machine()
    const second = start(clock.shown)
    expect(second.isSteady()).toBe(false)
    pass(22 * HOUR)
    expect(second.isSteady()).toBe(false)
    const third = start(clock.shown)
    expect(third.isSteady()).toBe(false)
    pass(HOUR)
    expect(third.isSteady()).toBe(true)
    expect(start(clock.shown).isSteady()).toBe(true)
  })

  test('over a boot of the machine, by what was left, and not for ever where it boots each day', () => {
    const { clock, start, pass, boot, written } = machine()
    boot('two')
    const second = start(clock.shown)
    expect(second.isSteady()).toBe(false)
    for (let turn = 0; turn < 12 * 60; turn++) {
      pass(60_000)
      expect(second.isSteady()).toBe(false)
    }
    // Now and then, not at each look.
    expect(written()).toBeLessThan(80)
    boot('three')
    const third = start(clock.shown)
    expect(third.isSteady()).toBe(false)
    pass(12 * HOUR)
    expect(third.isSteady()).toBe(true)
    boot('four')
    expect(start(clock.shown).isSteady()).toBe(true)
  })

  test('until the clock is set right, under the next program or before it', () => {
    for (const isUnder of [true, false]) {
      const { clock, start, pass } = machine()
      const lastUse = clock.shown
      const second = isUnder ? start(lastUse) : undefined
      second?.isSteady()
      clock.shown -= 3650 * DAY
      const now = second ?? start(lastUse)
      expect(now.isSteady()).toBe(false)
      pass(60_000)
      expect(now.isSteady()).toBe(true)
      expect(start(clock.shown).isSteady()).toBe(true)
    }
  })

  test('and a long rest does not make it shorter', () => {
    const { clock, start, pass } = machine()
    const lastUse = clock.shown
    clock.shown += 90 * DAY
    const second = start(lastUse)
    expect(second.isSteady()).toBe(false)
    pass(20 * HOUR)
    expect(second.isSteady()).toBe(false)
    pass(3 * HOUR)
    expect(second.isSteady()).toBe(true)
  })
})
