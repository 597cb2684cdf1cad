import { Command } from 'commander'
import { blobDeleteCommand } from './blob-delete.ts'
import { blobGetCommand, blobHeadCommand } from './blob-get.ts'
import { blobPutCommand } from './blob-put.ts'
import type { ClientContext } from './context.ts'

export function blobCommand(context: ClientContext): Command {
  return new Command('blob')
    .addCommand(blobGetCommand(context))
    .addCommand(blobHeadCommand(context))
    .addCommand(blobPutCommand(context))
    .addCommand(blobDeleteCommand(context))
    .addHelpText('after', '\nEach has the flags of every verb, such as --plain-http: berth blob get --help')
}
