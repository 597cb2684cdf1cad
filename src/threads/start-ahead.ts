import { startAhead } from './worker-program.ts'

/** How much more often than later a function must have run before it is compiled, while a server starts. */
const RELUCTANCE = 8

// Imported first by the program.
if (process.argv[2] === 'serve') {
  // What runs once is compiled for nothing, by threads that want the cores which the start needs. `run.ts` ends it.
  Bun.unsafe.setJITPolicy(RELUCTANCE)
  // On another core, the thread that opens the database loads beside all the other modules.
  startAhead('metadata/sqlite-worker')
}
