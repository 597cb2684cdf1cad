import { expect, test } from 'bun:test'
import type { PullTally, StoredManifest } from '../metadata/metadata.ts'
import { digestOf } from '../oci/digest.ts'
import { createPullCounts } from './pull-counts.ts'

function manifest(text: string): StoredManifest {
  const bytes = new TextEncoder().encode(text)
  return { digest: digestOf(bytes), mediaType: 'text/m', bytes }
}

const A = manifest('a')
const B = manifest('b')

function open(write: (tallies: readonly PullTally[]) => Promise<void> = async () => {}) {
  const portions: number[] = []
  const sums: Record<string, [number, number]> = {}
  const told: string[] = []
  const clock = { now: 0 }
  const counts = createPullCounts({
    pulls: {
      async add(tallies) {
        await write(tallies)
        portions.push(tallies.length)
        for (const { repository, tag, digest, pulls, lastAt } of tallies) {
          const key = `${repository}:${tag ?? digest.slice(7, 9)}`
          sums[key] = [(sums[key]?.[0] ?? 0) + pulls, lastAt]
        }
      },
    },
    now: () => ++clock.now,
    log: { warn: (message) => told.push(message) },
  })
  return { counts, portions, sums, told }
}

test('pulls of one manifest by one reference are one sum, with the time of the last', async () => {
  const { counts, portions, sums, told } = open()
  counts.add('app', 'v1', A)
  counts.add('app', 'v1', A)
  counts.add('other', 'v1', A)
  counts.add('app', A.digest, A)
  // Read anew from the database: another object.
  counts.add('app', 'v1', { ...A })
  expect(portions).toEqual([])
  await counts.flush()
  expect(sums).toEqual({ 'app:v1': [3, 5], 'other:v1': [1, 3], [`app:${A.digest.slice(7, 9)}`]: [1, 4] })
  await counts.flush()
  expect(portions).toEqual([3])
  counts.add('app', 'v1', A)
  await counts.close()
  expect([sums['app:v1'], told]).toEqual([[4, 6], []])
})

test('a tag that moved has a sum for each manifest', async () => {
  const { counts, portions } = open()
  counts.add('app', 'v1', A)
  counts.add('app', 'v1', B)
  await counts.close()
  expect(portions).toEqual([2])
})

test('many are written in portions, and pulls that come meanwhile are written too', async () => {
  const { counts, portions, sums } = open(async () => {
    if (portions.length === 0) counts.add('app', 'late', A)
  })
  for (let index = 0; index < 450; index++) counts.add('app', `v${index}`, manifest(`${index}`))
  await counts.close()
  await counts.flush()
  expect(portions).toEqual([200, 200, 50, 1])
  expect(sums['app:late']?.[0]).toBe(1)
})

test('what could not be written is written the next time, together with what came since', async () => {
  let faults = 1
  const { counts, sums, told } = open(async () => {
    if (faults-- > 0) throw new Error('disk')
  })
  counts.add('app', 'v1', A)
  await counts.flush()
  expect([sums, told.length]).toEqual([{}, 1])
  counts.add('app', 'v1', A)
  await counts.close()
  expect(sums).toEqual({ 'app:v1': [2, 2] })
})

test('memory is bounded while the database is slow, and what is left out is said', async () => {
  const slow = Promise.withResolvers<void>()
  const { counts, portions, told } = open(() => slow.promise)
  const pull = (from: number, count: number) => {
    for (let index = from; index < from + count; index++) counts.add('app', `v${index}`, manifest(`${index}`))
  }
  pull(0, 20_001)
  pull(30_000, 20_002)
  slow.resolve()
  await counts.close()
  expect(portions.reduce((sum, one) => sum + one, 0)).toBe(40_000)
  expect(told).toEqual(['more is pulled than can be counted: some pulls are missing'])
})
