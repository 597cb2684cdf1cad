import { afterAll, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { connect, type Target } from './connection.ts'
import { frame } from './load-push.ts'

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  routes: {
    '/echo': async (request) => {
      const bytes = new Uint8Array(await request.arrayBuffer())
      const digest = createHash('sha256').update(bytes).digest('hex')
      return Response.json({ size: bytes.length, digest, user: request.headers.get('authorization') })
    },
    '/large': () => new Response(new Uint8Array(3_000_000)),
    '/chunked': () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode('one '))
            controller.enqueue(new TextEncoder().encode('two'))
            controller.close()
          },
        }),
      ),
    '/nothing': () => new Response(null, { status: 204 }),
  },
})
const target: Target = { host: '127.0.0.1', port: server.port ?? 0, tls: false, authorization: 'Bearer x' }
afterAll(async () => await server.stop(true))

test('one connection takes answers of every framing in turn', async () => {
  const connection = await connect(target)
  const large = await connection.send({ method: 'GET', path: '/large' })
  const chunked = await connection.send({ method: 'GET', path: '/chunked' })
  const nothing = await connection.send({ method: 'GET', path: '/nothing' })
  const missing = await connection.send({ method: 'HEAD', path: '/large' })
  connection.close()
  expect([large.status, large.size, large.text]).toEqual([200, 3_000_000, ''])
  expect([chunked.status, chunked.text.includes('one ')]).toEqual([200, true])
  expect([nothing.status, nothing.size]).toEqual([204, 0])
  expect([missing.status, missing.size]).toEqual([200, 0])
})

test('a chunked body arrives as it was framed, larger than any socket buffer', async () => {
  const bytes = Buffer.alloc(5_000_000, 'berth')
  const pieces = [frame(bytes), Buffer.from('0\r\n\r\n')]
  const connection = await connect(target)
  const answer = await connection.send({ method: 'POST', path: '/echo', framed: () => pieces.shift() })
  connection.close()
  const digest = createHash('sha256').update(bytes).digest('hex')
  expect(JSON.parse(answer.text)).toEqual({ size: bytes.length, digest, user: 'Bearer x' })
})

test('a connection that was closed says so', async () => {
  const connection = await connect(target)
  connection.close()
  await expect(connection.send({ method: 'GET', path: '/nothing' })).rejects.toThrow('closed')
})
