import { type Content, makeImage, type TestImage } from '../image.ts'
import type { Ledger } from './ledger.ts'
import type { Random } from './random.ts'

export interface PusherOptions {
  name: string
  random: Random
  ledger: Ledger
  /** Base URL of the server that runs, or the next one when it was killed; undefined when there will be none. */
  server: () => Promise<string | undefined>
  /** Told what no registry may do, even one that is killed all the time. */
  onFault: (fault: string) => void
}

/** Images of which several pushers push the same bytes to different repositories. */
const SHARED_IMAGES = 6
/** Milliseconds; only to end a request that hangs. */
const REQUEST_TIMEOUT = 90_000
/** How often to begin a blob, or send a manifest, before it counts as impossible. */
const ATTEMPTS = 200

/** The server went away, or was replaced. */
class Gone extends Error {}
/** There will be no server any more. */
class Over extends Error {}

/** Pushes images, one after the other, until no server is left; starts again, or resumes, what a kill interrupted. */
export async function runPusher({ name, random, ledger, server, onFault }: PusherOptions): Promise<number> {
  let pushed = 0
  try {
    for (let round = 0; round < 10_000; round++) {
      const image = randomImage(name, round, random)
      const repository = `${name}/app-${random.below(3)}`
      for (const blob of [image.config, ...image.layers]) {
        await insist(`push blob ${blob.digest}`, () => pushBlob(repository, blob))
      }
      const tag = random.pick(['latest', 'stable', `v${round}`])
      await insist(`put ${repository}:${tag}`, async () => {
        const url = await running()
        const acknowledge = ledger.sendManifest(repository, tag, image)
        const { mediaType, bytes } = image.manifest
        const target = `${url}/v2/${repository}/manifests/${tag}`
        const answer = await send(target, { method: 'PUT', headers: { 'Content-Type': mediaType }, body: bytes })
        if (answer.status === 201) acknowledge()
        else onFault(`PUT of a manifest whose blobs are acknowledged: ${answer.status} ${answer.text}`)
      })
      pushed++
    }
  } catch (error) {
    if (!(error instanceof Over)) throw error
  }
  return pushed

  async function running(): Promise<string> {
    const url = await server()
    if (url === undefined) throw new Over()
    return url
  }

  async function insist(what: string, work: () => Promise<void>): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof Gone)) throw error
      }
    }
    onFault(`gave up: ${what}`)
  }

  async function pushBlob(repository: string, blob: Content): Promise<void> {
    const { digest, bytes } = blob
    const uploads = `/v2/${repository}/blobs/uploads/`
    const query = `digest=${encodeURIComponent(digest)}`
    const acknowledge = ledger.sendBlob(repository, blob)
    const expect = (answer: Answer, status: number, what: string) => {
      if (answer.status !== status) onFault(`${what}: ${answer.status} ${answer.text}`)
      return answer.status === status
    }
    if (random.chance(0.2)) {
      const answer = await send(`${await running()}${uploads}?${query}`, { method: 'POST', body: bytes })
      if (expect(answer, 201, 'POST with digest')) acknowledge()
      return
    }
    const started = await send(`${await running()}${uploads}`, { method: 'POST' })
    if (!expect(started, 202, 'POST')) return
    const session = new URL(started.location).pathname
    const chunkSize = random.pick([bytes.length, 64 * 1024, 300_000, 1024 * 1024])
    const chunked = chunkSize < bytes.length || random.chance(0.5)
    let offset = 0
    let finishing = false
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        while (chunked && offset < bytes.length) {
          const chunk = bytes.subarray(offset, offset + chunkSize)
          const headers = { 'Content-Range': `${offset}-${offset + chunk.length - 1}` }
          const answer = await send(`${await running()}${session}`, { method: 'PATCH', headers, body: chunk })
          if (!expect(answer, 202, 'PATCH')) return
          offset += chunk.length
        }
        finishing = true
        const body = bytes.subarray(offset)
        const put = { method: 'PUT', ...(body.length > 0 ? { body } : {}) }
        const answer = await send(`${await running()}${session}?${query}`, put)
        if (expect(answer, 201, `PUT at offset ${offset} of ${bytes.length}`)) acknowledge()
        return
      } catch (error) {
        if (!(error instanceof Gone) || random.chance(0.3)) throw error
        const found = await resume(session, offset, bytes.length, finishing)
        if (found === undefined) throw error
        offset = found
      }
    }
  }

  /** Where an interrupted upload stands (OCI Distribution Specification 1.1, "Pushing a blob in chunks"); undefined: it is over. */
  async function resume(session: string, sent: number, size: number, finishing: boolean): Promise<number | undefined> {
    const answer = await insistOnAnswer(session)
    if (answer.status === 404 && finishing) return undefined
    if (answer.status !== 204) {
      onFault(`GET of an upload that was acknowledged to ${sent}: ${answer.status} ${answer.text}`)
      return undefined
    }
    const end = /^0-(\d+)$/.exec(answer.range)?.[1]
    // `0-0` says that there is nothing, or one byte.
    const offset = end === undefined || end === '0' ? (sent > 1 ? 0 : sent) : Number(end) + 1
    if (offset < sent || offset > size) onFault(`the upload had ${sent} acknowledged bytes, and is now at ${offset}`)
    return offset
  }

  async function insistOnAnswer(session: string): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await send(`${await running()}${session}`, { method: 'GET' })
      } catch (error) {
        if (!(error instanceof Gone) || attempt >= ATTEMPTS) throw error
      }
    }
  }
}

interface Answer {
  status: number
  text: string
  location: string
  range: string
}

async function send(url: string, init: RequestInit): Promise<Answer> {
  try {
    const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT) })
    const text = await answer.text()
    const { status, headers } = answer
    return { status, text, location: headers.get('location') ?? '', range: headers.get('range') ?? '' }
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') throw cause
    throw new Gone('no answer', { cause })
  }
}

function randomImage(name: string, round: number, random: Random): TestImage {
  if (random.chance(0.2)) return makeImage({ seed: `shared-${random.below(SHARED_IMAGES)}`, layers: [700_000, 3000] })
  const sizes = Array.from({ length: 1 + random.below(3) }, () => layerSize(random))
  return makeImage({ seed: `${name}-${round}`, layers: sizes })
}

function layerSize(random: Random): number {
  const kind = random.below(10)
  if (kind < 6) return random.below(5000)
  if (kind < 9) return random.below(500_000)
  return 2_000_000 + random.below(2_000_000)
}
