import { Command } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
import { parseRegistry } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'

export function logoutCommand(context: ClientContext): Command {
  return connectionOptions(new Command('logout').argument('[registry]', 'HOST or HOST:PORT'))
    .option('--all', 'of every registry in the file')
    .action(async (server: string | undefined, flags: ConnectionFlags & { all?: true }) => {
      if ((server === undefined) === (flags.all === undefined)) {
        throw new UpstreamError('usage', 'name one registry, or say --all', { hint: 'berth logout HOST:PORT' })
      }
      const { credentials } = connect(context, flags)
      const registries = server === undefined ? [...new Set(credentials.registries())] : [parseRegistry(server)]
      for (const registry of registries) {
        const places = await credentials.erase(registry)
        if (places.length > 0) context.out(`Removing login credentials for ${registry}\n`)
        else context.error(`Not logged in to ${registry}\n`)
      }
    })
}
