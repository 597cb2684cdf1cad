import { Command } from 'commander'
import { parseRegistry } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fields, formatOption, parseFormat, show } from './output.ts'

export function pingCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('ping').argument('<registry>', 'HOST or HOST:PORT'))).action(
    async (server: string, flags: ConnectionFlags & { format: string }) => {
      const format = parseFormat(flags.format)
      const registry = parseRegistry(server)
      const { authorization, transport } = connect(context, flags)
      const challenges = await authorization.challenges(registry)
      const url = `${await transport.baseOf(registry)}/v2/`
      const bearer = challenges.find(({ scheme }) => scheme === 'bearer')
      const realm = bearer?.parameters.get('realm')
      const service = bearer?.parameters.get('service')
      const authentication = challenges.length === 0 ? ['none'] : challenges.map(({ scheme }) => scheme)
      const text = fields([
        ['Registry', url],
        ['Authentication', authentication.join(', ')],
        ['Token server', realm],
        ['Service', service],
      ])
      const whole = { registry, url, authentication, realm: realm ?? null, service: service ?? null }
      show(context, format, { whole, text })
    },
  )
}
