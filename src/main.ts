import { run } from './cli/cli.ts'

// Not awaited at the top: a module that waits there cannot be compiled ahead (build/bundle.ts).
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code
})
