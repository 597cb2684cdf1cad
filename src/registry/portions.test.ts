import { expect, test } from 'bun:test'
import { nextPortion } from './portions.ts'

test.each([
  ['as long as others may wait is followed by one of its size', 20, 40, 20],
  ['four times that is followed by a quarter', 40, 160, 10],
  ['half of that is followed by twice as many', 40, 20, 80],
  ['for ever is followed by some, all the same', 20, 60_000, 5],
  ['no time at all is followed by as many as one takes', 100, 0, 200],
])('a portion that took %s', (_, manifests, took, next) => {
  expect(nextPortion(manifests, took)).toBe(next)
})
