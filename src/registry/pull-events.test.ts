import { expect, test } from 'bun:test'
import type { NewEvent } from '../metadata/metadata.ts'
import { createPullQueue } from './pull-events.ts'

const pull = (event: string, detail = '{}'): NewEvent => ({
  ...{ event, detail, at: 0, action: 'pull', repository: 'app' },
  ...{ tag: undefined, digest: undefined, mediaType: undefined, endpoints: ['hook'] },
})

function open(append: (rows: readonly NewEvent[]) => Promise<void> = async () => {}) {
  const written: string[][] = []
  const queued: number[] = []
  const told: unknown[] = []
  const queue = createPullQueue({
    events: {
      async append(rows) {
        await append(rows)
        written.push(rows.map(({ event }) => event))
      },
    },
    onQueued: (events) => queued.push(events.length),
    log: { warn: (message, fields) => told.push([message, fields]), error: (message) => told.push(message) },
  })
  return { queue, written, queued, told }
}

test('pulls are written in portions, in order, and all of them before the end', async () => {
  const { queue, written, queued, told } = open()
  const names = Array.from({ length: 2500 }, (_, index) => `e${index}`)
  for (const name of names) queue.add(pull(name))
  expect(written).toEqual([])
  await queue.close()
  expect(written.flat()).toEqual(names)
  expect([queued, told]).toEqual([[1000, 1000, 500], []])
})

test('pulls are written by themselves, a moment later', async () => {
  const wrote = Promise.withResolvers<void>()
  const { queue, written } = open(async () => wrote.resolve())
  queue.add(pull('a'))
  await wrote.promise
  await queue.close()
  expect(written).toEqual([['a']])
})

test.each([
  ['too many', '{}', 20_000],
  ['too large', 'x'.repeat(1024 * 1024), 32],
])('while they are %s, further ones are left out, which is said', async (_, detail, most) => {
  const { queue, written, told } = open()
  for (let index = 0; index < most + 3; index++) queue.add(pull(`e${index}`, detail))
  await queue.close()
  expect(written.flat()).toHaveLength(most)
  expect(told).toEqual([['events of pulls were left out', { events: 3 }]])
  // There is room again.
  queue.add(pull('later', detail))
  await queue.close()
  expect(written.flat()).toHaveLength(most + 1)
})

test('a database that cannot write costs those pulls, and no request', async () => {
  let faults = 1
  const { queue, written, told } = open(async () => {
    if (faults-- > 0) throw new Error('disk')
  })
  queue.add(pull('a'))
  await queue.close()
  queue.add(pull('b'))
  await queue.close()
  expect(written).toEqual([['b']])
  expect(told).toEqual(['events of pulls could not be written', ['events of pulls were left out', { events: 1 }]])
})
