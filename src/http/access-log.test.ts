import { describe, expect, test } from 'bun:test'
import { createAccessLog } from './access-log.ts'

const NOON = Date.UTC(2024, 1, 29, 12, 0, 7, 999)

function lineOf(
  url: string,
  headers: Record<string, string> = {},
  peer?: string,
  response = new Response('body'),
): string {
  const lines: string[] = []
  const log = createAccessLog(
    (line) => lines.push(line),
    () => NOON,
  )
  // As the runtime hands it over: its URL may be a bare path, which a Request of one's own cannot have.
  log({ url, method: 'GET', headers: new Headers(headers) } as Request, response, peer)
  expect(lines).toHaveLength(1)
  return lines[0] ?? ''
}

describe("Apache's combined format", () => {
  const rows: [string, () => string, string][] = [
    [
      'everything',
      () =>
        lineOf(
          'http://r.example:5000/v2/a/manifests/b?n=1',
          { 'user-agent': 'docker/20', referer: 'http://x/' },
          '10.0.0.1',
          new Response('12345', { status: 201, headers: { 'content-length': '5' } }),
        ),
      '10.0.0.1 - - [29/Feb/2024:12:00:07 +0000] "GET /v2/a/manifests/b?n=1 HTTP/1.1" 201 5 "http://x/" "docker/20"',
    ],
    ['nothing', () => lineOf('/v2/'), '- - - [29/Feb/2024:12:00:07 +0000] "GET /v2/ HTTP/1.1" 200 - "" ""'],
    [
      'an IPv4 address in the clothes of IPv6',
      () => lineOf('http://x/', {}, '::ffff:192.0.2.7'),
      '192.0.2.7 - - [29/Feb/2024:12:00:07 +0000] "GET / HTTP/1.1" 200 - "" ""',
    ],
    [
      'quotes and backslashes do not end a field',
      () => lineOf('/a"b\\c', { 'user-agent': 'x" 200 "\\' }),
      '- - - [29/Feb/2024:12:00:07 +0000] "GET /a\\"b\\\\c HTTP/1.1" 200 - "" "x\\" 200 \\"\\\\"',
    ],
    [
      'bytes that steer the terminal of a reader are spelled out',
      () => lineOf('/v2/\u009b31m', { 'user-agent': 'a\u009b31m\u007fb\u00ad', referer: 'x\u001b]0;y\u0007' }),
      '- - - [29/Feb/2024:12:00:07 +0000] "GET /v2/\\x9b31m HTTP/1.1" 200 - "x\\x1b]0;y\\x07" "a\\x9b31m\\x7fb\\xad"',
    ],
    [
      'what lets somebody in is left out of URLs',
      () =>
        lineOf('/auth?account=a&p%61ssword=s3cret&refresh_token=s3cret&offline_token=true', {
          referer: 'https://x/oidc_auth?code=s3cret&state=s3cret#access_token=s3cret',
        }),
      '- - - [29/Feb/2024:12:00:07 +0000] "GET /auth?account=a&p%61ssword=***&refresh_token=***&offline_token=true HTTP/1.1" 200 - "https://x/oidc_auth?code=***&state=***#access_token=***" ""',
    ],
  ]
  test.each(rows)('%s', (_, line, expected) => {
    expect(line()).toBe(expected)
  })

  test('the time is that of each line', () => {
    const lines: string[] = []
    let now = NOON
    const log = createAccessLog(
      (line) => lines.push(line),
      () => now,
    )
    for (const step of [0, 1, 3_600_000]) {
      now += step
      log(new Request('http://x/'), new Response(), undefined)
    }
    expect(lines.map((line) => /\[(.*)\]/.exec(line)?.[1])).toEqual([
      '29/Feb/2024:12:00:07 +0000',
      '29/Feb/2024:12:00:08 +0000',
      '29/Feb/2024:13:00:08 +0000',
    ])
  })
})
