import { expect, test } from 'bun:test'
import { viewOf } from './docker-view.ts'

/** As moby's registry/config.go decides, with daemon.json's list as it is written. */
test.each<[string, string, string[], string[], string]>([
  ['a name of another machine', 'registry.example:5000', ['192.0.2.7'], [], 'secure'],
  ['localhost', 'localhost:5000', ['127.0.0.1', '::1'], [], 'loopback'],
  ['a name that means this machine', 'own.example:5000', ['127.0.1.1'], [], 'loopback'],
  ['an address of this machine that is not its own alone', '192.0.2.2:5000', ['192.0.2.2'], [], 'secure'],
  ['IPv6', '[::1]:5000', ['::1'], [], 'loopback'],
  ['the name in the list', 'registry.example:5000', ['192.0.2.7'], ['registry.example:5000'], 'listed'],
  [
    'the name in the list with another port',
    'registry.example:5000',
    ['192.0.2.7'],
    ['registry.example:5001'],
    'secure',
  ],
  ['the name in the list without a port', 'registry.example:5000', ['192.0.2.7'], ['registry.example'], 'secure'],
  ['a block of addresses', 'registry.example:5000', ['192.0.2.7'], ['192.0.2.0/24'], 'listed'],
  ['another block', 'registry.example:5000', ['192.0.2.7'], ['198.51.100.0/24'], 'secure'],
  ['a block of IPv6', 'registry.example', ['2001:db8::7'], ['2001:db8::/32'], 'listed'],
  ['a name that cannot be looked up', 'registry.invalid:5000', [], ['192.0.2.0/24'], 'secure'],
  ['localhost in the list', 'localhost:5000', ['127.0.0.1'], ['localhost:5000'], 'listed'],
])('%s', (_, registry, addresses, list, kind) => {
  const insecure = list.map((value, index) => ({ value, line: index + 1 }))
  expect(viewOf(registry, addresses, { insecure }).kind).toBe(kind as 'secure')
})

test('settings that cannot be read list nothing', () => {
  expect(viewOf('registry.example', ['192.0.2.7'], { insecure: 'no JSON' }).kind).toBe('secure')
})
