import { resolve } from 'node:path'
import type { Config } from './config/config.ts'
import { isDirectoryFree, ownerOf } from './metadata/owner-lock.ts'
import type { Log } from './telemetry/log.ts'

/** Milliseconds that a start waits for a command that has the data, and between two looks. */
const WAIT = 5_000
const LOOK = 100

/**
 * Waits a while for a command that has the data directory because no server ran when it began: most take a moment, and after a
 * crash a server that is started anew meets them. Nobody waits for a server that answers (`isServed`). It takes nothing: whoever
 * opens the directory next says who has it still.
 */
export async function untilFree(
  data: Config['data'],
  deps: {
    log: Pick<Log, 'warn'>
    isServed: (directory: string) => Promise<boolean>
    signal?: AbortSignal | undefined
    waitMs?: number
  },
): Promise<void> {
  const { log, isServed, signal, waitMs = WAIT } = deps
  const directories = [...new Set([resolve(data.directory), resolve(data.metadata)])]
  const busy = () => directories.find(isBusy)
  const directory = busy()
  if (directory === undefined || (await isServed(resolve(data.directory)))) return
  const owner = ownerOf(directory)
  const which = owner === undefined ? {} : { process: owner }
  log.warn('the data directory is in use, by a command perhaps: the start waits for it', {
    ...{ directory, ...which, seconds: waitMs / 1000 },
  })
  for (let waited = 0; waited < waitMs && signal?.aborted !== true && busy() !== undefined; waited += LOOK) {
    await Bun.sleep(LOOK)
  }
}

function isBusy(directory: string): boolean {
  try {
    return !isDirectoryFree(directory)
  } catch {
    // What opens it says what is wrong with it.
    return false
  }
}
