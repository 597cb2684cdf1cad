import { expect, test } from 'bun:test'
import { createTurns } from './sign-in-turns.ts'

/** Takes a turn for each address and says which got one. */
function taken(takeTurn: ReturnType<typeof createTurns>, addresses: readonly (string | undefined)[]): boolean[] {
  return addresses.map((address) => takeTurn(address) !== undefined)
}

test.each([
  ['one address has its share', ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'], [true, true, false, true]],
  ['whatever its port and clothes', ['192.0.2.1:5', '::ffff:192.0.2.1', '192.0.2.1:6'], [true, true, false]],
  ['a /64 is one client', ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'], [true, true, false, true]],
  ['what is no address is one, too', ['pipe', 'pipe', 'pipe'], [true, true, false]],
  ['unknown clients share the whole', [undefined, undefined, undefined], [true, true, true]],
  ['which is all there is', ['a', 'a', 'b', 'b', 'c', undefined], [true, true, true, true, false, false]],
] as const)('%s', (_, addresses, expected) => {
  expect(taken(createTurns({ max: 4, perAddress: 2 }), addresses)).toEqual([...expected])
})

test('a turn that ended is another’s, once', () => {
  const takeTurn = createTurns({ max: 2, perAddress: 1 })
  const end = takeTurn('a')
  expect(taken(takeTurn, ['a', 'b', 'c'])).toEqual([false, true, false])
  end?.()
  end?.()
  expect(taken(takeTurn, ['c', 'd'])).toEqual([true, false])
})
