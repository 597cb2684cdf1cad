import { Command } from 'commander'
import { authGetCommand } from './auth-get.ts'
import { authTokenCommand } from './auth-token.ts'
import type { ClientContext } from './context.ts'

export function authCommand(context: ClientContext): Command {
  return new Command('auth').addCommand(authGetCommand(context)).addCommand(authTokenCommand(context))
}
