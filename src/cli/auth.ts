import { Command, Option } from 'commander'
import { loadTokenServer } from '../config/load.ts'
import { formatProblems } from '../config/problem.ts'
import { startTokenServer } from '../run.ts'
import { CommandError } from './error.ts'
import { untilSignal } from './signal.ts'

export function authCommand(): Command {
  return new Command('auth')
    .description("run the token server alone, from docker_auth's configuration")
    .argument('<auth_config.yml>', "configuration in docker_auth's format")
    .addOption(new Option('--compat <mode>', 'refuse unknown keys instead of warning').choices(['strict']))
    .action(async (file: string, flags: { compat?: string }) => {
      const { config, problems, warnings } = loadTokenServer({
        authFile: file,
        env: process.env,
        flags: {},
        ...(flags.compat === 'strict' ? { compat: 'strict' as const } : {}),
      })
      if (warnings.length > 0) process.stderr.write(formatProblems([], warnings))
      if (config === undefined)
        throw new CommandError(`the configuration cannot be used:\n${formatProblems(problems).trimEnd()}`)
      const server = await startTokenServer(config)
      process.stderr.write(`token server listening on ${server.url}\n`)
      await untilSignal()
      await server.stop()
    })
}
