import { describe, expect, test } from 'bun:test'
import { createClientAddress, isNear } from './peer.ts'

test('loopback, private and link-local addresses are near, and unix sockets', () => {
  const near = [
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.1.1',
    '169.254.1.1',
    '::1',
    'fd00::1',
    'fe80::1%eth0',
    '::ffff:127.0.0.1',
    undefined,
  ]
  const far = ['8.8.8.8', '172.32.0.1', '2001:db8::1', '::ffff:8.8.8.8', 'garbage']
  expect(near.map(isNear)).toEqual(near.map(() => true))
  expect(far.map(isNear)).toEqual(far.map(() => false))
})

describe('the address of the client', () => {
  const rows: [string, string[], string | undefined, string | null, string | undefined][] = [
    ['is the peer, where nobody is trusted', [], '10.0.0.1', '1.1.1.1', '10.0.0.1'],
    ['is the last hop that is not trusted', ['10.0.0.0/8'], '10.0.0.1', '6.6.6.6, 1.1.1.1, 10.0.0.2', '1.1.1.1'],
    ['is the peer when it is not trusted', ['10.0.0.0/8'], '9.9.9.9', '1.1.1.1', '9.9.9.9'],
    ['is the proxy when it forwards nothing', ['10.0.0.0/8'], '10.0.0.1', null, '10.0.0.1'],
    ['is the proxy when it forwards garbage', ['10.0.0.0/8'], '10.0.0.1', 'x', '10.0.0.1'],
    ['knows IPv4 in its disguise', ['10.0.0.1'], '::ffff:10.0.0.1', '1.1.1.1', '1.1.1.1'],
    ['knows IPv6', ['2001:db8::/32'], '2001:db8::1', '2001:dead::1', '2001:dead::1'],
    ['is unknown on a unix socket', [], undefined, '1.1.1.1', undefined],
  ]
  test.each(rows)('%s', (_, trusted, peer, forwardedFor, expected) => {
    expect(createClientAddress(trusted)(peer, forwardedFor)).toBe(expected)
  })
})
