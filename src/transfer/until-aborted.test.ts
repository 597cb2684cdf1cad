import { expect, test } from 'bun:test'
import { untilAborted } from './until-aborted.ts'

const CHUNK = new Uint8Array(1)
const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => 'its end',
    (error: Error) => error.message,
  )

async function* chunks(count: number, ended: { isEnded: boolean }): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0; at < count; at++) yield CHUNK
  } finally {
    ended.isEnded = true
  }
}

test('what ends by itself comes whole', async () => {
  const ended = { isEnded: false }
  expect(await Array.fromAsync(untilAborted(chunks(3, ended), new AbortController().signal))).toEqual([
    CHUNK,
    CHUNK,
    CHUNK,
  ])
  expect(await Array.fromAsync(untilAborted(chunks(2, ended), undefined))).toEqual([CHUNK, CHUNK])
  expect(ended.isEnded).toBe(true)
})

test('a next chunk that never comes is not waited for', async () => {
  const end = new AbortController()
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }
  const work = Array.fromAsync(untilAborted(silent, end.signal))
  end.abort(new Error('interrupted'))
  expect(await reasonOf(work)).toBe('interrupted')
  expect(await reasonOf(Array.fromAsync(untilAborted(silent, end.signal)))).toBe('interrupted')
})

test('chunks that are always there leave room for whoever ends it, and their source is ended, too', async () => {
  const end = new AbortController()
  const ended = { isEnded: false }
  // By an event of the system, which comes between turns of the event loop.
  process.once('SIGUSR2', () => end.abort(new Error('interrupted')))
  process.kill(process.pid, 'SIGUSR2')
  let count = 0
  const work = (async () => {
    for await (const _ of untilAborted(chunks(Number.POSITIVE_INFINITY, ended), end.signal)) count++
  })()
  expect(await reasonOf(work)).toBe('interrupted')
  expect([count > 0, ended.isEnded]).toEqual([true, true])
})
