import { type Connection, connect } from './connection.ts'
import type { PullSpec, SlowPullSpec } from './load-spec.ts'
import type { Tally } from './load-tally.ts'

const TICK_MS = 50

/** Connections read bodies as fast as they come and count them. */
export async function pull(spec: PullSpec, tally: Tally): Promise<void> {
  const until = spec.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + spec.seconds * 1000
  await Promise.all(
    Array.from({ length: spec.connections }, async (_, index) => {
      let connection: Connection | undefined
      for (let turn = 0; turn < spec.each && performance.now() < until; turn++) {
        const path = spec.paths[(index + turn) % spec.paths.length] ?? '/'
        connection ??= await connect(spec.target)
        const answer = await connection.send({ method: 'GET', path })
        if (answer.status !== 200) {
          tally.fail(`GET ${path}: ${answer.status} ${answer.text}`)
          break
        }
        tally.bytes += answer.size
        tally.requests++
        if (answer.headers.get('connection')?.toLowerCase() === 'close') {
          connection.close()
          connection = undefined
        }
      }
      connection?.close()
    }),
  )
}

/** Connections that read one body each, no faster than they are told, and leave in the middle when time is up. */
export async function slowPull(spec: SlowPullSpec, tally: Tally): Promise<void> {
  const readers: { connection: Connection; bytes: number; paused: boolean }[] = []
  const ended: Promise<unknown>[] = []
  const start = performance.now()
  const end = start + spec.seconds * 1000
  let isOver = false
  for (let count = 0; count < spec.connections; count++) {
    const reader = { connection: await connect(spec.target), bytes: 0, paused: false }
    readers.push(reader)
    const answer = reader.connection.send({
      method: 'GET',
      path: spec.path,
      onBytes: (size) => {
        reader.bytes += size
        tally.bytes += size
        if (reader.bytes > allowance(spec, start)) {
          reader.connection.pause()
          reader.paused = true
        }
      },
    })
    ended.push(
      answer.then(
        ({ status }) => (status === 200 ? tally.requests++ : tally.fail(`GET ${spec.path}: ${status}`)),
        (cause) => (isOver ? undefined : tally.fail(String(cause))),
      ),
    )
  }
  while (performance.now() < end) {
    await Bun.sleep(TICK_MS)
    for (const reader of readers) {
      if (!reader.paused || reader.bytes > allowance(spec, start)) continue
      reader.paused = false
      reader.connection.resume()
    }
  }
  isOver = true
  for (const { connection } of readers) {
    connection.resume()
    connection.close()
  }
  await Promise.race([Promise.all(ended), Bun.sleep(1000)])
}

function allowance(spec: SlowPullSpec, start: number): number {
  return (spec.bytesPerSecond * (performance.now() - start)) / 1000
}
