import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Metadata, NewEvent } from '../metadata/metadata.ts'
import { openQuickly } from '../metadata/sqlite.fixture.ts'
import type { Log } from '../telemetry/log.ts'
import { type DeliveryEndpoint, pauseAfter, type QueueDeps, startQueue } from './delivery-queue.ts'
import type { Answer } from './post-event.ts'

let folder: string
let metadata: Metadata
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-queue-'))
  metadata = await openQuickly({ path: join(folder, 'berth.db') })
})
afterAll(async () => {
  await metadata.close()
  rmSync(folder, { recursive: true })
})

let queues = 0
const endpointOf = (more: Partial<DeliveryEndpoint> = {}): DeliveryEndpoint => ({
  name: `hook-${++queues}`,
  disabled: false,
  url: 'http://127.0.0.1/',
  headers: {},
  timeoutMs: 1000,
  mediaType: 'a/b',
  threshold: 3,
  backoffMs: 1000,
  maxAttempts: 0,
  maxAgeMs: 0,
  ...more,
})

const happened = (event: string, endpoints: readonly string[], at = 0): NewEvent => ({
  ...{ event, endpoints, at },
  action: 'push',
  repository: 'app',
  tag: undefined,
  digest: undefined,
  mediaType: undefined,
  detail: '{"target":{},"request":{},"actor":{},"source":{}}',
})

const ok: Answer = { accepted: true, status: 200, code: '200 OK', text: '200 OK', tookMs: 1 }
const bad: Answer = { accepted: false, status: 500, code: '500', text: '500', tookMs: 1 }
const nameOf = (body: string) => (JSON.parse(body) as { events: { id: string }[] }).events[0]?.id ?? ''

/** A clock that jumps to the next thing that is to happen, as soon as nothing else does. */
function createClock() {
  let time = 0
  let timers: { at: number; then: () => void }[] = []
  return {
    now: () => time,
    set: (to: number) => {
      time = to
    },
    after(ms: number, then: () => void) {
      const timer = { at: time + ms, then }
      timers.push(timer)
      return () => {
        timers = timers.filter((one) => one !== timer)
      }
    },
    pauses: () => timers.map(({ at }) => at - time),
    /** Lets the next timer ring. */
    tick() {
      const next = timers.sort((a, b) => a.at - b.at).shift()
      if (next === undefined) return
      time = Math.max(time, next.at)
      next.then()
    },
  }
}

/** Waits until it holds; what is awaited runs on real threads. */
async function until(holds: () => boolean | Promise<boolean>, meanwhile: () => void = () => {}): Promise<void> {
  for (let i = 0; i < 5000; i++) {
    if (await holds()) return
    meanwhile()
    await Bun.sleep(1)
  }
  throw new Error('it did not come to that')
}

function open(endpoint: DeliveryEndpoint, post: QueueDeps['post'], clock = createClock()) {
  const lines: string[] = []
  const say = (message: string) => void lines.push(message)
  const log: Pick<Log, 'info' | 'warn' | 'error'> = { info: say, warn: say, error: say }
  const counted: Answer[] = []
  const queue = startQueue(endpoint, {
    events: metadata.events,
    post,
    counters: { attempted: (_, answer) => counted.push(answer) },
    log,
    now: clock.now,
    after: clock.after,
  })
  const rows = () => metadata.events.list({ endpoint: endpoint.name }, { limit: 1000 })
  const states = async () => (await rows()).map(({ event, state }) => `${event} ${state}`).reverse()
  return { queue, clock, lines, counted, rows, states }
}

