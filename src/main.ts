import './threads/start-ahead.ts'
import { run } from './cli/cli.ts'

// Who reads the output may have seen enough (`berth config schema | head`): no failure of the command, and none of a server.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

// Not awaited at the top: a module that waits there cannot be compiled ahead (build/bundle.ts).
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code
})
