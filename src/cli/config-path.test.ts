import { expect, test } from 'bun:test'
import { choosePath, DEFAULT_PATHS, defaultPath } from './config-path.ts'

const [two, three] = DEFAULT_PATHS
const rows: [
  sentence: string,
  argument: string | undefined,
  variable: string | undefined,
  there: string[],
  path: string | undefined,
  isNoted: boolean,
][] = [
  ['the argument is the file', 'a.yml', undefined, ['a.yml'], 'a.yml', false],
  ['the argument beats the variable', 'a.yml', 'b.yml', ['a.yml', 'b.yml'], 'a.yml', false],
  ['the variable is the file', undefined, 'b.yml', ['b.yml'], 'b.yml', false],
  ['an empty variable is none', undefined, '', [], undefined, false],
  ['nothing is nothing', undefined, undefined, [two, three], undefined, false],
  ['a file that is not there stays what was asked for', 'a.yml', undefined, [two, three], 'a.yml', false],
  ['the place of version 2 is that of version 3, where only that is', two, undefined, [three], three, true],
  ['the place of version 3 is that of version 2, where only that is', three, undefined, [two], two, true],
  ['the same for the variable', undefined, two, [three], three, true],
  ['each place is its own, where both are', two, undefined, [two, three], two, false],
  ['a place is asked for in vain where neither is', two, undefined, [], two, false],
]
test.each(rows)('%s', (_, argument, variable, there, path, isNoted) => {
  const chosen = choosePath(argument, { REGISTRY_CONFIGURATION_PATH: variable }, (one) => there.includes(one))
  expect([chosen.path, chosen.note !== undefined]).toEqual([path, isNoted])
  if (isNoted) expect(chosen.note).toBe(`there is no ${argument ?? variable}; ${path} is used in its place`)
})

test.each([
  ['the place of version 2 comes first', [two, three], two],
  ['version 3 has its own', [three], three],
  ['there may be neither', [], undefined],
] as const)('without a name: %s', (_, there, expected) => {
  expect(defaultPath((one) => (there as readonly string[]).includes(one))).toBe(expected)
})
