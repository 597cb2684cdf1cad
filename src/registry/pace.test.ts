import { beforeEach, describe, expect, test } from 'bun:test'
import { createPace, createTraffic, type Effort, GENTLE, HURRIED, type Traffic } from './pace.ts'

describe('work beside clients', () => {
  let time: number
  let rests: number[]
  let traffic: Traffic
  const clock = {
    elapsed: () => time,
    sleep: async (ms: number) => {
      rests.push(ms)
      time += ms
    },
  }

  beforeEach(() => {
    time = 5000
    rests = []
    traffic = createTraffic()
  })

  /** Turns that take so many milliseconds. */
  async function turns(effort: Effort, took: readonly number[], meanwhile: () => void = () => {}): Promise<number[]> {
    const pace = createPace(traffic, effort, clock)
    for (const ms of took) {
      const done = await pace.turn(async () => {
        time += ms
        meanwhile()
        return ms
      })
      expect(done).toBe(ms)
    }
    return rests
  }

  const serving = () => {
    traffic.arrivals++
  }

  const rows: [string, () => Promise<number[]>, number[]][] = [
    ['has all of the time while nobody is served', () => turns(GENTLE, [10, 10, 10]), []],
    [
      'rests for nineteen times as long as its turn took, while somebody is',
      () => turns(GENTLE, [10, 5], serving),
      [190, 95],
    ],
    ['rests for three times as long where it is in a hurry', () => turns(HURRIED, [10, 5], serving), [30, 15]],
    ['rests after a turn that took no time that a clock shows', () => turns(GENTLE, [0], serving), [2]],
    ['goes on four times a second, however long its turns take', () => turns(GENTLE, [20, 5000], serving), [250, 250]],
    ['goes on twenty times a second in a hurry', () => turns(HURRIED, [20, 5000], serving), [50, 50]],
    [
      'rests for a second after the last request, for a push is many of them',
      () => turns(GENTLE, [10, 10, 10, 10, 10, 10, 10], () => traffic.arrivals || serving()),
      // One request in the first turn; the sixth turn ends a second later.
      [190, 190, 190, 190, 190],
    ],
    [
      'rests while one long request is on its way, though no other comes',
      () => {
        traffic.pending = () => (time < 6000 ? 1 : 0)
        return turns(GENTLE, [900, 10, 900, 10, 10])
      },
      [250, 190],
    ],
  ]
  test.each(rows)('%s', async (_, run, expected) => {
    expect(await run()).toEqual(expected)
  })

  test('a client that was served since the last turn is known of', async () => {
    const pace = createPace(traffic, GENTLE, clock)
    serving()
    time += 60_000
    await pace.turn(async () => {
      time += 10
    })
    expect(rests).toEqual([190])
  })

  test('it is quiet a second after the last request, and never while one is pending', () => {
    const pace = createPace(traffic, GENTLE, clock)
    const heard: boolean[] = [pace.isQuiet()]
    const later = (ms: number) => () => {
      time += ms
    }
    for (const step of [serving, later(999), later(1), serving, later(1000)]) {
      step()
      heard.push(pace.isQuiet())
    }
    traffic.pending = () => 1
    time += 5000
    heard.push(pace.isQuiet())
    expect(heard).toEqual([true, false, false, true, false, true, false])
  })

  test('a turn that fails is followed by its rest, too', async () => {
    const pace = createPace(traffic, HURRIED, clock)
    const failing = pace.turn(async () => {
      serving()
      time += 10
      throw new Error('no')
    })
    expect(await failing.catch((error: Error) => error.message)).toBe('no')
    expect(rests).toEqual([30])
  })
})