describe('the pause after failures in a row', () => {
  const pauses = (threshold: number, backoffMs: number, count: number) =>
    Array.from({ length: count }, (_, index) => pauseAfter(index + 1, { threshold, backoffMs }))
  test.each<[string, number[], number[]]>([
    [
      'is short below the threshold, and doubles from there on',
      pauses(4, 1000, 7),
      [100, 200, 400, 1000, 2000, 4000, 8000],
    ],
    ['is never longer than the back-off below it', pauses(5, 150, 5), [100, 150, 150, 150, 150]],
    ['is the back-off at once where the threshold is 1', pauses(1, 500, 3), [500, 1000, 2000]],
    ['ends at five minutes', pauses(1, 200_000, 3), [200_000, 300_000, 300_000]],
    ['may be longer where the back-off is', pauses(1, 900_000, 3), [900_000, 900_000, 900_000]],
    ['is a number after however many', [pauseAfter(100_000, { threshold: 10, backoffMs: 1000 })], [300_000]],
  ])('%s', (_, actual, expected) => expect(actual).toEqual(expected))
})

test('events go out in order, one at a time, and each is tried until it is accepted', async () => {
  const endpoint = endpointOf()
  await metadata.events.append(['a', 'b', 'c'].map((event) => happened(event, [endpoint.name])))
  const tried: string[] = []
  let underWay = 0
  const { queue, clock, states, lines, counted } = open(endpoint, async (_, body) => {
    underWay++
    tried.push(`${nameOf(body)}${underWay}`)
    await Bun.sleep(1)
    underWay--
    return nameOf(body) === 'b' && tried.length < 6 ? bad : ok
  })
  await until(async () => (await states()).every((state) => state.endsWith('delivered')), clock.tick)
  await queue.stop(0)
  expect(tried).toEqual(['a1', 'b1', 'b1', 'b1', 'b1', 'b1', 'c1'])
  expect(counted.map(({ accepted }) => accepted)).toEqual([true, false, false, false, false, true, true])
  expect(lines).toEqual([
    'a notification was not accepted',
    'a notification was not accepted',
    'notifications are accepted again',
  ])
})

test('what comes later wakes a queue that is empty', async () => {
  const endpoint = endpointOf()
  const { queue, clock, states } = open(endpoint, async () => ok)
  await until(() => clock.pauses().length === 1)
  await metadata.events.append([happened('a', [endpoint.name])])
  queue.wake()
  await until(async () => (await states()).join() === 'a delivered', clock.tick)
  await queue.stop(0)
})

test('a restart goes on where the pause was, not sooner', async () => {
  const endpoint = endpointOf()
  await metadata.events.append([happened('a', [endpoint.name])])
  const first = open(endpoint, async () => bad)
  // Five failures: pauses of 100, 200, 1000, 2000 and 4000 ms.
  await until(
    () => first.counted.length === 5,
    () => first.counted.length < 5 && first.clock.tick(),
  )
  await until(async () => (await first.rows())[0]?.attempts === 5)
  await first.queue.stop(0)
  const [row] = await first.rows()
  expect(row).toMatchObject({ attempts: 5, triedAt: 3300, retryAt: 7300, result: '500' })
  const clock = createClock()
  clock.set(4000)
  const second = open(endpoint, async () => ok, clock)
  await until(() => clock.pauses().length > 0)
  expect(clock.pauses()).toEqual([3300])
  expect(second.counted).toEqual([])
  clock.tick()
  await until(async () => (await second.states()).join() === 'a delivered', clock.tick)
  await second.queue.stop(0)
})

test('a clock that was set back keeps nothing waiting for longer than the pause', async () => {
  const endpoint = endpointOf()
  await metadata.events.append([happened('a', [endpoint.name], 1e12)])
  const [row] = await metadata.events.waiting(endpoint.name, 1)
  await metadata.events.settle([
    {
      id: row?.id ?? 0,
      event: 'a',
      endpoint: endpoint.name,
      state: 'waiting',
      attempts: 1,
      triedAt: 1e12,
      retryAt: 1e12 + 100,
      result: '',
    },
  ])
  const { queue, clock } = open(endpoint, async () => ok)
  await until(() => clock.pauses().length > 0)
  expect(clock.pauses()).toEqual([100])
  await queue.stop(0)
})

