import { describe, expect, test } from 'bun:test'
import { originOf } from './origin.ts'

describe('the origin of a request', () => {
  const rows: [string, Record<string, string>, { secure?: boolean; believed?: boolean }, string | undefined][] = [
    ['is its Host', { host: 'reg.example:5000' }, {}, 'http://reg.example:5000'],
    ['is https on a TLS connection', { host: 'reg.example' }, { secure: true }, 'https://reg.example'],
    ['is an IPv6 Host', { host: '[::1]:5000' }, {}, 'http://[::1]:5000'],
    [
      'is what a believed proxy says',
      { host: 'inner', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'reg.example' },
      { believed: true },
      'https://reg.example',
    ],
    [
      'is the first of a list',
      { host: 'inner', 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'a, b' },
      { believed: true },
      'https://a',
    ],
    [
      'takes the scheme alone',
      { host: 'reg.example', 'x-forwarded-proto': 'HTTPS' },
      { believed: true },
      'https://reg.example',
    ],
    [
      'takes Forwarded before X-Forwarded',
      {
        host: 'inner',
        forwarded: 'for=1.2.3.4;proto=https;host="reg.example:8443", proto=http',
        'x-forwarded-host': 'x',
      },
      { believed: true },
      'https://reg.example:8443',
    ],
    [
      'ignores what a stranger says',
      { host: 'inner', 'x-forwarded-proto': 'https', forwarded: 'host=evil' },
      {},
      'http://inner',
    ],
    [
      'ignores a scheme that is none',
      { host: 'inner', 'x-forwarded-proto': 'javascript' },
      { believed: true },
      'http://inner',
    ],
    [
      'ignores a forwarded host that is none',
      { host: 'inner', 'x-forwarded-host': 'a b' },
      { believed: true },
      'http://inner',
    ],
    ['is unknown without Host', {}, {}, undefined],
    ['is unknown with a Host that is none', { host: 'a b/c' }, {}, undefined],
    ['is unknown with user data in the Host', { host: 'user@host' }, {}, undefined],
  ]
  test.each(rows)('%s', (_, headers, { secure = false, believed = false }, expected) => {
    expect(originOf({ headers: new Headers(headers), secure, believed })).toBe(expected)
  })

  test('is not sought in a Forwarded header that no proxy writes', () => {
    const headers = new Headers({ host: 'inner', forwarded: `proto=${' '.repeat(1_000_000)}"x` })
    expect(originOf({ headers, secure: false, believed: true })).toBe('http://inner')
  })
})
