import './threads/start-ahead.ts'
import { run } from './cli/cli.ts'
import { toleratePipes } from './cli/standard-streams.ts'

// A server has no use for them, and does without until its commander says something.
if (process.argv[2] !== 'serve') toleratePipes()

// Not awaited at the top: a module that waits there cannot be compiled ahead (build/bundle.ts).
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code
})
