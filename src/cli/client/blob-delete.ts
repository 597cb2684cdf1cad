import { Command } from 'commander'
import { mustAgree } from './agree.ts'
import { formatBlob, missingBlob, parseBlob } from './blob-reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { lines } from './output.ts'

interface BlobDeleteFlags extends ConnectionFlags {
  force?: true
  ignoreMissing?: true
}

export function blobDeleteCommand(context: ClientContext): Command {
  return connectionOptions(new Command('delete').alias('rm').argument('<blob...>', 'REPOSITORY@DIGEST'))
    .description('delete blobs, which spoils the images that need them')
    .option('-f, --force', 'do not ask')
    .option('--ignore-missing', 'what is not there is no error')
    .action(async (names: string[], flags: BlobDeleteFlags) => {
      const blobs = names.map(parseBlob)
      const upstream = connect(context, flags)
      for (const blob of blobs) {
        const name = formatBlob(blob)
        if ((await upstream.blobs.head(blob, blob.digest)) === undefined) {
          if (!flags.ignoreMissing) throw missingBlob(blob)
          context.error(lines([`${name} is not there`]))
          continue
        }
        if (!flags.force) await mustAgree(context, `${name}: images that need it can be pulled no more.`)
        await upstream.blobs.delete(blob, blob.digest)
        context.out(lines([name]))
      }
    })
}
