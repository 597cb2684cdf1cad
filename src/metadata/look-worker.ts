import { giveWay } from '../threads/give-way.ts'
import { nouns } from './nouns.ts'
import { type Call, type Fault, invoke, toFault } from './sqlite-calls.ts'
import { CACHE_KIB, metadataError } from './sqlite-connection.ts'
import { openReader } from './sqlite-reader.ts'

/** A thread of its own for one look at all that the database has: see `sqlite-looks.ts`. */
declare const self: Worker

export interface LookRequest {
  path: string
  call: Pick<Call, 'noun' | 'method' | 'args'>
}

export type LookAnswer = { ok: true; value: unknown } | { ok: false; error: Fault }

giveWay()

self.onmessage = async ({ data }: MessageEvent<LookRequest>) => {
  self.postMessage(await answer(data))
}

async function answer({ path, call }: LookRequest): Promise<LookAnswer> {
  try {
    const reader = openReader(path, undefined, CACHE_KIB.longRead)
    try {
      return { ok: true, value: await invoke(nouns(reader.database), call) }
    } finally {
      reader.close()
    }
  } catch (error) {
    return { ok: false, error: toFault(metadataError('the database could not be read', error)) }
  }
}
