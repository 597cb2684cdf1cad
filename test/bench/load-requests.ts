import { createHash } from 'node:crypto'
import { type Connection, connect, type Request } from './connection.ts'
import type { FillSpec, GuessSpec, PacedSpec, RepeatSpec, SequenceSpec } from './load-spec.ts'
import type { Tally } from './load-tally.ts'

const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json'
const ACCEPT = [
  'application/vnd.oci.image.manifest.v1+json',
  INDEX_TYPE,
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

/** Sends requests at their due times over whichever connection is free; a late one waits, and its wait counts. */
export async function paced(spec: PacedSpec, tally: Tally): Promise<void> {
  const connections = await openAll(spec)
  const total = Math.floor(spec.perSecond * spec.seconds)
  const start = performance.now()
  const due = (index: number) => start + (index * 1000) / spec.perSecond
  let next = 0
  await Promise.all(
    connections.map(async (connection) => {
      while (next < total) {
        const index = next++
        const wait = due(index) - performance.now()
        if (wait > 0) await Bun.sleep(wait)
        await ask(connection, { method: 'GET', path: spec.path, headers: { Accept: ACCEPT } }, tally, 200)
        tally.latencies.push(performance.now() - due(index))
      }
      connection.close()
    }),
  )
}

/** As wrk does, where that is not installed. */
export async function repeat(spec: RepeatSpec, tally: Tally): Promise<void> {
  const connections = await openAll(spec)
  const until = performance.now() + spec.seconds * 1000
  await Promise.all(
    connections.map(async (connection) => {
      for (let start = performance.now(); start < until; start = performance.now()) {
        await ask(connection, { method: 'GET', path: spec.path, headers: { Accept: ACCEPT } }, tally, 200)
        tally.latencies.push(performance.now() - start)
      }
      connection.close()
    }),
  )
}

/** Each request once. */
export async function sequence(spec: SequenceSpec, tally: Tally): Promise<void> {
  const connections = await openAll(spec)
  let next = 0
  await Promise.all(
    connections.map(async (connection) => {
      for (let request = spec.requests[next++]; request !== undefined; request = spec.requests[next++]) {
        const start = performance.now()
        const headers = { Authorization: request.authorization }
        await ask(connection, { method: 'GET', path: request.path, headers }, tally, 200)
        tally.latencies.push(performance.now() - start)
      }
      connection.close()
    }),
  )
}

/** Each wrong password is another one, so that no two guesses share a verification. */
export async function guess(spec: GuessSpec, tally: Tally): Promise<void> {
  const connections = await openAll(spec)
  const until = performance.now() + spec.seconds * 1000
  let next = 0
  await Promise.all(
    connections.map(async (connection, index) => {
      const address = spec.addresses[index % spec.addresses.length]
      const from: Record<string, string> = address === undefined ? {} : { 'X-Forwarded-For': address }
      for (let start = performance.now(); start < until; start = performance.now()) {
        const turn = next++
        const Authorization = basic(spec.accounts[turn % spec.accounts.length] ?? '', `guess ${turn}`)
        const { status } = await connection.send({
          method: 'GET',
          path: spec.path,
          headers: { ...from, Authorization },
        })
        if (status !== 401 && status !== 429) tally.fail(`a wrong password got ${status}`)
        tally.statuses[status] = (tally.statuses[status] ?? 0) + 1
        tally.requests++
        tally.latencies.push(performance.now() - start)
      }
      connection.close()
    }),
  )
}

/** RFC 7617: the value of an Authorization header. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}

/** Indexes without children need no blobs, so that a name costs one request. */
export async function fill(spec: FillSpec, tally: Tally): Promise<void> {
  const connections = await openAll(spec)
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [] }))
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
  let next = 0
  await Promise.all(
    connections.map(async (connection) => {
      while (next < spec.count) {
        const path = fillPath(spec.what, next++)
        const answer = await ask(
          connection,
          { method: 'PUT', path, headers: { 'Content-Type': INDEX_TYPE }, body },
          tally,
          201,
        )
        if (answer !== digest) tally.fail(`PUT ${path}: answered ${answer}`)
      }
      connection.close()
    }),
  )
}

/** Where the n-th name of a fill is put; numbers are padded, so that names sort as they count. */
export function fillPath(what: FillSpec['what'], index: number): string {
  const number = String(index).padStart(7, '0')
  return what === 'repositories' ? `/v2/flat/r-${number}/manifests/latest` : `/v2/flat/tagged/manifests/t-${number}`
}

async function openAll(spec: { target: PacedSpec['target']; connections: number }): Promise<Connection[]> {
  return await Promise.all(Array.from({ length: spec.connections }, () => connect(spec.target)))
}

async function ask(
  connection: Connection,
  request: Request,
  tally: Tally,
  expected: number,
): Promise<string | undefined> {
  const answer = await connection.send(request)
  if (answer.status !== expected) tally.fail(`${request.method} ${request.path}: ${answer.status} ${answer.text}`)
  tally.requests++
  tally.bytes += answer.size
  return answer.headers.get('docker-content-digest')
}
