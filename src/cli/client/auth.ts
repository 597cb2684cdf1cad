import { Command } from 'commander'
import { authGetCommand } from './auth-get.ts'
import { authTokenCommand } from './auth-token.ts'
import type { ClientContext } from './context.ts'

export function authCommand(context: ClientContext): Command {
  return new Command('auth')
    .addCommand(authGetCommand(context))
    .addCommand(authTokenCommand(context))
    .addHelpText('after', '\nEach has the flags of every verb, such as --plain-http: berth auth token --help')
}
