import { Command } from 'commander'
import { TOKEN_USER } from '../../upstream/credentials.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { lines } from './output.ts'
import { chosenRegistry, REGISTRY_ARGUMENT } from './registry-choice.ts'

/** What is kept, in the form that programs which keep secrets for docker have (docker-credential-helpers, "Development"). */
export function authGetCommand(context: ClientContext): Command {
  return connectionOptions(new Command('get').argument('[registry]', REGISTRY_ARGUMENT))
    .description('print what lets one in, with its secret, as JSON')
    .action(async (server: string | undefined, flags: ConnectionFlags) => {
      const { credentials } = connect(context, flags)
      const registry = chosenRegistry({ credentials }, server, 'berth auth get HOST:PORT')
      const found = await credentials.find(registry)
      if (found === undefined) {
        throw new UpstreamError('unauthorized', `not logged in to ${registry}`, { hint: `berth login ${registry}` })
      }
      if (found.kind === 'registry-token') {
        throw new UpstreamError('unsupported', `${found.source} keeps a token of ${registry}, without a name`, {
          hint: 'berth auth token HOST/REPOSITORY prints it',
        })
      }
      const [name, secret] = found.kind === 'password' ? [found.username, found.password] : [TOKEN_USER, found.token]
      context.out(lines([JSON.stringify({ ServerURL: registry, Username: name, Secret: secret })]))
    })
}
