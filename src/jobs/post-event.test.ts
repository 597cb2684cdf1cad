import { afterEach, describe, expect, test } from 'bun:test'
import type { Socket } from 'bun'
import { postEvent, type Receiver } from './post-event.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function serve(answer: (request: Request) => Response | Promise<Response>) {
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', idleTimeout: 0, fetch: answer })
  closers.push(() => server.stop(true))
  return `http://127.0.0.1:${server.port}`
}

/** A program that reads, and says this. */
function garble(say: (socket: Socket) => void) {
  const server = Bun.listen({ port: 0, hostname: '127.0.0.1', socket: { data: say } })
  closers.push(() => server.stop(true))
  return `http://127.0.0.1:${server.port}/`
}

/** Milliseconds, where the time is not what is tested. */
const PATIENCE = 60_000

const post = async (url: string, more: Partial<Receiver> = {}, signal = new AbortController().signal) => {
  const receiver = { url, headers: {}, timeoutMs: PATIENCE, mediaType: 'a/b', ...more }
  const { accepted, status, code, text } = await postEvent(receiver, '{}', signal)
  return { accepted, status, code, text }
}

test.each([200, 201, 204, 299, 300, 301, 302, 303, 304, 399])('%d is accepted', async (status) => {
  let requests = 0
  const url = serve(() => {
    requests++
    return new Response(null, { status, headers: { Location: '/elsewhere' } })
  })
  expect(await post(url)).toMatchObject({ accepted: true, status })
  expect(requests).toBe(1)
})

test.each([400, 401, 404, 410, 429, 500, 503, 599])('%d is not accepted', async (status) => {
  const url = serve(() => new Response('a long explanation', { status }))
  expect(await post(url)).toMatchObject({ accepted: false, status })
})

test('the answer is told by its code alone', async () => {
  const url = serve(() => new Response('', { status: 503, statusText: 'secret\u00e4' }))
  const told = '503 Service Unavailable'
  expect(await post(url)).toEqual({ accepted: false, status: 503, code: told, text: told })
})

describe('what keeps an event from being accepted is told without the URL', () => {
  const faults: [sentence: string, url: () => string, text: RegExp, timeoutMs: number][] = [
    // The first of all ports, for a free one may be another test's by then.
    ['nobody listens', () => 'http://127.0.0.1:1/', /^connection refused$/, PATIENCE],
    ['no answer comes', () => serve(() => new Promise(() => {})), /^no answer within 200 ms$/, 200],
    ['the connection is closed', () => garble((socket) => void socket.end()), /^the connection was closed/, PATIENCE],
    [
      'the answer is no HTTP',
      () => garble((socket) => void socket.end('\x00\x01 hello\r\n\r\n')),
      /closed|sent/,
      PATIENCE,
    ],
    [
      'the answer ends in the middle of its head',
      () => garble((socket) => void socket.end('HTTP/1.1 20')),
      /closed|sent/,
      PATIENCE,
    ],
  ]
  test.each(faults)('%s', async (_, url, text, timeoutMs) => {
    const answer = await post(url(), { timeoutMs })
    expect(answer).toEqual({ accepted: false, status: undefined, code: answer.text, text: expect.stringMatching(text) })
    expect(answer.text).not.toContain('127.0.0.1')
  })
})

test('an answer whose body never ends is an answer', async () => {
  const url = garble((socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx'))
  expect(await post(url)).toMatchObject({ accepted: true, status: 200 })
})

test('a stop ends it', async () => {
  const stop = new AbortController()
  const url = serve(() => {
    stop.abort()
    return new Promise(() => {})
  })
  expect(await post(url, {}, stop.signal)).toMatchObject({ accepted: false, text: 'the server was stopped' })
})

describe('a redirect that repeats the request', () => {
  const seen: string[] = []
  const from = (location: (url: string) => string) => {
    seen.length = 0
    const url: string = serve(async (request) => {
      const { pathname } = new URL(request.url)
      seen.push(`${request.method} ${pathname} ${await request.text()} ${request.headers.get('authorization')}`)
      if (pathname === '/end') return new Response('')
      return new Response('', { status: 307, headers: { Location: location(url) } })
    })
    return url
  }
  const headers = { Authorization: ['Bearer x'] }

  test('is followed on the same host, with body and headers', async () => {
    expect(
      await post(
        from(() => '/end'),
        { headers },
      ),
    ).toMatchObject({ accepted: true, status: 200 })
    expect(seen).toEqual(['POST / {} Bearer x', 'POST /end {} Bearer x'])
  })

  test('is not followed to another host, which would get the headers', async () => {
    let visits = 0
    const other = serve(() => {
      visits++
      return new Response('')
    })
    const answer = await post(
      from(() => other),
      { headers },
    )
    expect(answer).toMatchObject({
      accepted: false,
      code: '307 Temporary Redirect',
      text: '307 Temporary Redirect to another host, which is not followed',
    })
    expect(visits).toBe(0)
  })

  test('is not followed for ever', async () => {
    expect(await post(from((url) => `${url}/again`))).toMatchObject({ accepted: false, status: 307 })
    expect(seen).toHaveLength(4)
  })

  test('to nowhere is a failure', async () => {
    expect(await post(from(() => 'http://['))).toMatchObject({ accepted: false, status: 307 })
  })
})

test('name and password of the URL become a header, which the configuration may replace', async () => {
  const seen: (string | null)[] = []
  const url = serve((request) => {
    seen.push(request.headers.get('authorization'), new URL(request.url).href)
    return new Response('')
  })
  const secret = `${url.replace('http://', 'http://a%3Ab:c%40d@')}/x?y=z`
  await post(secret)
  await post(secret, { headers: { authorization: ['Bearer x'] } })
  const plain = `${url}/x?y=z`
  expect(seen).toEqual([`Basic ${btoa('a:b:c@d')}`, plain, 'Bearer x', plain])
})