test('after so many attempts an event is given up, and the next one has its turn', async () => {
  const endpoint = endpointOf({ maxAttempts: 4 })
  await metadata.events.append(['a', 'b'].map((event) => happened(event, [endpoint.name])))
  const { queue, clock, states, lines, rows } = open(endpoint, async (_, body) => (nameOf(body) === 'a' ? bad : ok))
  await until(async () => (await states()).join() === 'a dead,b delivered', clock.tick)
  await queue.stop(0)
  expect((await rows()).map(({ attempts }) => attempts)).toEqual([1, 4])
  expect(lines).toContain('a notification is given up; berth notify redeliver queues it again')
})

test('after so long all that are too old are given up, and younger ones stay', async () => {
  const endpoint = endpointOf({ maxAgeMs: 1000 })
  await metadata.events.append([
    happened('a', [endpoint.name], 0),
    happened('b', [endpoint.name], 200),
    happened('c', [endpoint.name], 5000),
  ])
  const { queue, clock, states, lines } = open(endpoint, async () => bad)
  // Attempts at 0, 100, 300 and 1300.
  await until(
    async () => (await states()).join() === 'a dead,b dead,c waiting',
    () => clock.now() < 1300 && clock.tick(),
  )
  await queue.stop(0)
  expect(lines.some((line) => line.includes('too old'))).toBe(true)
})

test('an operator need not wait for the end of a pause', async () => {
  const endpoint = endpointOf({ threshold: 1, backoffMs: 60_000 })
  await metadata.events.append([happened('a', [endpoint.name])])
  let answer = bad
  const { queue, clock, states } = open(endpoint, async () => answer)
  await until(() => clock.pauses().length > 0)
  expect(queue.status()).toEqual({ failures: 1, retryAt: 60_000, waiting: 1 })
  answer = ok
  queue.hurry()
  await until(async () => (await states()).join() === 'a delivered', clock.tick)
  expect(queue.status()).toMatchObject({ failures: 0, retryAt: undefined })
  await queue.stop(0)
})

test('a stop waits for an attempt under way, and cuts one short that takes too long', async () => {
  for (const isPatient of [true, false]) {
    const endpoint = endpointOf()
    await metadata.events.append([happened('a', [endpoint.name])])
    const begun = Promise.withResolvers<void>()
    const end = Promise.withResolvers<Answer>()
    const { queue, clock, rows, counted } = open(endpoint, async (_, _body, signal) => {
      begun.resolve()
      signal.addEventListener('abort', () => end.resolve({ ...bad, status: undefined, text: 'stopped' }))
      return await end.promise
    })
    await begun.promise
    const stopped = queue.stop(500)
    if (isPatient) end.resolve(ok)
    else clock.tick()
    await stopped
    expect((await rows()).map(({ state, attempts }) => [state, attempts])).toEqual([
      isPatient ? ['delivered', 1] : ['waiting', 0],
    ])
    expect(counted).toHaveLength(isPatient ? 1 : 0)
  }
})

test('a database that does not answer is asked again', async () => {
  const endpoint = endpointOf()
  await metadata.events.append([happened('a', [endpoint.name])])
  let faults = 3
  const clock = createClock()
  const lines: string[] = []
  const say = (message: string) => void lines.push(message)
  const queue = startQueue(endpoint, {
    events: {
      ...metadata.events,
      waiting: async (...asked) => {
        if (faults-- > 0) throw new Error('disk')
        return await metadata.events.waiting(...asked)
      },
    },
    post: async () => ok,
    counters: { attempted() {} },
    log: { info: say, warn: say, error: say },
    now: clock.now,
    after: clock.after,
  })
  await until(async () => (await metadata.events.waiting(endpoint.name, 1)).length === 0, clock.tick)
  await queue.stop(0)
  expect(lines).toEqual(Array(3).fill('the queue of notifications cannot be read or written'))
})

