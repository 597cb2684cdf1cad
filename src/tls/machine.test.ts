import { expect, test } from 'bun:test'
import { canonical, isHostName, type Machine, namesOfMachine, thisMachine } from './machine.ts'

const machine = (parts: { hostname?: string; hosts?: string; addresses?: string[] }): Machine => ({
  hostname: () => parts.hostname ?? 'box',
  hosts: () => parts.hosts ?? '',
  addresses: () => parts.addresses ?? [],
})
const ALWAYS = ['localhost', '127.0.0.1', '::1']

test.each<[string, Parameters<typeof machine>[0], string[]]>([
  ['a machine without a network', {}, ['box']],
  ['its host name in lower case', { hostname: 'Box.Example' }, ['box.example']],
  [
    'the full name and others, from the lines of the hosts file that name it',
    { hosts: '127.0.0.1 localhost\n127.0.1.1\tbox.example.org box # a remark box.remark\n10.0.0.9 other\n' },
    ['box', 'box.example.org'],
  ],
  [
    'addresses of both kinds, without link-local ones',
    { addresses: ['127.0.0.1', '192.0.2.7', 'fe80::1', 'febf::1', '2001:DB8:0::7', 'fd00::1'] },
    ['box', '192.0.2.7', '2001:db8::7', 'fd00::1'],
  ],
  ['no names that a certificate cannot carry', { hostname: 'bo x', hosts: '10.0.0.1 bo$x\n' }, []],
  ['an address as host name is an address', { hostname: '192.0.2.7', addresses: ['192.0.2.7'] }, ['192.0.2.7']],
])('%s', (_, parts, expected) => {
  const names = namesOfMachine(machine(parts))
  expect(names.filter((name) => !ALWAYS.includes(name)).sort()).toEqual([...expected].sort())
  expect(ALWAYS.filter((name) => !names.includes(name))).toEqual([])
  expect(new Set(names).size).toBe(names.length)
})

test('this machine has a name', () => {
  expect(namesOfMachine(thisMachine).length).toBeGreaterThan(ALWAYS.length)
})

test('one form for each address', () => {
  expect(canonical('2001:DB8::0:1')).toBe('2001:db8::1')
  expect(canonical('0:0:0:0:0:0:0:1')).toBe('::1')
  expect(canonical('Box')).toBe('box')
})

test.each(['a', 'a-b.c', '*.a.b', '_x.y', 'x_y'])('%s is a host name', (name) => {
  expect(isHostName(name)).toBe(true)
})
test.each(['', '-a', 'a-', 'a..b', '.a', 'a.', 'a.*', '*', 'ü.x', 'a b', 'a/b', 'x'.repeat(254)])(
  '%p is none',
  (name) => {
    expect(isHostName(name)).toBe(false)
  },
)
