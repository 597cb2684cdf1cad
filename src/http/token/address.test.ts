import { describe, expect, test } from 'bun:test'
import { as, claimsOf, rule, setup } from './token.samples.ts'
import type { TokenEndpointOptions } from './token.ts'

describe('the client’s address', () => {
  const seen = async (endpoint: Partial<TokenEndpointOptions>, forwarded: string | undefined, peer?: string) => {
    const acl = ['1.2.3.4', '5.6.7.8', '2001:db8::1'].map((ip) => rule({ ip }, [ip]))
    const { call } = setup({ acl: [...acl, rule({}, ['other'])], endpoint })
    const headers = forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded }
    const scope = 'scope=repository:x:1.2.3.4,5.6.7.8,2001,other'
    const response = await call(`/auth?${scope}`, as('admin:badmin', { headers }), peer)
    const text = await response.text()
    return response.status === 200
      ? claimsOf(JSON.parse(text).token).access[0].actions.join()
      : `${response.status} ${text}`
  }
  const at = (realIpPos: number) => ({ realIpHeader: 'X-Forwarded-For', realIpPos })
  const unable = (text: string) => `400 Bad request: unable to parse remote addr ${text}\n`
  const missing = '400 Bad request: client address not provided\n'

  test.each([
    ['H35: the header is missing', at(0), undefined, missing],
    ['H36: the first', at(0), '1.2.3.4, 5.6.7.8', '1.2.3.4'],
    ['H36: the last', at(-1), '1.2.3.4, 5.6.7.8', '5.6.7.8'],
    ['H36: the last but one', at(-2), '1.2.3.4, 5.6.7.8', '1.2.3.4'],
    ['H36: before the first is the first', at(-9), '1.2.3.4, 5.6.7.8', '1.2.3.4'],
    ['H36: the second', at(1), '1.2.3.4, 5.6.7.8', '5.6.7.8'],
    ['H37: past the last', at(2), '1.2.3.4, 5.6.7.8', missing],
    ['H38: no address', at(0), 'foo', unable('foo')],
    ['H38: an address with a zone', at(0), 'fe80::1%eth0', unable('fe80::1%eth0')],
    ['H39: with a port', at(0), '1.2.3.4:9', '1.2.3.4'],
    ['H40: an empty last', at(-1), '1.2.3.4,', missing],
    ['H39: IPv6', at(0), '[2001:db8::1]:443', ''],
  ])('%s', async (_, endpoint, forwarded, expected) => {
    expect(await seen(endpoint, forwarded)).toBe(expected)
  })

  test('is the peer’s where no header is configured, and not believed otherwise', async () => {
    expect(await seen({}, '5.6.7.8', '1.2.3.4')).toBe('1.2.3.4')
    expect(await seen({}, undefined, '::ffff:5.6.7.8')).toBe('5.6.7.8')
    expect(await seen({}, undefined, '9.9.9.9')).toBe('other')
  })

  test('is unknown on a unix socket, and rules for addresses do not match', async () => {
    const { tokenServer } = setup({ acl: [rule({ ip: '0.0.0.0/0' }, ['*'])] })
    const scopes = [{ type: 'repository', name: 'x', actions: ['pull'] }]
    const { access } = await tokenServer.issue({
      account: 'open',
      password: '',
      service: '',
      scopes,
      address: undefined,
    })
    expect(access).toEqual([{ type: 'repository', name: 'x', actions: [] }])
  })
})
