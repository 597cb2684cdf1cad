import { Command } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
import { parseRegistry } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { formatOption, lines, parseFormat, show } from './output.ts'

export function whoamiCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('whoami').argument('<registry>', 'HOST or HOST:PORT'))).action(
    async (server: string, flags: ConnectionFlags & { format: string }) => {
      const format = parseFormat(flags.format)
      const registry = parseRegistry(server)
      const upstream = connect(context, flags)
      const credential = await upstream.credentials.find(registry)
      if (credential === undefined) {
        throw new UpstreamError('unauthorized', `not logged in to ${registry}`, { hint: `berth login ${registry}` })
      }
      // What is kept may have been revoked since.
      await upstream.authorization.check(registry)
      const username = credential.kind === 'registry-token' ? '' : credential.username
      const whole = { registry, username, kind: credential.kind, source: credential.source }
      show(context, format, { whole, text: lines([username === '' ? '<token>' : username]) })
    },
  )
}
