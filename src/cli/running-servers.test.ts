import { expect, test } from 'bun:test'
import { serverOf } from './running-servers.ts'

const none = { file: undefined, authConfig: undefined, flags: { addr: undefined, data: undefined, tls: undefined } }
const bun = ['/opt/node_modules/@oven/bun-linux-x64/bin/bun', '--no-env-file', '--config=/dev/null']

test.each([
  ['the executable that serves', '/bin/berth serve', { ...none, verb: 'serve' }],
  [
    'every option that says where it listens',
    'berth-linux-arm64 serve a.yml --addr :5000 --data=/d --auth-config b.yml --tls auto --tls-name x --tls-name y',
    { verb: 'serve', file: 'a.yml', authConfig: 'b.yml', flags: { addr: ':5000', data: '/d', tls: 'auto' } },
  ],
  ['a configuration alone', 'berth /etc/config.yaml', { ...none, verb: 'serve', file: '/etc/config.yaml' }],
  [
    'the token server',
    'berth auth --data /d a.yml',
    { ...none, verb: 'auth', file: 'a.yml', flags: { ...none.flags, data: '/d' } },
  ],
  [
    "docker_auth's file alone",
    'berth /config/auth_config.yml',
    { ...none, verb: 'auth', file: '/config/auth_config.yml' },
  ],
  [
    "docker_auth's flags",
    'berth --v=2 --alsologtostderr /config/auth_config.yml',
    { ...none, verb: 'auth', file: '/config/auth_config.yml' },
  ],
  ["docker_auth's flags and no file", 'berth --v=2', undefined],
  ["the original's words", 'berth registry serve a.yml', { ...none, verb: 'registry', file: 'a.yml' }],
  ["the original's words without a file", 'berth registry serve', { ...none, verb: 'registry' }],
  ['the source', [...bun, '/opt/src/main.ts', 'serve'].join(' '), { ...none, verb: 'serve' }],
  [
    'the bundle',
    [...bun, '/opt/dist/bundle/main.js', 'serve', 'a.yml'].join(' '),
    { ...none, verb: 'serve', file: 'a.yml' },
  ],
  ['another verb', 'berth ls localhost:5000/a', undefined],
  ["another of the original's verbs", 'berth registry garbage-collect a.yml', undefined],
  ['a shell that starts it', '/bin/sh bin/berth serve', undefined],
  ['a program of the same runtime', `${bun[0]} /opt/other.ts serve`, undefined],
  ['a thread of the kernel', '', undefined],
])('%s', (_, command, expected) => {
  const kindOf = (path: string) => (path.includes('auth') ? 'token server' : 'registry')
  expect(serverOf(command.split(' '), kindOf)).toEqual(expected as ReturnType<typeof serverOf>)
})
