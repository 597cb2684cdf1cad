import { describe, expect, test } from 'bun:test'
import { parseExposition } from './exposition.fixture.ts'
import { createMetrics } from './metrics.ts'
import { goNumber } from './metrics-text.ts'

describe('metrics', () => {
  test('are exposed by name, each with its help and type, samples in the order of their labels', async () => {
    const metrics = createMetrics()
    const requests = metrics.counter('registry_http_requests_total', 'Total number.', ['code', 'handler', 'method'])
    requests('404', 'blob', 'head').inc()
    requests('200', 'base', 'get').inc(2)
    requests('200', 'base', 'get').inc()
    metrics.gauge('berth_uploads', 'Uploads under way.')().set(3)
    metrics.gauge('berth_uploads', 'Uploads under way.')().add(-1)
    const seconds = metrics.histogram('berth_write_seconds', 'Seconds.', ['kind'], [0.5, 1])
    for (const value of [0.25, 0.5, 0.75, 7]) seconds('a').observe(value)
    expect(await metrics.expose()).toBe(`\
# HELP berth_uploads Uploads under way.
# TYPE berth_uploads gauge
berth_uploads 2
# HELP berth_write_seconds Seconds.
# TYPE berth_write_seconds histogram
berth_write_seconds_bucket{kind="a",le="0.5"} 2
berth_write_seconds_bucket{kind="a",le="1"} 3
berth_write_seconds_bucket{kind="a",le="+Inf"} 4
berth_write_seconds_sum{kind="a"} 8.5
berth_write_seconds_count{kind="a"} 4
# HELP registry_http_requests_total Total number.
# TYPE registry_http_requests_total counter
registry_http_requests_total{code="200",handler="base",method="get"} 3
registry_http_requests_total{code="404",handler="blob",method="head"} 1
`)
  })

  test('without labels are there before anything happened, others are not', async () => {
    const metrics = createMetrics()
    metrics.counter('a_total', 'A.')
    metrics.counter('b_total', 'B.', ['kind'])
    expect(await metrics.expose()).toBe('# HELP a_total A.\n# TYPE a_total counter\na_total 0\n')
  })

  test('can be asked for again and again, and count on', async () => {
    const metrics = createMetrics()
    const first = metrics.counter('a_total', 'A.', ['x'])('1')
    const second = metrics.counter('a_total', 'A.', ['x'])('1')
    first.inc()
    second.inc()
    expect(second).toBe(first)
    expect(parseExposition(await metrics.expose()).value('a_total{x="1"}')).toBe(2)
  })

  test.each([
    ['another kind', (m: ReturnType<typeof createMetrics>) => m.gauge('a_total', 'A.', ['x'])],
    ['other labels', (m: ReturnType<typeof createMetrics>) => m.counter('a_total', 'A.', ['y'])],
    ['no name', (m: ReturnType<typeof createMetrics>) => m.counter('a-b', 'A.')],
    ['no label', (m: ReturnType<typeof createMetrics>) => m.counter('b_total', 'A.', ['x y'])],
    ['too few values', (m: ReturnType<typeof createMetrics>) => m.counter('a_total', 'A.', ['x'])()],
  ])('a definition with %s is a mistake of the program', (_, define) => {
    const metrics = createMetrics()
    metrics.counter('a_total', 'A.', ['x'])
    expect(() => define(metrics)).toThrow()
  })

  test('that are read at the scrape are read anew each time, by the last reader', async () => {
    const metrics = createMetrics()
    let free = 5
    metrics.observed('gauge', 'berth_free_bytes', 'Free.', ['path'], () => [[['/old'], 1]])
    metrics.observed('gauge', 'berth_free_bytes', 'Free.', ['path'], async () => [[['/data'], free]])
    expect(parseExposition(await metrics.expose()).value('berth_free_bytes{path="/data"}')).toBe(5)
    free = 4
    const scraped = parseExposition(await metrics.expose())
    expect([...(scraped.families.get('berth_free_bytes')?.samples ?? [])]).toEqual([
      ['berth_free_bytes{path="/data"}', 4],
    ])
  })

  test('that cannot be read are left out and told of, and the rest is there', async () => {
    const told: string[] = []
    const metrics = createMetrics({ onError: (name, error) => told.push(`${name} ${String(error)}`) })
    metrics.observed('gauge', 'a', 'A.', [], () => {
      throw new Error('no')
    })
    metrics.observed('gauge', 'b', 'B.', [], () => Promise.reject(new Error('neither')))
    metrics.gauge('c', 'C.')().set(1)
    expect(await metrics.expose()).toBe('# HELP c C.\n# TYPE c gauge\nc 1\n')
    expect(told).toEqual(['a Error: no', 'b Error: neither'])
  })

  test('keep to their lines whatever a label holds', async () => {
    const metrics = createMetrics()
    metrics.gauge('a', 'A \\ or\nB.', ['x'])('say "\\hi"\nb 1').set(1)
    const text = await metrics.expose()
    expect(text).toBe('# HELP a A \\\\ or\\nB.\n# TYPE a gauge\na{x="say \\"\\\\hi\\"\\nb 1"} 1\n')
    expect(parseExposition(text).families.size).toBe(1)
  })
})

test.each([
  [0, '0'],
  [0.005, '0.005'],
  [524288, '524288'],
  [1048576, '1.048576e+06'],
  [2147483648, '2.147483648e+09'],
  [1e6, '1e+06'],
  [0.00008531, '8.531e-05'],
  [-3, '-3'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NaN, 'NaN'],
])('%p is written %s, as Go writes it', (value, text) => {
  expect(goNumber(value)).toBe(text)
})
