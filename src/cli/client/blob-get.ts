import { Command } from 'commander'
import { bytesText, countText } from '../progress.ts'
import { formatBlob, missingBlob, parseBlob } from './blob-reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { connectMover } from './mover.ts'
import { bytesOption, fields, formatOption, parseFormat, show } from './output.ts'
import { saveStream } from './save-file.ts'
import { printBytes } from './terminal-bytes.ts'

export function blobGetCommand(context: ClientContext): Command {
  return bytesOption(connectionOptions(new Command('get').argument('<blob>', 'REPOSITORY@DIGEST')))
    .description('print the bytes of a blob')
    .option('-o, --output <file>', 'write them to a file')
    .action(async (name: string, flags: ConnectionFlags & { output?: string }) => {
      const blob = parseBlob(name)
      const { body } = await connectMover(context, flags).blobs.get(blob, blob.digest)
      if (flags.output !== undefined) await saveStream(flags.output, body)
      else await printBytes(context, formatBlob(blob), body)
    })
}

export function blobHeadCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('head').argument('<blob>', 'REPOSITORY@DIGEST')))
    .description('say whether a blob is there, and its size')
    .action(async (name: string, flags: ConnectionFlags & { format: string }) => {
      const format = parseFormat(flags.format)
      const blob = parseBlob(name)
      const size = await connect(context, flags).blobs.head(blob, blob.digest)
      if (size === undefined) throw missingBlob(blob)
      show(context, format, {
        whole: { reference: formatBlob(blob), digest: blob.digest, size },
        text: fields([
          ['Digest', blob.digest],
          ['Size', size < 1024 ? bytesText(size) : `${bytesText(size)} (${countText(size)} bytes)`],
        ]),
      })
    })
}
