import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import type { Digest } from '../oci/digest.ts'
import { giveWay } from '../threads/give-way.ts'
import { durableRename, unlinkObject } from './durable.ts'
import { moveAway, placeObject } from './durable-move.ts'
import { faultOf } from './fault.ts'
import { createRunningHashes } from './running-hash.ts'
import { createScans, examine } from './scan.ts'
import { StorageError } from './storage.ts'
import { openUpload, type UploadWriter } from './upload-writer.ts'
import type { WriteReply, WriteRequest, WriteResult } from './write-protocol.ts'

/** The thread that hashes and writes; `write-pool.ts` is the other end. Everything in here is synchronous by intent. */
declare const self: Worker

const READ_BYTES = 1024 * 1024

const appends = new Map<number, UploadWriter>()
const hashes = createRunningHashes()
const scans = createScans()

// While uploads keep every core busy, the thread that answers requests goes first: under 16 uploads on 2 cores the
// 99th percentile of a small request fell to a third, at equal throughput.
giveWay()

self.onmessage = (event: MessageEvent<WriteRequest>) => {
  const request = event.data
  if (request.kind === 'digest') void answer(request.call, 'read the upload', () => digestOf(request))
  else void answer(request.call, doing(request.kind), () => perform(request))
}

function doing(kind: WriteRequest['kind']): string {
  if (kind === 'create') return 'begin the upload'
  if (kind === 'seal') return 'seal the upload'
  if (kind === 'abort') return 'abort the upload'
  if (kind === 'delete') return 'delete the object'
  if (kind === 'scan' || kind === 'scan-end' || kind === 'examine') return 'read the object'
  if (kind === 'move' || kind === 'place') return 'move the object'
  return 'write the upload'
}

async function answer(
  call: number,
  what: string,
  work: () => WriteResult | undefined | Promise<WriteResult>,
): Promise<void> {
  try {
    const result = work()
    if (result instanceof Promise) reply({ kind: 'done', call, result: await result })
    else if (result !== undefined) reply({ kind: 'done', call, result })
  } catch (error) {
    reply({ kind: 'failed', call, ...faultOf(error, what) })
  }
}

function reply(message: WriteReply): void {
  self.postMessage(message)
}

/** The result that ends the call, or undefined when more of it is to come. */
function perform(request: Exclude<WriteRequest, { kind: 'digest' }>): WriteResult | undefined {
  switch (request.kind) {
    case 'create':
      closeSync(openSync(request.path, 'wx'))
      return {}
    case 'append': {
      const upload = openUpload(request, hashes)
      appends.set(request.call, upload)
      return write(request.call, upload, request.chunks, request.last)
    }
    case 'more': {
      // An append that failed is forgotten here while its sender still sends.
      const upload = appends.get(request.call)
      return upload && write(request.call, upload, request.chunks, request.last)
    }
    case 'seal':
      durableRename(request)
      hashes.forget(request.id)
      return {}
    case 'abort':
      hashes.forget(request.id)
      rmSync(request.path, { force: true })
      return {}
    case 'delete':
      return { found: unlinkObject(request.path) }
    case 'scan':
      return scans.next(request)
    case 'scan-end':
      scans.end(request.id)
      return {}
    case 'examine':
      return { examined: request.paths.map(examine) }
    case 'move':
      return { found: moveAway(request.from, request.to) }
    case 'place':
      return { found: placeObject(request) }
  }
}

function write(call: number, upload: UploadWriter, chunks: Uint8Array[], last: boolean): WriteResult | undefined {
  try {
    const bytes = upload.write(chunks)
    if (!last) {
      reply({ kind: 'written', call, bytes })
      return undefined
    }
  } catch (error) {
    appends.delete(call)
    throw error
  }
  appends.delete(call)
  return upload.end()
}

/** Lets appends run in between: an upload of many gigabytes must not hold up the others of this thread. */
async function digestOf({ path, size, algorithm }: Extract<WriteRequest, { kind: 'digest' }>): Promise<WriteResult> {
  const hash = new Bun.CryptoHasher(algorithm)
  const buffer = new Uint8Array(READ_BYTES)
  const fd = openSync(path, 'r')
  try {
    for (let position = 0; position < size; ) {
      const read = readSync(fd, buffer, 0, Math.min(READ_BYTES, size - position), position)
      if (read === 0) throw new StorageError('failed', `the upload has ${position} bytes, not ${size}: some were lost`)
      hash.update(buffer.subarray(0, read))
      position += read
      await new Promise((resolve) => setImmediate(resolve))
    }
    const digest: Digest = `${algorithm}:${hash.digest('hex')}`
    return { digest }
  } finally {
    closeSync(fd)
  }
}
