import { Command, Option } from 'commander'
import { startTokenServer } from '../run-token.ts'
import { type ConfigFlags, tokenConfigOf, tokenSourceOf } from './load.ts'
import { takePassword } from './password-prompt.ts'
import { listenToSignals } from './signal.ts'

export function authCommand(): Command {
  return new Command('auth')
    .description("run the token server alone, from docker_auth's configuration")
    .argument('<auth_config.yml>', "configuration in docker_auth's format")
    .option('--addr <host:port>', "address to listen on, in place of the configuration's server.addr")
    .option('--data <dir>', 'directory for accounts, refresh tokens and the audit log (default: only where needed)')
    .addOption(new Option('--compat <mode>', 'refuse unknown keys instead of warning').choices(['strict']))
    .addHelpText(
      'after',
      '\nberth auth get and berth auth token print what lets one into a registry: see their --help.',
    )
    .action(async (file: string, flags: ConfigFlags) => {
      const { dataGiven, ...config } = tokenConfigOf(file, flags)
      const adminPassword = takePassword()
      const signals = listenToSignals()
      const server = await startTokenServer(config, { dataGiven, adminPassword, source: tokenSourceOf(file, flags) })
      process.stderr.write(`token server listening on ${server.url}\n`)
      if (server.passwordFile !== undefined) {
        process.stderr.write(`The password of the user admin is in ${server.passwordFile} until you change it.\n`)
      }
      await signals.untilEnd(server.reload)
      await server.stop()
    })
}
