import { startAhead } from './worker-program.ts'

// Imported first by the program: on another core, the thread that opens the database loads beside all the other modules.
if (process.argv[2] === 'serve') startAhead('metadata/sqlite-worker')
