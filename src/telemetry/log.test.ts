import { describe, expect, test } from 'bun:test'
import { createLog, type LogOptions } from './log.ts'

function lines(
  formatter: LogOptions['formatter'],
  level: LogOptions['level'] = 'info',
): { log: ReturnType<typeof createLog>; out: string[] } {
  const out: string[] = []
  const log = createLog({ level, formatter, fields: { service: 'x' }, now: () => 0, write: (line) => out.push(line) })
  return { log, out }
}

describe('a log', () => {
  test('in text is what registry:2 writes', () => {
    const { log, out } = lines('text')
    log.warn('disk is full', { path: '/a b', count: 2, plain: 'a/b' })
    expect(out).toEqual([
      'time="1970-01-01T00:00:00.000Z" level=warning msg="disk is full" count=2 path="/a b" plain=a/b service=x',
    ])
  })

  test('in json has one object a line', () => {
    const { log, out } = lines('json')
    log.info('hello', { a: 1 })
    expect(JSON.parse(out[0] ?? '')).toEqual({
      service: 'x',
      a: 1,
      level: 'info',
      msg: 'hello',
      time: '1970-01-01T00:00:00.000Z',
    })
  })

  test('in logstash has its version and timestamp', () => {
    const { log, out } = lines('logstash')
    log.error('no')
    expect(JSON.parse(out[0] ?? '')).toEqual({
      service: 'x',
      '@timestamp': '1970-01-01T00:00:00.000Z',
      '@version': '1',
      level: 'error',
      message: 'no',
    })
  })

  test('leaves out what is below its level', () => {
    const { log, out } = lines('text', 'warn')
    log.info('a')
    log.debug('b')
    log.warn('c')
    log.error('d')
    expect(out.map((line) => /msg=(\w+)/.exec(line)?.[1])).toEqual(['c', 'd'])
  })

  test('adds the fields of a child, and says what caused an error', () => {
    const { log, out } = lines('text')
    log.with({ repository: 'a' }).info('x', { error: new Error('outer', { cause: new Error('inner') }) })
    expect(out[0]).toContain('error="Error: outer (Error: inner)" repository=a')
  })

  test('a line break in a field makes no second line', () => {
    const { log, out } = lines('text')
    log.info('a\nb', { c: 'd\ne' })
    expect(out[0]?.includes('\n')).toBe(false)
  })

  test.each(['text', 'json', 'logstash'] as const)('in %s does not steer the terminal of its reader', (formatter) => {
    const { log, out } = lines(formatter)
    log.info('a\u009bb', { account: 'a\u009b31mX\u202e\u2028b\u007f\u001b', error: new Error('\u2066'), 'k\u009b': 1 })
    expect(/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(out[0] ?? 'none\n')).toBe(false)
    expect(out[0]).toContain('"a\\u009b31mX\\u202e\\u2028b\\u007f\\u001b"')
    if (formatter !== 'text')
      expect(JSON.parse(out[0] ?? '')).toMatchObject({ account: 'a\u009b31mX\u202e\u2028b\u007f\u001b' })
  })
})

test('a line names who wrote it, where that is asked for, and is told to a hook with all its fields', () => {
  const out: string[] = []
  const told: unknown[] = []
  const log = createLog({
    level: 'info',
    formatter: 'json',
    fields: { service: 'x', msg: 'kept' },
    now: () => 0,
    reportCaller: true,
    write: (line) => out.push(line),
    hook: ({ level, message, fields }) => told.push([level, message, fields.a]),
  })
  log.debug('not written')
  log.later('error', 'hello', { a: 1 })
  expect(JSON.parse(out[0] ?? '')).toMatchObject({
    msg: 'hello',
    'fields.msg': 'kept',
    file: expect.stringMatching(/^src\/telemetry\/log\.test\.ts:\d+$/),
  })
  expect(told).toEqual([['error', 'hello', 1]])
  expect([log.enabled('debug'), log.enabled('info')]).toEqual([false, true])
})
