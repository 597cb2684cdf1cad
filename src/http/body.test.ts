import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createConnection } from 'node:net'
import { InterruptedBody, readBody, SlowBody, streamBody } from './body.ts'

/** A request whose body comes as it is enqueued. */
function requestOf(start: (controller: ReadableStreamDefaultController<Uint8Array>) => void, headers = {}): Request {
  return new Request('http://x/', { method: 'PUT', body: new ReadableStream({ start }), headers })
}

const bytes = (text: string) => new Uint8Array(Buffer.from(text))

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const chunk of body) text += Buffer.from(chunk).toString()
  return text
}

describe('a body as a stream', () => {
  test('comes whole and in order', async () => {
    const request = requestOf((controller) => {
      for (const part of ['a', 'bc', 'd']) controller.enqueue(bytes(part))
      controller.close()
    })
    expect(await textOf(streamBody(request))).toBe('abcd')
  })

  test('that is not there is empty', async () => {
    expect(await textOf(streamBody(new Request('http://x/')))).toBe('')
  })

  test('whose sender pauses for too long ends with SlowBody, after what came', async () => {
    const seen: string[] = []
    const request = requestOf((controller) => controller.enqueue(bytes('some')))
    const work = (async () => {
      for await (const chunk of streamBody(request, undefined, 50)) seen.push(Buffer.from(chunk).toString())
    })()
    await expect(work).rejects.toBeInstanceOf(SlowBody)
    expect(seen).toEqual(['some'])
  })

  test('may be taken slowly: only the time of the sender counts', async () => {
    const request = requestOf((controller) => {
      for (const part of ['a', 'b']) controller.enqueue(bytes(part))
      controller.close()
    })
    let text = ''
    for await (const chunk of streamBody(request, undefined, 30)) {
      text += Buffer.from(chunk).toString()
      await Bun.sleep(100)
    }
    expect(text).toBe('ab')
  })

  test('that is taken slowly and then pauses ends with SlowBody all the same', async () => {
    const request = requestOf((controller) => controller.enqueue(bytes('a')))
    const work = (async () => {
      for await (const _ of streamBody(request, undefined, 30)) await Bun.sleep(100)
    })()
    await expect(work).rejects.toBeInstanceOf(SlowBody)
  })

  test.each([
    ['before it begins', 0],
    ['while it waits', 30],
  ])('ends with the reason of a signal that comes %s', async (_, delay) => {
    const controller = new AbortController()
    const reason = new Error('taken over')
    if (delay === 0) controller.abort(reason)
    else setTimeout(() => controller.abort(reason), delay)
    await expect(
      textOf(
        streamBody(
          requestOf(() => {}),
          controller.signal,
        ),
      ),
    ).rejects.toBe(reason)
  })
})

describe('a body as a whole', () => {
  const four = (headers = {}) =>
    requestOf((controller) => {
      for (const part of ['ab', 'cd']) controller.enqueue(bytes(part))
      controller.close()
    }, headers)

  test('of as many bytes as allowed is taken', async () => {
    expect(Buffer.from(await readBody(four(), 4)).toString()).toBe('abcd')
  })

  test.each([
    ['found out while reading', {}],
    ['announced', { 'content-length': '5' }],
  ])('of more is MANIFEST_TOO_LARGE, %s', async (_, headers) => {
    await expect(readBody(four(headers), 3)).rejects.toMatchObject({ code: 'MANIFEST_TOO_LARGE' })
  })

  test('that pauses, or breaks off, is interrupted', async () => {
    await expect(
      readBody(
        requestOf(() => {}),
        10,
        30,
      ),
    ).rejects.toBeInstanceOf(InterruptedBody)
    const broken = requestOf((controller) => controller.error(new Error('reset')))
    await expect(readBody(broken, 10)).rejects.toBeInstanceOf(InterruptedBody)
  })
})

describe('over a connection', () => {
  let server: Bun.Server<undefined>
  const outcomes: string[] = []
  beforeAll(() => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      async fetch(request) {
        try {
          return new Response(await readBody(request, 100, 100))
        } catch (error) {
          outcomes.push(error instanceof InterruptedBody ? String(error.cause) : 'other')
          return new Response('interrupted', { status: 408 })
        }
      },
    })
  })
  afterAll(() => server.stop(true))

  test('a sender who stops in the middle is answered, not waited for', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    const socket = createConnection({ port: server.port ?? 0, host: '127.0.0.1' })
    let text = ''
    socket.on('data', (data: Buffer) => {
      text += data.toString()
      if (text.includes('\r\n\r\n')) resolve(text)
    })
    socket.on('close', () => resolve(text))
    socket.on('error', () => resolve(text))
    socket.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf')
    expect(await promise).toStartWith('HTTP/1.1 408')
    socket.destroy()
    expect(outcomes).toEqual(['SlowBody: no bytes for too long'])
  })
})
