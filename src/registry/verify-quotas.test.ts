import { expect, test } from 'bun:test'
import type { CheckedQuota } from './quotas.ts'
import { checkQuotas } from './verify-quotas.ts'

const amounts = { bytes: 30, tags: 2, repositories: 1, waiting: 0 }
const checked = (prefix: string, isRight: boolean) =>
  ({ quota: { prefix }, counted: amounts, isRight }) as unknown as CheckedQuota

async function run(mode: { deep: boolean; repair: boolean }) {
  const asked: boolean[] = []
  let rows = 0
  const check = checkQuotas({
    async check(repair) {
      asked.push(repair)
      return [checked('team', true), checked('other', false), checked('', false)]
    },
  })
  const onRows = (count: number) => {
    rows += count
  }
  const found = await Array.fromAsync(check.run({ ...mode, onRows }))
  return { asked, rows, found: found.map(({ what, outcome }) => `${what}: ${outcome}`) }
}

test('quotas are counted by a deep verification alone, and those that are wrong are found, or counted anew', async () => {
  expect(await run({ deep: false, repair: true })).toEqual({ asked: [], rows: 0, found: [] })
  expect(await run({ deep: true, repair: false })).toEqual({
    ...{ asked: [false], rows: 3 },
    found: ['quota of other: found', 'the quota of everything: found'],
  })
  expect(await run({ deep: true, repair: true })).toEqual({
    ...{ asked: [true], rows: 3 },
    found: ['quota of other: mended', 'the quota of everything: mended'],
  })
})
