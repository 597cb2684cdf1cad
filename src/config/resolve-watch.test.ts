import { describe, expect, test } from 'bun:test'
import type { Config } from './config.ts'
import { lines, loadText } from './fixtures/load-text.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'
const load = (text: string, env: Record<string, string> = {}) => loadText({ file: base + text, env })
const everySecond = { intervalMs: 1000, threshold: 1 }

describe('keys that work', () => {
  const rows: [string, string, (config: Config) => unknown, unknown][] = [
    ['no debug server by default', '', (c) => c.http.debug, undefined],
    [
      'a debug server without metrics',
      'http: {debug: {addr: "localhost:5001"}}',
      (c) => c.http.debug,
      { listen: { kind: 'tcp', hostname: 'localhost', port: 5001 }, metricsPath: undefined },
    ],
    [
      'with metrics at their usual path',
      'http: {debug: {addr: "127.0.0.1:0", prometheus: {enabled: true}}}',
      (c) => c.http.debug?.metricsPath,
      '/metrics',
    ],
    [
      'with metrics elsewhere',
      'http: {debug: {addr: "127.0.0.1:0", prometheus: {enabled: true, path: /a/m}}}',
      (c) => c.http.debug?.metricsPath,
      '/a/m',
    ],
    [
      'a check of the storage',
      'health: {storagedriver: {enabled: true, interval: 1s, threshold: 3}}',
      (c) => c.health.storage,
      { intervalMs: 1000, threshold: 3 },
    ],
    ['one that is off', 'health: {storagedriver: {enabled: false}}', (c) => c.health.storage, undefined],
    [
      'a check of a file',
      'health: {file: [{file: /down, interval: 1s}]}',
      (c) => c.health.files,
      [{ ...everySecond, file: '/down' }],
    ],
    [
      'a check without an interval looks every ten seconds',
      'health: {file: [{file: /down, interval: 0}]}',
      (c) => c.health.files,
      [{ intervalMs: 10_000, threshold: 1, file: '/down' }],
    ],
    [
      'a check of a URL',
      'health: {http: [{uri: "http://a/", headers: {X: [y]}, statuscode: 204, timeout: 3s, interval: 1s, threshold: 2}]}',
      (c) => c.health.urls,
      [{ intervalMs: 1000, threshold: 2, url: 'http://a/', headers: { X: ['y'] }, status: 204, timeoutMs: 3000 }],
    ],
    [
      'a check of an address',
      'health: {tcp: [{addr: "redis:6379", timeout: 3s, interval: 1s}]}',
      (c) => c.health.addresses,
      [{ ...everySecond, hostname: 'redis', port: 6379, timeoutMs: 3000 }],
    ],
    ['callers in the log', 'log: {reportcaller: true}', (c) => c.log.reportCaller, true],
    ['requests in the log', '', (c) => c.log.requests, true],
    ['no requests in the log', 'log: {requests: {disabled: true}}', (c) => c.log.requests, false],
    [
      'mails about the log',
      'log: {hooks: [{type: mail, levels: [error, warning], options: {smtp: {addr: "m.example:587", username: u, ' +
        'password: p, insecure: true}, from: a@b.c, to: [d@e.f]}}]}',
      (c) => c.log.mails,
      [
        {
          levels: ['error', 'warn'],
          host: 'm.example',
          port: 587,
          username: 'u',
          password: 'p',
          insecure: true,
          from: 'a@b.c',
          to: ['d@e.f'],
        },
      ],
    ],
    ['a hook that is disabled', 'log: {hooks: [{disabled: true, type: mail}]}', (c) => c.log.mails, []],
  ]
  test.each(rows)('%s', (_, text, pick, expected) => {
    const { config, problems, warnings } = load(text)
    expect([lines(problems), lines(warnings)]).toEqual([[], []])
    expect(config && pick(config)).toEqual(expected)
  })

  test('variables name the checks as Go does', () => {
    const env = {
      REGISTRY_HEALTH_FILECHECKERS_0_FILE: '/down',
      REGISTRY_HEALTH_FILECHECKERS_0_INTERVAL: '1s',
      REGISTRY_HTTP_DEBUG_ADDR: '127.0.0.1:5001',
      REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED: 'true',
    }
    const { config, problems, warnings } = load('', env)
    expect([lines(problems), lines(warnings)]).toEqual([[], []])
    expect(config?.health.files).toEqual([{ ...everySecond, file: '/down' }])
    expect(config?.http.debug?.metricsPath).toBe('/metrics')
  })
})

describe('keys that cannot be used say why', () => {
  const hook = (rest: string) => `log: {hooks: [{type: mail, levels: [error], options: {${rest}}}]}`
  const rows: [string, string][] = [
    ['http: {debug: {addr: "5001"}}', 'http.debug.addr: missing port in address "5001"'],
    [
      'http: {debug: {addr: "127.0.0.1:1", prometheus: {path: /readyz}}}',
      'http.debug.prometheus.path: "/readyz" cannot be the path of the metrics',
    ],
    ['health: {file: [{interval: 1s}]}', 'health.file[0].file: must name a file'],
    ['health: {file: [{file: /x, interval: 10}]}', 'health.file[0].interval: is shorter than 100ms'],
    ['health: {file: [{file: /x, threshold: -1}]}', 'health.file[0].threshold: must not be negative'],
    ['health: {http: [{uri: "ftp://x"}]}', 'health.http[0].uri: must be a URL that can be asked'],
    ['health: {http: [{uri: "http://x", statuscode: 7}]}', 'health.http[0].statuscode: is no status of an answer'],
    ['health: {http: [{uri: "http://x", headers: {"a b": [c]}}]}', 'health.http[0].headers.a b: is no header'],
    ['health: {tcp: [{addr: redis}]}', 'health.tcp[0].addr: "redis" is not HOST:PORT'],
    ['log: {hooks: [{type: slack, levels: [error]}]}', 'log.hooks[0].type: "slack" is no kind of hook'],
    ['log: {hooks: [{type: mail, levels: [loud]}]}', 'log.hooks[0].levels[0]: invalid loglevel loud'],
    ['log: {hooks: [{type: mail}]}', 'log.hooks[0].levels: names no level'],
    [hook('from: a@b.c, to: [d@e.f]'), 'log.hooks[0].options.smtp.addr: must name the mail server'],
    [hook('smtp: {addr: "m:0"}, from: a@b.c, to: [d@e.f]'), 'log.hooks[0].options.smtp.addr: must name'],
    [hook('smtp: {addr: "m:25"}, from: me, to: [d@e.f]'), 'log.hooks[0].options.from: must be the sender'],
    [hook('smtp: {addr: "m:25"}, from: a@b.c'), 'log.hooks[0].options.to: must list the receivers'],
  ]
  test.each(rows)('%s', (text, expected) => {
    const { config, problems } = load(text)
    expect(config).toBeUndefined()
    expect(lines(problems).join('\n')).toContain(expected)
  })
})

test.each([
  ['http: {debug: {addr: ":5001"}}', 'http.debug.addr: the debug server asks nobody who he is'],
  [
    'http: {debug: {prometheus: {enabled: true}}}',
    'http.debug.prometheus.enabled: has no effect: there is no debug server',
  ],
  [
    'log: {hooks: [{type: mail, levels: [panic], options: {smtp: {addr: "m:25"}, from: a@b.c, to: [d@e.f]}}]}',
    'log.hooks[0].levels[0]: no line has the level panic here',
  ],
])('%s is warned about', (text, expected) => {
  const { config, warnings } = load(text)
  expect(config).toBeDefined()
  expect(lines(warnings).join('\n')).toContain(expected)
})
