import { expect, test } from 'bun:test'
import { parseWrk } from './wrk.ts'

const output = (fifty: string, ninetyNine: string, more = '') => `Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Latency Distribution
     50%  ${fifty}
     75%    1.00s
     90%    1.00s
     99%  ${ninetyNine}
  1000 requests in 2.00s, 1.00MB read
${more}Requests/sec:  65338.25
Transfer/sec:      0.50MB
`

test.each([
  ['reads microseconds', '444.00us', '1.67ms', { p50: 0.444, p99: 1.67 }],
  ['reads seconds, which stand before a space', '21.10ms', '1.20s ', { p50: 21.1, p99: 1200 }],
])('wrk: %s', (_, fifty, ninetyNine, { p50, p99 }) => {
  const result = parseWrk(output(fifty, ninetyNine))
  expect([result.requests, result.requestsPerSecond]).toEqual([1000, 65338.25])
  expect(result.p50).toBeCloseTo(p50, 6)
  expect(result.p99).toBeCloseTo(p99, 6)
})

test.each([
  ['answers that are no success', '  Non-2xx or 3xx responses: 7\n', 'Non-2xx or 3xx responses: 7'],
  ['broken connections', '  Socket errors: connect 0, read 3, write 0, timeout 0\n', 'Socket errors'],
])('wrk: %s make the measurement worthless', (_, line, message) => {
  expect(() => parseWrk(output('1.00ms', '2.00ms', line))).toThrow(message)
})
