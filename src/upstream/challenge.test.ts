import { describe, expect, test } from 'bun:test'
import { parseChallenges } from './challenge.ts'

const read = (header: string | null) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

describe('a WWW-Authenticate header', () => {
  test.each<[string, string | null, unknown]>([
    ['that is missing has no challenge', null, []],
    [
      'of a registry with a token server',
      'Bearer realm="https://auth.example/auth",service="Docker registry",scope="repository:a/b:pull,push"',
      [
        [
          'bearer',
          { realm: 'https://auth.example/auth', service: 'Docker registry', scope: 'repository:a/b:pull,push' },
        ],
      ],
    ],
    ['of a registry with htpasswd', 'Basic realm="Registry Realm"', [['basic', { realm: 'Registry Realm' }]]],
    ['without quotes', 'Basic realm=here', [['basic', { realm: 'here' }]]],
    [
      'with spaces around signs and commas',
      'BEARER Realm = "r" , Service="s"',
      [['bearer', { realm: 'r', service: 's' }]],
    ],
    ['with an escaped quote', 'Basic realm="a \\"b\\" \\\\"', [['basic', { realm: 'a "b" \\' }]]],
    [
      'with two challenges',
      'Negotiate, Bearer realm="r",service="s", Basic realm="x"',
      [
        ['negotiate', {}],
        ['bearer', { realm: 'r', service: 's' }],
        ['basic', { realm: 'x' }],
      ],
    ],
    [
      'with credentials in place of parameters',
      'Negotiate abcd==, Basic realm="x"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['with commas too many', ', ,Basic realm="x",,', [['basic', { realm: 'x' }]]],
    [
      'that breaks off inside a value',
      'Basic realm="x", Bearer realm="y',
      [
        ['basic', { realm: 'x' }],
        ['bearer', {}],
      ],
    ],
    ['that is no challenge', '"nonsense"', []],
  ])('%s', (_, header, expected) => {
    expect(read(header)).toEqual(expected as never)
  })
})
