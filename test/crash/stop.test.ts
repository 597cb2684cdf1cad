import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf } from '../../src/oci/digest.ts'
import { type Content, noise, pushBlob } from '../image.ts'
import { run } from '../programs.ts'
import { BERTH, type Berth, type StartOptions, startBerth } from '../start-berth.ts'
import { answerIn, connect, head } from './raw-connection.ts'
import { completeUpload, startUpload } from './upload.ts'

const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const TIMEOUT = 180_000
/** Longer than `stop` waits for the end: a server that ends has not sat it out. */
const LONG_DRAIN = { ...ENV, REGISTRY_HTTP_DRAINTIMEOUT: '120s' }
/** More than the kernel's buffers take of a download that nobody reads. */
const LARGE = 24 * 1024 * 1024
const UPLOAD = 400_000

describe('SIGTERM', () => {
  const running: Berth[] = []
  const start = async (options: StartOptions) => {
    const berth = await startBerth(options)
    running.push(berth)
    return berth
  }
  afterEach(async () => {
    for (const berth of running.splice(0)) await berth.dispose()
  })

  test(
    'lets an upload and a slow download finish, while new connections are refused',
    async () => {
      const berth = await start({ env: LONG_DRAIN })
      const large = contentOf('large', LARGE)
      const blob = contentOf('upload', UPLOAD)
      await pushBlob(berth.url, 'stop/app', large)
      const session = await startUpload(berth.url, 'stop/app')

      const download = await connect(berth.port)
      await download.send(head('GET', `/v2/stop/app/blobs/${large.digest}`))
      await download.until((received) => (answerIn(received)?.body.length ?? 0) > 0)
      download.pause()
      const upload = await connect(berth.port)
      await upload.send(head('PUT', `${session}?digest=${blob.digest}`, { 'Content-Length': UPLOAD }))
      await upload.send(blob.bytes.subarray(0, UPLOAD / 2))
      // Any answer on another connection shows that the server has read what came before.
      expect((await fetch(`${berth.url}/v2/`, { keepalive: false })).status).toBe(200)

      const stopping = berth.stop()
      expect(await refuses(berth.port)).toBe(true)
      await upload.send(blob.bytes.subarray(UPLOAD / 2))
      const answer = await upload.until((received) => answerIn(received) !== undefined)
      expect(answerIn(answer)?.status).toBe(201)
      download.resume()
      const whole = await download.until((received) => (answerIn(received)?.body.length ?? 0) >= LARGE)
      expect(digestOf(answerIn(whole)?.body ?? Buffer.alloc(0))).toBe(large.digest)
      expect(await stopping).toBe(0)

      const again = await start({ env: ENV, dataDirectory: berth.dataDirectory })
      const stored = await fetch(`${again.url}/v2/stop/app/blobs/${blob.digest}`)
      expect(digestOf(await stored.bytes())).toBe(blob.digest)
    },
    TIMEOUT,
  )

  test(
    'ends what does not finish once the drain time is over, and the upload can be resumed afterwards',
    async () => {
      const berth = await start({ env: { ...ENV, REGISTRY_HTTP_DRAINTIMEOUT: '1s' } })
      const blob = contentOf('resumed', UPLOAD)
      const session = await startUpload(berth.url, 'stop/app')
      const upload = await connect(berth.port)
      await upload.send(head('PATCH', session, { 'Content-Length': UPLOAD }))
      await upload.send(blob.bytes.subarray(0, UPLOAD / 2))
      expect((await fetch(`${berth.url}/v2/`, { keepalive: false })).status).toBe(200)
      expect(await berth.stop()).toBe(0)
      await upload.ended

      const again = await start({ env: ENV, dataDirectory: berth.dataDirectory })
      expect(await completeUpload(again.url, session, blob)).toBeLessThanOrEqual(UPLOAD / 2)
      const stored = await fetch(`${again.url}/v2/stop/app/blobs/${blob.digest}`)
      expect(digestOf(await stored.bytes())).toBe(blob.digest)
    },
    TIMEOUT,
  )

  test(
    'a second time ends the server at once',
    async () => {
      const berth = await start({ env: LONG_DRAIN })
      const session = await startUpload(berth.url, 'stop/app')
      const upload = await connect(berth.port)
      await upload.send(head('PATCH', session, { 'Content-Length': UPLOAD }))
      await upload.send(new Uint8Array(1000))
      expect((await fetch(`${berth.url}/v2/`, { keepalive: false })).status).toBe(200)
      const stopping = berth.stop()
      expect(await refuses(berth.port)).toBe(true)
      process.kill(berth.pid, 'SIGTERM')
      expect(await stopping).toBe(130)
    },
    TIMEOUT,
  )

  test(
    'does not wait for connections that are idle',
    async () => {
      const berth = await start({ env: LONG_DRAIN })
      const idle = await Promise.all(Array.from({ length: 5 }, () => connect(berth.port)))
      for (const connection of idle) {
        await connection.send(head('GET', '/v2/'))
        await connection.until((received) => answerIn(received)?.status === 200)
      }
      const silent = await connect(berth.port)
      expect(await berth.stop()).toBe(0)
      await Promise.all(idle.map((connection) => connection.ended))
      silent.destroy()
    },
    TIMEOUT,
  )
})

describe('a server that cannot start says why', () => {
  const serve = (data: string, address: string) =>
    run([BERTH, 'serve', '--addr', address, '--data', data], { env: ENV })

  test('when another one owns the data directory, which goes on', async () => {
    const berth = await startBerth({ env: ENV })
    try {
      const { code, stdout, stderr } = await serve(berth.dataDirectory, '127.0.0.1:0')
      expect(code).not.toBe(0)
      expect(stdout + stderr).toContain(`${berth.dataDirectory} is in use by another berth`)
      expect(stdout + stderr).not.toContain('listening')
      await pushBlob(berth.url, 'stop/app', contentOf('goes on', 1000))
    } finally {
      await berth.dispose()
    }
  })

  test('when its port is in use', async () => {
    const berth = await startBerth({ env: ENV })
    const data = mkdtempSync(join(tmpdir(), 'berth-stop-'))
    try {
      const { code, stdout, stderr } = await serve(data, `127.0.0.1:${berth.port}`)
      expect(code).not.toBe(0)
      expect(stdout + stderr).toContain(
        `cannot listen on 127.0.0.1:${berth.port}: another program does; choose another address`,
      )
      // It has given back what it had taken: the same directory serves at once.
      const other = await startBerth({ env: ENV, dataDirectory: data })
      expect(await other.stop()).toBe(0)
      await other.dispose()
    } finally {
      await berth.dispose()
      rmSync(data, { recursive: true, force: true })
    }
  })
})

async function refuses(port: number): Promise<boolean> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      const connection = await connect(port)
      connection.destroy()
    } catch (error) {
      return error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
    }
    await Bun.sleep(20)
  }
  return false
}

function contentOf(seed: string, size: number): Content {
  const bytes = noise(size, seed)
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), bytes }
}
