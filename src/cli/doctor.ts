import { Command } from 'commander'
import type { Finding } from '../run-doctor.ts'
import { CommandError } from './error.ts'
import { type ConfigFlags, configOf, tokenConfigOf } from './load.ts'

const SIGNS: Record<Finding['kind'], string> = { fine: 'ok', warning: 'warning', problem: 'PROBLEM' }

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('look for what makes a registry refuse tokens; exits with 1 when there is a problem')
    .argument('[config.yml]', "the server's configuration file, in registry:2's format")
    .option('--auth-config <file>', "the token server's configuration file, in docker_auth's format")
    .option('--bundle <file>', 'the rootcertbundle of a registry elsewhere that is to take the tokens')
    .option('--data <dir>', "the server's data directory")
    .action(async (file: string | undefined, flags: ConfigFlags & { bundle?: string }) => {
      const { authConfig, bundle, ...others } = flags
      const config =
        file === undefined && authConfig !== undefined ? tokenConfigOf(authConfig, others) : configOf(file, flags)
      const { examine } = await import('../run-doctor.ts')
      const findings = examine(config, { bundle, now: Date.now() })
      for (const finding of findings) process.stdout.write(`${lineOf(finding)}\n`)
      const problems = findings.filter(({ kind }) => kind === 'problem').length
      if (problems > 0) throw new CommandError(problems === 1 ? 'there is a problem' : `there are ${problems} problems`)
    })
}

function lineOf({ kind, message, fix }: Finding): string {
  return `${SIGNS[kind]}: ${message}${fix === undefined ? '' : `\n    ${fix}`}`
}
