import { Command } from 'commander'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fields, formatOption, parseFormat, show } from './output.ts'
import { chosenRegistry, REGISTRY_ARGUMENT } from './registry-choice.ts'

export function pingCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('ping').argument('[registry]', REGISTRY_ARGUMENT))).action(
    async (server: string | undefined, flags: ConnectionFlags & { format: string }) => {
      const format = parseFormat(flags.format)
      const upstream = connect(context, flags)
      const { authorization, transport } = upstream
      const registry = chosenRegistry(upstream, server, 'berth ping HOST:PORT')
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
