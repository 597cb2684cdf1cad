import { expect, test } from 'bun:test'
import { collectFigures, median } from './figures.ts'
import { describeGoal, isMet } from './goals.ts'
import { percentile } from './load-spec.ts'
import { parseMachine, parseStat } from './process-figures.ts'
import { figureText, renderTable } from './table.ts'

test.each([
  ['nothing has no median', [], undefined],
  ['the middle of three', [9, 1, 5], 5],
  ['the mean of the two in the middle of four', [4, 1, 3, 10], 3.5],
])('median: %s', (_, values, expected) => {
  expect(median(values)).toBe(expected)
})

test.each([
  ['the 99th of a hundred', 0.99, 99],
  ['the greatest', 1, 100],
  ['the 50th of a hundred', 0.5, 50],
])('percentile: %s', (_, share, expected) => {
  const shuffled = Array.from({ length: 100 }, (_, index) => ((index * 37) % 100) + 1)
  expect(percentile(shuffled, share)).toBe(expected)
})

test.each([
  ['a ratio below its limit is met', { of: 'ratio', atMost: 0.4 }, 2, 5, true],
  ['a ratio above its limit is not', { of: 'ratio', atMost: 0.4 }, 2.1, 5, false],
  ['a ratio without a peer says nothing', { of: 'ratio', atMost: 0.4 }, 2, undefined, undefined],
  ['a ratio of at least 35 is met by 40', { of: 'ratio', atLeast: 35 }, 40, 1, true],
  ['a limit of its own needs no peer', { of: 'berth', atMost: 4 }, 4.1, undefined, false],
] as const)('goal: %s', (_, goal, berth, peer, expected) => {
  expect(isMet(goal, berth, peer)).toBe(expected)
})

test('a goal is told with its direction and unit', () => {
  expect(describeGoal({ of: 'ratio', atLeast: 2.2 }, 'GiB/s')).toBe('≥ 2.2 ×')
  expect(describeGoal({ of: 'berth', atMost: 4 }, 'p99 ms')).toBe('≤ 4 ms')
})

test('figures have three significant digits', () => {
  expect([65338.25, 1.666, 0.0209, 0, undefined].map(figureText)).toEqual(['65338', '1.67', '0.0209', '0.00', ''])
})

test('the table shows medians, their ratio and whether the goal is met', () => {
  const figures = collectFigures()
  const metric = { part: 'Pushing', name: 'disk', unit: 'CPU s/GiB', goal: { of: 'ratio', atMost: 0.4 } } as const
  for (const value of [1, 3, 2]) figures.add(metric, 'berth', value)
  for (const value of [4, 4, 100]) figures.add(metric, 'peer', value)
  figures.add({ part: 'Tokens', name: 'RSA', unit: 'tokens/s' }, 'berth', 900)
  expect(renderTable(figures.all())).toBe(`### Pushing

| what | unit | Berth | docker-registry | Berth / peer | goal | met |
| --- | --- | --: | --: | --: | --: | --: |
| disk | CPU s/GiB | 2.00 | 4.00 | 0.500 × | ≤ 0.4 × | **no** |

### Tokens

| what | unit | Berth | docker-registry | Berth / peer | goal | met |
| --- | --- | --: | --: | --: | --: | --: |
| RSA | tokens/s | 900 |  |  |  |  |`)
})

test("a process's time is found behind a name that looks like fields", () => {
  const fields = ['S', ...Array.from({ length: 10 }, () => '0'), '150', '50', '25', '25', '20']
  expect(parseStat(`7 (a) b 1 (c) ${fields.join(' ')}`)).toBe(2.5)
})

test("the machine's time is what it did not idle or wait for a disk", () => {
  expect(parseMachine('cpu  100 20 30 9999 8888 4 5 6 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toBe(1.65)
})
