import { Command } from 'commander'
import type { ClientContext } from './context.ts'
import { indexListCommand } from './index-list.ts'
import { indexAnnotateCommand, indexAppendCommand, indexCreateCommand, indexRemoveCommand } from './index-write.ts'

export function indexCommand(context: ClientContext): Command {
  return new Command('index')
    .addCommand(indexCreateCommand(context))
    .addCommand(indexAppendCommand(context))
    .addCommand(indexRemoveCommand(context))
    .addCommand(indexAnnotateCommand(context))
    .addCommand(indexListCommand(context))
    .addHelpText('after', '\nEach has the flags of every verb, such as --plain-http: berth index create --help')
}
