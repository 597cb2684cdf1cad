/**
 * A load process: reads a LoadSpec from the first line of its standard input, gets ready, says so, waits for a second
 * line, does the work and writes a LoadResult. It is a process of its own so that its work never counts as a server's.
 */
import { setPriority } from 'node:os'
import { pull, slowPull } from './load-pull.ts'
import { preparePush } from './load-push.ts'
import { fill, guess, paced, repeat, sequence } from './load-requests.ts'
import type { LoadSpec } from './load-spec.ts'
import { type Tally, tallied } from './load-tally.ts'

function prepare(spec: LoadSpec): (tally: Tally) => Promise<void> {
  switch (spec.kind) {
    case 'push':
      return preparePush(spec)
    case 'pull':
      return async (tally) => await pull(spec, tally)
    case 'slow-pull':
      return async (tally) => await slowPull(spec, tally)
    case 'paced':
      hurry()
      return async (tally) => await paced(spec, tally)
    case 'repeat':
      return async (tally) => await repeat(spec, tally)
    case 'sequence':
      return async (tally) => await sequence(spec, tally)
    case 'guess':
      return async (tally) => await guess(spec, tally)
    case 'fill':
      return async (tally) => await fill(spec, tally)
  }
}

/** On few cores the clock of a trickle must not wait behind the bulk load beside it; only root may ask for that. */
function hurry(): void {
  try {
    setPriority(-10)
  } catch {
    // Then its figures hold some of the scheduler's delay, for both servers alike.
  }
}

let run: ((tally: Tally) => Promise<void>) | undefined
for await (const line of console) {
  if (run === undefined) {
    run = prepare(JSON.parse(line) as LoadSpec)
    console.log('ready')
  } else {
    console.log(JSON.stringify(await tallied(run)))
    break
  }
}
process.exit(0)
