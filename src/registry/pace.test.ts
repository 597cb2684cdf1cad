import { beforeEach, describe, expect, test } from 'bun:test'
import {
  AWAITED,
  createPaces,
  createTraffic,
  type Effort,
  GENTLE,
  type Gear,
  GROWING,
  HURRIED,
  type Pace,
  type Traffic,
} from './pace.ts'

describe('work beside clients', () => {
  let time: number
  let rests: number[]
  let traffic: Traffic
  const clock = {
    elapsed: () => time,
    sleep: async (ms: number) => {
      rests.push(ms)
      time += ms
      for (const each of later.splice(0)) {
        if (each.at > time) later.push(each)
        else each.happen()
      }
    },
  }
  let later: { at: number; happen: () => void }[]
  const after = (ms: number, happen: () => void) => later.push({ at: time + ms, happen })

  beforeEach(() => {
    time = 5000
    rests = []
    later = []
    traffic = createTraffic()
  })

  /** Turns that take so many milliseconds. */
  async function turns(
    effort: Effort | readonly Gear[],
    took: readonly number[],
    meanwhile: () => void = () => {},
  ): Promise<number[]> {
    const pace = createPaces(traffic, clock)(effort)
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
    [
      'waits for the end of a push, and for as long as a client takes to its next request',
      () => {
        traffic.writes = { begun: 1, open: 1 }
        after(20, () => {
          traffic.writes.open = 0
        })
        return turns(GENTLE, [10])
      },
      // Seen last after 15 ms.
      Array.from({ length: 3 + 6 }, () => 5),
    ],
    [
      'waits for no end of pushes for longer than a second',
      () => {
        traffic.writes.open = 1
        return turns(GENTLE, [10])
      },
      Array.from({ length: 200 }, () => 5),
    ],
    [
      'waits once alone for a body that does not end',
      () => {
        traffic.writes = { begun: 1, open: 1 }
        return turns(GENTLE, [10, 10, 10])
      },
      // What is left of the gap since it was last waited for is the second turn's.
      Array.from({ length: 200 + 3 }, () => 5),
    ],
    [
      'waits for others that begin beside a body that does not end',
      () => {
        traffic.writes = { begun: 1, open: 1 }
        return turns(GENTLE, [10, 10], () => {
          traffic.writes = { begun: traffic.writes.begun + 1, open: 2 }
          after(20, () => {
            traffic.writes.open = 1
          })
        })
      },
      Array.from({ length: 400 }, () => 5),
    ],
    [
      'hears of pushes that began and ended between two looks',
      () => {
        traffic.writes.open = 1
        after(1, () => {
          traffic.writes.open = 0
        })
        after(12, () => traffic.writes.begun++)
        return turns(GENTLE, [10])
      },
      Array.from({ length: 3 + 6 }, () => 5),
    ],
    [
      'waits for a twentieth of a second alone in a hurry',
      () => {
        traffic.writes.open = 1
        return turns(HURRIED, [10, 10])
      },
      Array.from({ length: 20 }, () => 5),
    ],
    [
      'waits for nobody where a request waits for it',
      () => {
        traffic.writes.open = 1
        return turns(AWAITED, [10])
      },
      [],
    ],
  ]
  test.each(rows)('%s', async (_, run, expected) => {
    expect(await run()).toEqual(expected)
  })

  test('a client that was served since the last turn is known of', async () => {
    const pace = createPaces(traffic, clock)(GENTLE)
    serving()
    time += 60_000
    await pace.turn(async () => {
      time += 10
    })
    expect(rests).toEqual([190])
  })

  test('it is quiet a second after the last request, and never while one is pending', () => {
    const pace = createPaces(traffic, clock)(GENTLE)
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

  test('a work that lasts takes more of the time, and its next one begins gently again', async () => {
    const paceOf = createPaces(traffic, clock)
    const after = async (pace: Pace, ms: number, begunAt: number) => {
      time = begunAt + ms
      serving()
      rests.length = 0
      await pace.turn(async () => {
        time += 4
      })
      return rests[0]
    }
    const begunAt = time
    const first = paceOf(GROWING)
    const minute = 60_000
    const found: [number, number | undefined][] = []
    for (const at of [0, 9 * minute, 10 * minute, 59 * minute, 60 * minute, 24 * 60 * minute]) {
      found.push([at / minute, await after(first, at, begunAt)])
    }
    expect(found).toEqual([
      [0, 76],
      [9, 76],
      [10, 36],
      [59, 36],
      [60, 12],
      [24 * 60, 12],
    ])
    expect(await after(paceOf(GROWING), 0, time)).toBe(76)
  })

  describe('where garbage is made faster than a gentle cycle takes it', () => {
    /** Minutes of each of the cycles of four hours: a turn takes 4 pieces and 10 ms, and 30 are made each second. */
    async function cycles(effort: Effort | readonly Gear[]): Promise<number[]> {
      const paceOf = createPaces(traffic, clock)
      const begunAt = time
      const minutes: number[] = []
      for (let madeAt = time - 60_000; time - begunAt < 4 * 3_600_000; ) {
        const now = time
        const pace = paceOf(effort)
        // A cycle takes what was due when it began.
        for (let left = Math.floor(((now - madeAt) * 30) / 1000); left > 0; left -= 4) {
          await pace.turn(async () => {
            serving()
            time += 10
          })
          rests.length = 0
        }
        madeAt = now
        minutes.push(Math.round((time - now) / 60_000))
      }
      return minutes
    }

    test('each cycle would be longer than the one before', async () => {
      expect(await cycles(GENTLE)).toEqual([2, 2, 3, 5, 8, 11, 17, 26, 38, 58, 87])
    })

    test('each is as long as it needs to be to take what comes', async () => {
      expect(await cycles(GROWING)).toEqual([2, 2, 3, 5, 8, 11, 13, 15, 16, 17, 18, 18, 19, 19, 19, 19, 20, 20])
    })
  })

  test('a turn that fails is followed by its rest, too', async () => {
    const pace = createPaces(traffic, clock)(HURRIED)
    const failing = pace.turn(async () => {
      serving()
      time += 10
      throw new Error('no')
    })
    expect(await failing.catch((error: Error) => error.message)).toBe('no')
    expect(rests).toEqual([30])
  })
})