test('a database that takes no outcomes keeps the next events back, and nothing is sent twice', async () => {
  const endpoint = endpointOf()
  await metadata.events.append(['a', 'b'].map((event) => happened(event, [endpoint.name])))
  let faults = 4
  const clock = createClock()
  const sent: string[] = []
  const queue = startQueue(endpoint, {
    events: {
      ...metadata.events,
      settle: async (outcomes) => {
        if (faults-- > 0) throw new Error('disk')
        await metadata.events.settle(outcomes)
      },
    },
    post: async (_, body) => {
      sent.push(nameOf(body))
      return ok
    },
    counters: { attempted() {} },
    log: { info() {}, warn() {}, error() {} },
    now: clock.now,
    after: clock.after,
  })
  await until(async () => (await metadata.events.waiting(endpoint.name, 1)).length === 0, clock.tick)
  await queue.stop(0)
  expect(sent).toEqual(['a', 'b'])
})

/** What happens to one incarnation: its events come, answers follow this list (then all are accepted), then it crashes. */
const incarnation = fc.record({
  events: fc.array(fc.subarray([0, 1]), { maxLength: 5 }),
  answers: fc.array(fc.boolean(), { maxLength: 8 }),
  /** The attempt in which it crashes, after the receiver got the event, and before anything is written of it. */
  crash: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
})

test('whatever fails and crashes: each event is accepted or given up by each endpoint that wants it, in order, and by no other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(incarnation, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 3 }),
      async (lives, maxAttempts) => {
        const endpoints = [endpointOf({ maxAttempts }), endpointOf({ maxAttempts })]
        const accepted = endpoints.map((): string[] => [])
        const wanted = endpoints.map((): string[] => [])
        let made = 0
        for (const [life, { events, answers, crash }] of [
          ...lives,
          { events: [], answers: [], crash: undefined },
        ].entries()) {
          for (const wanting of events) {
            const event = `${queues}-${made++}`
            for (const index of wanting) wanted[index]?.push(event)
            await metadata.events.append([
              happened(
                event,
                wanting.map((index) => endpoints[index]?.name ?? ''),
              ),
            ])
          }
          let attempts = 0
          let isDead = false
          const never = new Promise<never>(() => {})
          const alive =
            <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
            async (...args: A): Promise<R> =>
              isDead ? await never : await work(...args)
          const clock = createClock()
          clock.set(life * 1_000_000)
          const { waiting, find, settle, bury } = metadata.events
          const running = endpoints.map((endpoint, index) =>
            startQueue(endpoint, {
              events: { waiting: alive(waiting), find: alive(find), settle: alive(settle), bury: alive(bury) },
              post: alive(async (_, body) => {
                const answer = answers[attempts++] === false ? bad : ok
                if (answer.accepted) accepted[index]?.push(nameOf(body))
                if (attempts === crash) {
                  isDead = true
                  return await never
                }
                return answer
              }),
              counters: { attempted() {} },
              log: { info() {}, warn() {}, error() {} },
              now: clock.now,
              after: clock.after,
            }),
          )
          const isEmpty = async () =>
            (await Promise.all(endpoints.map(({ name }) => waiting(name, 1)))).every((rows) => rows.length === 0)
          await until(async () => isDead || (await isEmpty()), clock.tick)
          // One that crashed does not end: it is left where it hangs.
          if (!isDead) await Promise.all(running.map((queue) => queue.stop(0)))
        }
        for (const [index, endpoint] of endpoints.entries()) {
          const rows = (await metadata.events.list({ endpoint: endpoint.name }, { limit: 1000 })).reverse()
          expect(rows.map(({ event }) => event)).toEqual(wanted[index] ?? [])
          const dead = rows.filter(({ state }) => state === 'dead').map(({ event }) => event)
          const first = [...new Set(accepted[index])]
          // What was accepted in the moment of a crash may be tried again, and given up then.
          expect(first.filter((event) => !dead.includes(event))).toEqual(
            (wanted[index] ?? []).filter((event) => !dead.includes(event)),
          )
          if (maxAttempts === 0) expect(dead).toEqual([])
        }
      },
    ),
    { numRuns: 40, seed: 20_260_101 },
  )
})
